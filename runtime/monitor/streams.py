"""The main process's standard streams: read at the pipe's speed, logged, shown to who is attached.

An attached client that does not keep up holds the reading back (as a pipe to it would); nobody attached
never holds anything back.
"""

from __future__ import annotations

import fcntl
import os

from runtime.monitor.log import LogWriter
from runtime.monitor.loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PIPE_SIZE", "Streams", "grow_pipe"]

PIPE_SIZE = 1 << 20
_CHUNK = 256 << 10
_F_SETPIPE_SZ = 1031


def grow_pipe(fd: int) -> None:
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:  # over the user's pipe limit: the default size works too
        pass


class Streams:
    """Our ends. ``outputs`` maps a descriptor to its stream (1, 2); ``stdin`` is -1 when closed."""

    __slots__ = ("_closing", "_loop", "_muted", "_pending", "_show", "log", "outputs", "stdin", "tty")

    def __init__(self, loop: Loop, log: LogWriter | None, show: Callable[[int, bytes], None]) -> None:
        self._loop = loop
        self._show = show
        self._pending = bytearray()
        self._muted = False
        self._closing = False
        self.log = log
        self.outputs: dict[int, int] = {}
        self.stdin = -1
        self.tty = False

    def take(self, outputs: dict[int, int], stdin: int, tty: bool) -> None:
        """The streams of a process that has just started."""
        self.outputs, self.stdin, self.tty, self._closing = outputs, stdin, tty, False
        for fd in outputs:
            os.set_blocking(fd, False)
        if stdin >= 0:
            os.set_blocking(stdin, False)
        self._watch()

    def _watch(self) -> None:
        for fd in list(self.outputs):
            mask = 0 if self._muted else READ
            if self.tty and self._pending:
                mask |= WRITE
            self._loop.watch(fd, mask, self._handler(fd))
        if not self.tty and self.stdin >= 0:
            if self._pending:
                self._loop.watch(self.stdin, WRITE, lambda mask: self._write_pending())
            else:
                self._loop.forget(self.stdin)

    def _handler(self, fd: int) -> Callable[[int], None]:
        def handle(mask: int) -> None:
            if mask & WRITE and self.tty:
                self._write_pending()
            if mask & ~WRITE and not self._muted:
                self._read(fd)
            elif mask & ~(WRITE | READ) and self._muted:
                self._loop.forget(fd)  # a hang-up while muted: read later, in drain or when unmuted

        return handle

    def _read(self, fd: int) -> bool:
        """False when there is nothing more, now or ever."""
        stream = self.outputs.get(fd)
        if stream is None:
            return False
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the terminal has no process left
            data = b""
        if not data:
            self._close_output(fd)
            return False
        if self.log is not None:
            self.log.write(stream, data)
        self._show(stream, data)
        return True

    def _close_output(self, fd: int) -> None:
        self._loop.forget(fd)
        self.outputs.pop(fd, None)
        if self.tty:
            self.stdin = -1
        os.close(fd)

    def mute(self, muted: bool) -> None:
        """Stop or go on reading, for a client that does not keep up."""
        if muted != self._muted:
            self._muted = muted
            self._watch()

    @property
    def stdin_backlog(self) -> int:
        return len(self._pending)

    def write(self, data: bytes) -> None:
        """To standard input; kept until the process reads it."""
        if self.stdin < 0:
            return
        self._pending += data
        self._write_pending()

    def _write_pending(self) -> None:
        while self._pending and self.stdin >= 0:
            try:
                written = os.write(self.stdin, self._pending[:65536])
            except BlockingIOError:
                break
            except OSError:
                self._pending.clear()
                self.close_stdin()
                break
            del self._pending[:written]
        if self.stdin >= 0:
            self._watch()
            if not self._pending and self._closing:
                self.close_stdin()

    def close_stdin(self) -> None:
        """End of input: now, or once what is pending was read."""
        if self.stdin < 0:
            return
        if self.tty:
            self.write(b"\x04")
            return
        if self._pending:
            self._closing = True
            return
        self._loop.forget(self.stdin)
        os.close(self.stdin)
        self.stdin = -1

    def drain(self) -> None:
        """The process is gone: take what is left in the pipes and close them."""
        self._muted = False
        self._pending.clear()
        for fd in list(self.outputs):
            while self._read(fd):
                pass
            if fd in self.outputs:
                self._close_output(fd)
        if self.stdin >= 0 and not self.tty:
            self._loop.forget(self.stdin)
            os.close(self.stdin)
        self.stdin = -1
        if self.log is not None:
            self.log.flush()
