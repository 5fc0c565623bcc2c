"""Tar headers, deterministically: ustar, with pax records where a value does not fit (pax(1))."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.images.tar_reader import BLOCK

__all__ = ["END", "header", "padding"]

END = bytes(2 * BLOCK)
"""An archive ends with two empty blocks."""

_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


def padding(size: int) -> bytes:
    """What fills a payload up to whole blocks."""
    return bytes(-size % BLOCK)


def header(
    name: bytes,
    kind: int,
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    linkname: bytes = b"",
    major: int = 0,
    minor: int = 0,
    xattrs: dict[bytes, bytes] | None = None,
) -> bytes:
    """The block (or blocks) before an entry's payload. ``kind`` is a type of :mod:`tar_reader`; ``mtime`` is
    in seconds. Names that are not UTF-8 are marked with ``hdrcharset=BINARY``."""
    records: list[tuple[bytes, bytes]] = []
    if len(name) > 100:
        records.append((b"path", name))
    if len(linkname) > 100:
        records.append((b"linkpath", linkname))
    if size > _MAX_OCTAL_11:
        records.append((b"size", b"%d" % size))
    if uid > _MAX_OCTAL_7:
        records.append((b"uid", b"%d" % uid))
    if gid > _MAX_OCTAL_7:
        records.append((b"gid", b"%d" % gid))
    if not 0 <= mtime <= _MAX_OCTAL_11:
        records.append((b"mtime", b"%d" % mtime))
    for key in sorted(xattrs or ()):
        records.append((b"SCHILY.xattr." + key, (xattrs or {})[key]))
    if any(key in (b"path", b"linkpath") and not _is_utf8(value) for key, value in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    block = _block(
        name[:100],
        kind,
        mode,
        uid if uid <= _MAX_OCTAL_7 else 0,
        gid if gid <= _MAX_OCTAL_7 else 0,
        size if size <= _MAX_OCTAL_11 else 0,
        mtime if 0 <= mtime <= _MAX_OCTAL_11 else 0,
        linkname[:100],
        major,
        minor,
    )
    if not records:
        return block
    data = b"".join(_records(records))
    return _block(b"pax", b"x"[0], 0o644, 0, 0, len(data), 0, b"", 0, 0) + data + padding(len(data)) + block


def _records(records: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        yield b"%d" % length + body


def _block(
    name: bytes,
    kind: int,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    linkname: bytes,
    major: int,
    minor: int,
) -> bytes:
    before = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, uid, gid, size, mtime)
    after = b"%c%sustar\00000%64s%07o\0%07o\0%167s" % (
        kind,
        linkname.ljust(100, b"\0"),
        bytes(64),
        major,
        minor,
        bytes(167),
    )
    checksum = sum(before) + 8 * 32 + sum(after)
    return before + b"%06o\0 " % checksum + after


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
