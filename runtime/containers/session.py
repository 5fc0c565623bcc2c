"""A conversation with a process in a container: attach and exec look the same to a caller."""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import struct
import termios
from typing import Protocol

from runtime.monitor import wire

__all__ = ["AttachSession", "ExecSession", "Session"]

_CHUNK = 1 << 16


class Session(Protocol):
    """``read`` until None, then ``wait``. One thread reads; any thread may write."""

    tty: bool
    oom_killed: bool
    """Known after :meth:`wait`: the kernel killed something in the container for want of memory."""

    def fileno(self) -> int:
        """Readable when output (or the end) waits."""
        ...

    def read(self) -> tuple[int, bytes] | None:
        """The next chunk as (1 stdout | 2 stderr, data); blocks; None when the process has ended."""
        ...

    def write(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def signal(self, signal: int) -> None: ...

    def wait(self) -> int:
        """The exit code."""
        ...

    def detach(self) -> None:
        """Leave; the process lives on."""
        ...


class AttachSession:
    """The container's first process, through its monitor."""

    def __init__(self, sock: _socket.socket, tty: bool, buffer: wire.FrameBuffer | None = None) -> None:
        self.tty = tty
        self._sock = sock
        self._buffer = buffer or wire.FrameBuffer()
        self.oom_killed = False
        self._code: int | None = None

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def buffered(self) -> bool:
        """A whole frame is here already: do not wait for the descriptor."""
        return self._buffer.complete

    def read(self) -> tuple[int, bytes] | None:
        while self._code is None:
            item = self._buffer.next()
            if item is None:
                try:
                    alive = wire.receive(self._sock, self._buffer, 1 << 18)
                except OSError:
                    alive = False
                if not alive:
                    self._code = 137
                continue
            kind, payload = item
            if kind == wire.STDOUT:
                return 1, payload
            if kind == wire.STDERR:
                return 2, payload
            if kind == wire.EXIT:
                self._code, self.oom_killed = wire.EXIT_RECORD.unpack(payload)
        return None

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError:  # the container ended; read() tells
            pass

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            self._send(wire.frame(wire.STDIN, data[start : start + _CHUNK]))

    def close_stdin(self) -> None:
        self._send(wire.frame(wire.STDIN_EOF))

    def resize(self, rows: int, columns: int) -> None:
        self._send(wire.frame(wire.WINDOW, struct.pack(">HH", rows, columns)))

    def signal(self, signal: int) -> None:
        self._send(wire.frame(wire.SIGNAL, bytes([signal])))

    def wait(self) -> int:
        while self.read() is not None:
            pass
        assert self._code is not None
        return self._code

    def detach(self) -> None:
        self._sock.close()


class ExecSession:
    """Another process: its pipes, or its terminal's master, are ours; the monitor tells when it ends."""

    def __init__(
        self,
        sock: _socket.socket,
        buffer: wire.FrameBuffer,
        *,
        master: int = -1,
        stdin: int = -1,
        outputs: dict[int, int] | None = None,
    ) -> None:
        self.tty = master >= 0
        self._sock = sock
        self._buffer = buffer
        self._stdin = master if self.tty else stdin
        self._outputs = {master: 1} if self.tty else dict(outputs or {})
        self.oom_killed = False
        self._code: int | None = None
        self._poll = select.epoll()
        for fd in self._outputs:
            self._poll.register(fd, select.EPOLLIN)
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        return self._poll.fileno()

    def read(self) -> tuple[int, bytes] | None:
        while self._outputs or self._code is None:
            for fd, _mask in self._poll.poll():
                if fd == self._sock.fileno():
                    self._hear()
                    continue
                try:
                    data = os.read(fd, _CHUNK)
                except OSError:  # EIO: the terminal has no process left
                    data = b""
                if data:
                    return self._outputs[fd], data
                self._close(fd)
                break
            # The process is gone and a child of it holds the terminal: what is there was read.
            if self._code is not None and not self._ready():
                for fd in list(self._outputs):
                    self._close(fd)
        return None

    def _ready(self) -> bool:
        return bool(self._outputs) and bool(self._poll.poll(0))

    def _close(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._outputs.pop(fd)
        os.close(fd)
        if fd == self._stdin:
            self._stdin = -1

    def _hear(self) -> None:
        item = self._buffer.next()
        if item is None:
            try:
                alive = wire.receive(self._sock, self._buffer)
            except OSError:
                alive = False
            if alive:
                item = self._buffer.next()
                if item is None:
                    return
        if item is None:
            self._code = 137
        elif item[0] == wire.EXIT:
            self._code, self.oom_killed = wire.EXIT_RECORD.unpack(item[1])
        if self._code is not None:
            self._poll.unregister(self._sock.fileno())
            self._sock.close()

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._stdin >= 0:
            try:
                view = view[os.write(self._stdin, view) :]
            except OSError:
                return

    def close_stdin(self) -> None:
        if self.tty:
            self.write(b"\x04")
        elif self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def resize(self, rows: int, columns: int) -> None:
        if self.tty and self._stdin >= 0:
            fcntl.ioctl(self._stdin, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, signal: int) -> None:
        if self._code is None:
            try:
                self._sock.sendall(wire.frame(wire.SIGNAL, bytes([signal])))
            except OSError:
                pass

    def wait(self) -> int:
        while self.read() is not None:
            pass
        assert self._code is not None
        return self._code

    def detach(self) -> None:
        for fd in list(self._outputs):
            self._close(fd)
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
        self._sock.close()
