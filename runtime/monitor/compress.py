"""``python -I -S compress.py LOG MAX-FILE``: compress the rotated files of a log, newest first, then end.

A program of its own at the lowest priority, so that a monitor loads no zlib and never waits. What it makes is
an ordinary gzip file (RFC 1952) of many members of at most :data:`BLOCK` bytes each. A member's header
carries its compressed and its plain length in an extra field ("TD"), so that a reader hops from member to
member to the one that it wants.

The file is made without a name (O_TMPFILE, which an upper directory of overlayfs needs as well) and takes
the place of the plain one in one step under the lock that the rotation takes too: a crash leaves nothing.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import zlib

__all__ = ["BLOCK", "EXTRA", "compress_rotated", "member"]

BLOCK = 1 << 20
EXTRA = struct.Struct("<2sHII")
"""Inside the header's extra field: "TD", 8, the length of the whole member, the length of its content."""

HEADER = struct.Struct("<4B4x2BH")
"""ID1, ID2, CM (8: deflate), FLG (4: an extra field), no time, XFL, OS (3: Unix), the extra's length."""


def member(data: bytes) -> bytes:
    """A gzip member with ``data`` in it."""
    deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    whole = HEADER.size + EXTRA.size + len(body) + 8
    return b"".join((
        HEADER.pack(0x1F, 0x8B, 8, 4, 0, 3, EXTRA.size),
        EXTRA.pack(b"TD", 8, whole, len(data)),
        body,
        struct.pack("<II", zlib.crc32(data), len(data)),
    ))  # fmt: skip


def compress_rotated(path: str, most: int) -> None:
    """Until no plain rotated file is left. One that the rotation drops meanwhile is left alone."""
    failed: set[int] = set()
    while True:
        for number in range(1, most):
            try:
                source = os.open(f"{path}.{number}", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            inode = os.fstat(source).st_ino
            if inode not in failed:
                break
            os.close(source)
        else:
            return
        try:
            if not _replace(path, most, source, inode):
                failed.add(inode)
        finally:
            os.close(source)


def _replace(path: str, most: int, source: int, inode: int) -> bool:
    directory = os.path.dirname(path)
    target = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    turn = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        offset = 0
        while block := os.pread(source, BLOCK, offset):
            data = memoryview(member(block))
            while data:
                data = data[os.write(target, data) :]
            offset += len(block)
        fcntl.flock(turn, fcntl.LOCK_EX)
        for number in range(1, most):
            name = f"{path}.{number}"
            try:
                if os.stat(name).st_ino != inode:
                    continue
            except FileNotFoundError:
                continue
            try:
                os.unlink(f"{name}.gz")
            except FileNotFoundError:
                pass
            # With a descriptor of the directory Python calls linkat(2), which can follow /proc's link.
            os.link(f"/proc/self/fd/{target}", f"{os.path.basename(name)}.gz", dst_dir_fd=turn)
            os.unlink(name)
            return True
        return False
    finally:
        os.close(turn)
        os.close(target)


if __name__ == "__main__":
    os.nice(19)
    try:
        compress_rotated(sys.argv[1], int(sys.argv[2]))
    except OSError as error:  # a full disk, or the container was removed: plain files are read as well
        sys.exit(f"compressing {sys.argv[1]}: {error.strerror}")
