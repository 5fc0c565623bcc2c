"""Bridges a Session to this terminal, pipe or file: bytes, window size, signals, detach keys, exit code.

One thread copies the output; the main thread feeds the input and lives through the signals. When the keys to
detach are typed the main thread simply leaves, whatever the other one waits for.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from tuidock.cli.detach_keys import DEFAULT, DetachKeys

if TYPE_CHECKING:
    from runtime.containers.session import Session

__all__ = ["Bridge", "RawTerminal", "bridge", "check_terminal", "window_size"]

_CHUNK = 1 << 16
_PROXIED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
)
_LEAVE_AFTER = 3
"""So many interrupts in a row end the command even when the container ignores them, as docker does."""


def check_terminal(tty: bool, stdin: bool) -> None:
    """Raises InvalidInput when a terminal is asked for and the input that is passed on is none."""
    if tty and stdin and not os.isatty(0):
        from runtime.errors import InvalidInput

        raise InvalidInput("the input device is not a TTY", hint="leave out -t when the input is no terminal")


def window_size(fd: int = 1) -> tuple[int, int]:
    """(rows, columns) of a terminal; (0, 0) when ``fd`` is none (ioctl_tty(2), TIOCGWINSZ)."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return 0, 0
    return rows, columns


class RawTerminal:
    """Puts the terminal ``fd`` into raw mode; its settings come back on leaving, whatever happens."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[int | list[bytes | int]] | None = None

    def __enter__(self) -> RawTerminal:
        import tty

        self._saved = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSANOW)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
            self._saved = None


class _Ended(BaseException):
    """A signal ends this command (not the container): unwinds to where the terminal is restored."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Bridge:
    """``run()`` returns the exit code: the process's, or 0 when the user detached."""

    def __init__(
        self,
        session: Session,
        *,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: bytes = DEFAULT,
        proxy_signals: bool = True,
    ) -> None:
        self._session = session
        self._stdin = stdin
        self._wanted = {1: stdout, 2: stderr}
        self._keys = DetachKeys(detach_keys) if session.tty else None
        self._proxy = proxy_signals
        self._ended, self._end_writer = os.pipe()
        self._error: BaseException | None = None
        self._interrupts = 0

    def run(self) -> int:
        session = self._session
        typed = session.tty and self._stdin and os.isatty(0)
        sys.stdout.flush()
        restore = self._install_signals()
        raw = RawTerminal(0) if typed else None
        reader = threading.Thread(target=self._copy_output, name="output", daemon=True)
        try:
            if raw is not None:
                raw.__enter__()
            if session.tty:
                self._resize()
            reader.start()
            detached = self._feed_input()
        except _Ended as end:
            return 128 + end.number
        finally:
            if raw is not None:
                raw.restore()
            for number, handler in restore.items():
                signal.signal(number, handler)
        if detached:
            return 0
        reader.join()
        if self._error is not None:
            raise self._error
        return session.wait()

    def _copy_output(self) -> None:
        """Runs in the other thread until the process has ended; then wakes the main one."""
        read, wanted = self._session.read, self._wanted
        try:
            while (chunk := read()) is not None:
                stream, data = chunk
                if not wanted[stream]:
                    continue
                view = memoryview(data)
                while view:
                    view = view[os.write(stream, view) :]
        except OSError as error:
            self._error = error
        finally:
            os.write(self._end_writer, b".")

    def _feed_input(self) -> bool:
        """Until the process ends (False) or the user detaches (True)."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        if self._stdin:
            poll.register(0, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._ended in ready:
                return False
            if 0 not in ready:
                continue
            try:
                data = os.read(0, _CHUNK)
            except OSError:  # EIO: our terminal is gone, or we are in its background
                data = b""
            if not data:
                poll.unregister(0)
                self._session.close_stdin()
                continue
            if self._keys is None:
                self._session.write(data)
                continue
            passed, complete = self._keys.feed(data)
            if passed:
                self._session.write(passed)
            if complete:
                self._session.detach()
                return True

    def _resize(self) -> None:
        rows, columns = window_size(1)
        if not rows:
            rows, columns = window_size(0)
        if rows and columns:
            self._session.resize(rows, columns)

    def _install_signals(self) -> dict[int, signal._HANDLER]:
        """The handlers that were there. With a terminal of its own the container gets the keys, so signals
        to this command are meant for it alone; without, they are passed on."""
        before: dict[int, signal._HANDLER] = {}
        handler = self._on_end if self._session.tty or not self._proxy else self._on_proxy
        numbers = _PROXIED if handler is self._on_proxy else (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            before[number] = signal.signal(number, handler)
        if self._session.tty:
            before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._on_resize)
        return before

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        raise _Ended(number)

    def _on_proxy(self, number: int, frame: FrameType | None) -> None:
        self._session.signal(number)
        if number in (signal.SIGINT, signal.SIGTERM):
            self._interrupts += 1
            if self._interrupts >= _LEAVE_AFTER:
                os.write(2, f"\ntuidock: got {_LEAVE_AFTER} interrupts, leaving the container\n".encode())
                raise _Ended(number)

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        self._resize()


def bridge(
    session: Session,
    *,
    stdin: bool,
    stdout: bool = True,
    stderr: bool = True,
    detach_keys: bytes = DEFAULT,
    proxy_signals: bool = True,
) -> int:
    """Until the process ends or the user detaches; see :class:`Bridge`."""
    return Bridge(
        session,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        detach_keys=detach_keys,
        proxy_signals=proxy_signals,
    ).run()
