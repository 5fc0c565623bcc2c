"""The main process's standard streams: read at the pipe's speed, logged, shown to who is attached.

An attached client that does not keep up holds the reading back (as a pipe to it would); nobody attached
never holds anything back. While nobody is, output goes from the pipe to the log inside the kernel. With
``mode=blocking`` a full disk holds it back too, until there is room.
"""

from __future__ import annotations

import fcntl
import os
import time

from runtime.monitor.log import LogWriter
from runtime.monitor.loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PIPE_SIZE", "Streams", "grow_pipe"]

PIPE_SIZE = 1 << 20
_CHUNK = 256 << 10
_F_SETPIPE_SZ = 1031
_SMALL = 32 << 10
_BUSY = 0.005
"""Chunks that follow each other sooner than that, in seconds, come from a program that writes steadily."""
_GATHER = 0.002
"""How long such a program's small chunks may gather in the pipe, in seconds: one wake-up for many lines
leaves it the processor that it shares with us. The pipe holds :data:`PIPE_SIZE`, so it does not wait."""
_FULL_PAUSE = 0.2
"""Seconds between two looks whether a full disk has room."""


def grow_pipe(fd: int) -> None:
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:  # over the user's pipe limit: the default size works too
        pass


class Streams:
    """Our ends. ``outputs`` maps a descriptor to its stream (1, 2); ``stdin`` is -1 when closed."""

    __slots__ = (
        "_closing", "_held", "_last", "_loop", "_muted", "_pending", "_show", "_watched", "log", "outputs",
        "stdin", "tty",
    )  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        log: LogWriter | None,
        show: Callable[[int, bytes], None],
        watched: Callable[[], bool],
    ) -> None:
        """``show`` gives a chunk to who is attached; ``watched`` says whether anybody is."""
        self._loop = loop
        self._show = show
        self._watched = watched
        self._held: tuple[int, bytes] | None = None
        self._last = 0.0
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
            mask = 0 if self._muted or self._held else READ
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
            if mask & ~WRITE and not (self._muted or self._held):
                if 0 < self._read(fd) < _SMALL:
                    self._gather()
            elif mask & ~(WRITE | READ):
                self._loop.forget(fd)  # a hang-up while muted: read later, in drain or when unmuted

        return handle

    def _read(self, fd: int, *, last: bool = False) -> int:
        """Take one chunk: its length; 0 when there is nothing more, now or ever."""
        stream = self.outputs.get(fd)
        if stream is None:
            return 0
        try:
            taken = self._splice(fd, stream)
            if taken < 0:
                taken = self._copy(fd, stream, last)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: the terminal has no process left
            taken = 0
        if not taken:
            self._close_output(fd)
        return taken

    def _splice(self, fd: int, stream: int) -> int:
        """From the pipe to the log inside the kernel; -1 when somebody has to see the bytes."""
        if self.log is None or self.tty or self._watched():
            return -1
        return self.log.splice(stream, fd)

    def _copy(self, fd: int, stream: int, last: bool) -> int:
        data = os.read(fd, _CHUNK)
        if data and self.log is not None:
            taken = self.log.write(stream, data, last=last)
            if taken < len(data):
                self._held = (stream, data[taken:])
                self._watch()
                self._loop.after("log", _FULL_PAUSE, self._try_again)
        if data:
            self._show(stream, data)
        return len(data)

    def _try_again(self) -> None:
        """The disk was full, and ``mode=blocking`` says to wait: what was read goes first."""
        if self._held is None or self.log is None:
            return
        stream, data = self._held
        data = data[self.log.write(stream, data) :]
        self._held = (stream, data) if data else None
        if data:
            self._loop.after("log", _FULL_PAUSE, self._try_again)
        else:
            self._watch()

    def _gather(self) -> None:
        """Let the small chunks of a program that writes steadily become larger ones."""
        now = time.monotonic()
        if now - self._last < _BUSY and not self._watched():
            time.sleep(_GATHER)
            now = time.monotonic()
        self._last = now

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
        if self._held is not None and self.log is not None:
            self.log.write(*self._held, last=True)
        self._held = None
        self._loop.cancel("log")
        for fd in list(self.outputs):
            while self._read(fd, last=True):
                pass
            if fd in self.outputs:
                self._close_output(fd)
        if self.stdin >= 0 and not self.tty:
            self._loop.forget(self.stdin)
            os.close(self.stdin)
        self.stdin = -1
        if self.log is not None:
            self.log.flush()
