"""Frames on a monitor's control socket, both directions.

A frame is one byte of kind, the payload's length as 4 bytes big-endian, and the payload. Requests and
replies are marshalled dicts (the run directory is 0700 and only root reaches the socket, and both ends
are the same Python); file descriptors ride along with them (unix(7), SCM_RIGHTS).

====  =========  ========================================================
kind  direction  payload
====  =========  ========================================================
``?`` to         a request: {"op": ...}
``I`` to         standard input
``E`` to         standard input ends
``W`` to         window size: rows, columns (2 bytes each)
``S`` to         a signal for the process (1 byte)
``Q`` from       a reply to a request
``O`` from       standard output
``R`` from       standard error
``X`` from       the process ended: exit code (4 bytes), 1 if memory ran out
====  =========  ========================================================
"""

from __future__ import annotations

import _socket
import _struct as struct  # the C module: the Python one is one more file to find
import marshal
import os

__all__ = [
    "EXIT",
    "EXIT_RECORD",
    "MAX_FRAME",
    "REPLY",
    "REQUEST",
    "SIGNAL",
    "STDERR",
    "STDIN",
    "STDIN_EOF",
    "STDOUT",
    "WINDOW",
    "WINDOW_SIZE",
    "FrameBuffer",
    "connect",
    "frame",
    "listen",
    "pack_fds",
    "receive",
    "request",
    "send_with_fds",
    "unpack_fds",
]

REQUEST = b"?"
STDIN = b"I"
STDIN_EOF = b"E"
WINDOW = b"W"
SIGNAL = b"S"
REPLY = b"Q"
STDOUT = b"O"
STDERR = b"R"
EXIT = b"X"

MAX_FRAME = 8 << 20
_HEADER = struct.Struct(">cI")
WINDOW_SIZE = struct.Struct(">HH")
EXIT_RECORD = struct.Struct(">i?")


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def request(fields: dict[str, object], kind: bytes = REQUEST) -> bytes:
    return frame(kind, marshal.dumps(fields))


class FrameBuffer:
    """Collects bytes and file descriptors; yields whole frames."""

    __slots__ = ("_data", "fds")

    def __init__(self) -> None:
        self._data = bytearray()
        self.fds: list[int] = []

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> tuple[bytes, bytes] | None:
        """(kind, payload) or None. Raises ValueError for a frame larger than :data:`MAX_FRAME`."""
        if len(self._data) < 5:
            return None
        kind, length = _HEADER.unpack_from(self._data)
        if length > MAX_FRAME:
            raise ValueError(f"frame of {length} bytes")
        if len(self._data) < 5 + length:
            return None
        payload = bytes(self._data[5 : 5 + length])
        del self._data[: 5 + length]
        return kind, payload

    @property
    def complete(self) -> bool:
        """Would :meth:`next` give a frame?"""
        return len(self._data) >= 5 and len(self._data) >= 5 + _HEADER.unpack_from(self._data)[1]

    def take_fds(self) -> list[int]:
        fds, self.fds = self.fds, []
        return fds


def pack_fds(fds: list[int]) -> bytes:
    """SCM_RIGHTS (unix(7)). Not with ``array``, which loads ``collections``: a quarter of a megabyte each."""
    return struct.pack(f"{len(fds)}i", *fds)


def unpack_fds(payload: bytes) -> tuple[int, ...]:
    """The whole descriptors in an SCM_RIGHTS message."""
    count = len(payload) // 4
    return struct.unpack(f"{count}i", payload[: count * 4])


def receive(sock: _socket.socket, buffer: FrameBuffer, size: int = 1 << 16) -> bool:
    """One read of the socket into ``buffer``; False at its end. Raises BlockingIOError when empty."""
    data, ancillary, _flags, _address = sock.recvmsg(size, 256, _socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            buffer.fds.extend(unpack_fds(payload))
    if not data:
        return False
    buffer.feed(data)
    return True


def send_with_fds(sock: _socket.socket, data: bytes, fds: list[int]) -> None:
    """All of ``data``, the descriptors with its first byte. The socket must be blocking."""
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack_fds(fds))] if fds else []
    sent = sock.sendmsg([data], ancillary)
    if sent < len(data):
        sock.sendall(data[sent:])


def listen(directory: str, name: str = "sock") -> _socket.socket:
    """A listening socket in ``directory``, however long its path is (unix(7) allows 107 bytes)."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            pass
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        sock.bind(f"/proc/self/fd/{fd}/{name}")
        sock.listen(64)
    finally:
        os.close(fd)
    return sock


def connect(directory: str, name: str = "sock") -> _socket.socket:
    """A connection to the monitor that listens there. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        sock.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)
    return sock
