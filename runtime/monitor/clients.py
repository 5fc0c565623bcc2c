"""Who is connected to the control socket, and what they ask."""

from __future__ import annotations

import _socket
import marshal
import os

from runtime.monitor import wire
from runtime.monitor.loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.monitor.shapes import Request

__all__ = ["Client", "Clients"]

_BACKLOG = 1 << 20
"""Bytes that an attached client may be behind before the container's output is held back."""


class Client:
    """One connection. ``attached`` sees the output; ``process`` is the pid of an exec that it began;
    ``on_gone`` is called when it goes away, however that comes."""

    __slots__ = ("attached", "buffer", "finished", "on_gone", "out", "process", "sock", "stdin", "waiting")

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.buffer = wire.FrameBuffer()
        self.out = bytearray()
        self.attached = False
        self.stdin = False
        self.process = 0
        self.waiting = False
        self.finished = False
        self.on_gone: Callable[[], None] | None = None


class Clients:
    """``handle(client, kind, payload)`` gets every frame; ``crowded(bool)`` says whether output waits."""

    def __init__(
        self,
        loop: Loop,
        handle: Callable[[Client, bytes, bytes], None],
        gone: Callable[[Client], None],
        crowded: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._gone = gone
        self._crowded = crowded
        self._listener: _socket.socket | None = None
        self.clients: dict[int, Client] = {}

    def listen(self, directory: str) -> None:
        self._listener = wire.listen(directory)
        self._listener.setblocking(False)
        self._loop.watch(self._listener.fileno(), READ, lambda mask: self._accept())

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                fd, _address = self._listener._accept()  # type: ignore[attr-defined]  # CPython has it
            except OSError:
                return
            self.add(_socket.socket(fileno=fd))

    def add(self, sock: _socket.socket) -> Client:
        sock.setblocking(False)
        client = Client(sock)
        self.clients[sock.fileno()] = client
        self._loop.watch(sock.fileno(), READ, lambda mask: self._ready(client, mask))
        return client

    def _ready(self, client: Client, mask: int) -> None:
        if mask & WRITE:
            self._flush(client)
        if mask & ~WRITE and client.sock.fileno() >= 0:
            self._read(client)

    def _read(self, client: Client) -> None:
        try:
            alive = wire.receive(client.sock, client.buffer)
        except BlockingIOError:
            return
        except OSError:
            alive = False
        while True:
            try:
                item = client.buffer.next()
            except ValueError:
                alive = False
                break
            if item is None:
                break
            self._handle(client, *item)
        if not alive:
            self.drop(client)

    def drop(self, client: Client) -> None:
        fd = client.sock.fileno()
        if self.clients.pop(fd, None) is None:
            return
        self._loop.forget(fd)
        for extra in client.buffer.take_fds():
            os.close(extra)
        client.sock.close()
        self._measure()
        self._gone(client)
        if client.on_gone is not None:
            client.on_gone()

    def send(self, client: Client, kind: bytes, payload: bytes = b"") -> None:
        client.out += wire.frame(kind, payload)
        self._flush(client)

    def reply(self, client: Client, fields: dict[str, object], fds: list[int] | None = None) -> None:
        data = wire.request(fields, wire.REPLY)
        if fds:
            client.sock.setblocking(True)
            try:
                wire.send_with_fds(client.sock, bytes(client.out) + data, fds)
                client.out.clear()
            except OSError:
                self.drop(client)
                return
            finally:
                if client.sock.fileno() >= 0:
                    client.sock.setblocking(False)
            return
        client.out += data
        self._flush(client)

    def _flush(self, client: Client) -> None:
        while client.out:
            try:
                sent = client.sock.send(client.out)
            except BlockingIOError:
                break
            except OSError:
                self.drop(client)
                return
            del client.out[:sent]
        fd = client.sock.fileno()
        if client.finished and not client.out:
            self.drop(client)
            return
        self._loop.watch(fd, READ | WRITE if client.out else READ, lambda mask: self._ready(client, mask))
        self._measure()

    def _measure(self) -> None:
        self._crowded(any(len(client.out) > _BACKLOG for client in self.clients.values()))

    def watched(self) -> bool:
        """Is anybody attached?"""
        return any(client.attached for client in self.clients.values())

    def show(self, stream: int, data: bytes) -> None:
        """Output for everybody who is attached."""
        for client in list(self.clients.values()):
            if client.attached:
                self.send(client, wire.STDOUT if stream == 1 else wire.STDERR, data)

    def finish(self, code: int, oom_killed: bool) -> None:
        """Tell the exit code to the attached and to those who wait; they go once they have read it."""
        for client in list(self.clients.values()):
            if client.attached or client.waiting:
                client.finished = True
                self.send(client, wire.EXIT, wire.EXIT_RECORD.pack(code, oom_killed))
            elif not client.process:
                self.drop(client)

    def close_listener(self, directory: str) -> None:
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            try:
                os.unlink(f"{directory}/sock")
            except FileNotFoundError:
                pass

    @staticmethod
    def fields(payload: bytes) -> Request:
        found = marshal.loads(payload)
        return found if isinstance(found, dict) else {}
