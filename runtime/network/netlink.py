"""Netlink framing: requests, acknowledgements, dumps and attributes (netlink(7), RFC 3549).

A whole start sends a handful of messages, so they are encoded here with ``struct``: loading a netlink
library costs more than all of the kernel's work (docs/decisions/0010-netlink-encoded-by-hand.md).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "NLM_F_ACK", "NLM_F_CREATE", "NLM_F_DUMP", "NLM_F_EXCL", "Message", "Netlink", "NetlinkError",
    "attribute", "attributes", "nested", "string",
]  # fmt: skip

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
SOL_NETLINK = 270
SO_SNDBUFFORCE = 32
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")

Message = tuple[int, int, bytes]
"""Type, flags (``NLM_F_REQUEST`` is added), payload."""


class NetlinkError(OSError):
    """The kernel refused a request; ``strerror`` names what was asked and carries the kernel's own words."""

    def __init__(self, code: int, what: str, detail: str = "") -> None:
        text = f"{what}: {os.strerror(code)}"
        super().__init__(code, f"{text} ({detail})" if detail else text)
        self.what = what
        self.detail = detail


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *children: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(children))


def string(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in ``data`` by type; of a repeated one the last."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Netlink:
    """One socket of one protocol, in the network namespace of the thread that made it."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            try:
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            except OSError as error:  # an older kernel: errors come without words, dumps unfiltered
                if error.errno != errno.ENOPROTOOPT:
                    raise
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def _frame(self, message: Message) -> bytes:
        kind, flags, payload = message
        self._sequence += 1
        padding = b"\0" * (-len(payload) % 4)
        return (
            _HEADER.pack(16 + len(payload), kind, flags | NLM_F_REQUEST, self._sequence, 0)
            + payload
            + padding
        )

    def request(self, messages: Sequence[Message], what: str, *, ignore: Iterable[int] = ()) -> None:
        """Send all in one datagram and wait for every acknowledgement. The kernel works through all of
        them even when one fails; the first failure is raised as NetlinkError, ``ignore`` (errno) aside."""
        first = self._sequence + 1
        frames = [self._frame((kind, flags | NLM_F_ACK, payload)) for kind, flags, payload in messages]
        self._socket.send(b"".join(frames))
        waiting = set(range(first, self._sequence + 1))
        failure: NetlinkError | None = None
        while waiting:
            for kind, sequence, payload in self._receive():
                if kind != NLMSG_ERROR or sequence not in waiting:
                    continue
                waiting.discard(sequence)
                code, detail = _verdict(payload)
                if code and code not in ignore and failure is None:
                    failure = NetlinkError(code, what, detail)
        if failure is not None:
            raise failure

    def transaction(self, frames: Sequence[Message], what: str) -> None:
        """A batch as nfnetlink has it: only errors are answered, before ``send`` returns. Raises the
        first as NetlinkError."""
        data = b"".join([self._frame(frame) for frame in frames])
        if len(data) > 100_000:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * len(data))
        self._socket.send(data)
        while True:
            try:
                answers = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for kind, _, payload in answers:
                if kind == NLMSG_ERROR:
                    code, detail = _verdict(payload)
                    if code:
                        raise NetlinkError(code, what, detail)

    def get(self, message: Message, what: str) -> bytes | None:
        """The payload of the one object asked for; None when there is no such object."""
        sequence = self._sequence + 1
        self._socket.send(self._frame(message))
        while True:
            for kind, answered, payload in self._receive():
                if answered != sequence:
                    continue
                if kind != NLMSG_ERROR:
                    return payload
                code, detail = _verdict(payload)
                if code in (errno.ENOENT, errno.ENODEV):
                    return None
                raise NetlinkError(code, what, detail)

    def dump(self, kind: int, payload: bytes, what: str) -> Iterator[bytes]:
        """The payloads of every object of a kind. Raises NetlinkError."""
        sequence = self._sequence + 1
        self._socket.send(self._frame((kind, NLM_F_DUMP, payload)))
        while True:
            for answer, answered, body in self._receive():
                if answered != sequence:
                    continue
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    raise NetlinkError(*_named(body, what))
                yield body

    def _receive(self, flags: int = 0) -> list[tuple[int, int, bytes]]:
        data = self._socket.recv(1 << 18, flags)
        found = []
        offset = 0
        while offset + 16 <= len(data):
            length, kind, head_flags, sequence, _ = _HEADER.unpack_from(data, offset)
            payload = data[offset + 16 : offset + length]
            if kind == NLMSG_ERROR:
                payload = bytes([head_flags & 0xFF, head_flags >> 8]) + payload
            found.append((kind, sequence, payload))
            offset += (length + 3) & ~3
        return found


def _verdict(payload: bytes) -> tuple[int, str]:
    """The errno (0: done) and the kernel's words of an NLMSG_ERROR, its flags put before it."""
    flags, code = struct.unpack_from("=Hi", payload)
    if not flags & NLM_F_ACK_TLVS:
        return -code, ""
    body = payload[6:]
    skip = 16 if flags & NLM_F_CAPPED else (struct.unpack_from("=I", body)[0] + 3) & ~3
    words = attributes(body[skip:]).get(NLMSGERR_ATTR_MSG, b"")
    return -code, words.rstrip(b"\0").decode(errors="replace")


def _named(payload: bytes, what: str) -> tuple[int, str, str]:
    code, detail = _verdict(payload)
    return code, what, detail
