"""The terminal of ``oci run`` and ``oci exec`` in the foreground: this one, in raw mode, joined to theirs."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

from tuidock.cli.terminal import RawTerminal, window_size

__all__ = ["Console"]

_CHUNK = 1 << 16


class Console:
    """A pair of sockets: the container's process sends the terminal's master over one end."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def child_end(self) -> int:
        """The descriptor that the process sends over; the receiver closes it."""
        return self._theirs.detach()

    def serve(self) -> None:
        """Copy until the last process has closed the terminal."""
        _data, fds, _flags, _address = socket.recv_fds(self._ours, 4096, 1)
        self._ours.close()
        if not fds:
            return
        master = fds[0]
        self._resize(master)
        signal.signal(signal.SIGWINCH, lambda number, frame: self._resize(master))
        try:
            if os.isatty(0):
                with RawTerminal(0):
                    _copy(master)
            else:
                _copy(master)
        finally:
            os.close(master)

    def _resize(self, master: int) -> None:
        import fcntl
        import termios

        rows, columns = window_size(0)
        if rows and columns:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _copy(master: int) -> None:
    inputs = [master, 0]
    while True:
        ready, _, _ = select.select(inputs, [], [])
        if 0 in ready:
            data = os.read(0, _CHUNK)
            if not data:
                inputs.remove(0)
                data = b"\x04"  # end of file, as a terminal has it
            _write(master, data)
        if master in ready:
            try:
                data = os.read(master, _CHUNK)
            except OSError:  # EIO: nobody has the terminal open any more (pty(7))
                return
            if not data:
                return
            _write(1, data)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
