"""``RUN --mount=type=ssh``: the caller's agent behind a socket of the step's own.

The agent's own socket belongs to the caller and often lies in a directory that nobody else may enter; a
step's user gets one with the owner and mode that the mount asks for. Bytes are passed on as they are.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

__all__ = ["AgentProxy"]

_CHUNK = 1 << 16
_CLIENTS = 64


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """By its directory: sun_path holds 107 bytes (unix(7)) and the state directory may lie deep."""
    parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{parent}/{path.name}"
    finally:
        os.close(parent)


class AgentProxy:
    """A context manager: the socket is there while it is entered. ``place`` is its path."""

    def __init__(self, agent: Path, place: Path, mode: int, uid: int, gid: int) -> None:
        self._agent = agent
        self._place = place
        self._mode = mode
        self._owner = (uid, gid)

    def __enter__(self) -> AgentProxy:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self._place) as path:
            self._listener.bind(path)
        os.chown(self._place, *self._owner)
        self._place.chmod(self._mode)
        self._listener.listen(_CLIENTS)
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="ssh agent", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._end)
        self._thread.join()
        os.close(self._ended)
        self._listener.close()
        self._place.unlink(missing_ok=True)

    def _serve(self) -> None:
        """One thread for all connections: an agent's messages are small and rare."""
        others: dict[socket.socket, socket.socket] = {}
        while True:
            watched: list[socket.socket | int] = [self._ended, self._listener, *others]
            ready = select.select(watched, [], [])[0]
            if self._ended in ready:
                break
            for item in ready:
                if item is self._listener:
                    self._accept(others)
                elif isinstance(item, socket.socket) and item in others:
                    self._pass_on(item, others)
        for item in others:
            item.close()

    def _accept(self, others: dict[socket.socket, socket.socket]) -> None:
        client, _ = self._listener.accept()
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if len(others) >= 2 * _CLIENTS:
                raise OSError
            with _short(self._agent) as path:
                agent.connect(path)
        except OSError:
            client.close()
            agent.close()
            return
        others[client], others[agent] = agent, client

    def _pass_on(self, item: socket.socket, others: dict[socket.socket, socket.socket]) -> None:
        other = others[item]
        try:
            data = item.recv(_CHUNK)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (item, other):
            others.pop(end, None)
            end.close()
