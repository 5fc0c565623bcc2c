"""Capabilities of files as their extended attribute has them (linux/capability.h, ``vfs_ns_cap_data``).

Revision 2 gives them to whoever executes the file; revision 3 in one user namespace only: the one whose root
has the id of the host that it ends with.
"""

from __future__ import annotations

import struct

__all__ = ["for_root", "of_root"]

_REVISION = 0xFF000000
_VERSION_2, _VERSION_3 = 0x02000000, 0x03000000
_WORDS = struct.Struct("<5I")


def for_root(value: bytes, root: int) -> bytes:
    """Revision 2, as an archive has it, for the namespace with that root; anything else as it is."""
    if len(value) != _WORDS.size:
        return value
    magic, *sets = _WORDS.unpack(value)
    if magic & _REVISION != _VERSION_2:
        return value
    return _WORDS.pack(magic & ~_REVISION | _VERSION_3, *sets) + struct.pack("<I", root)


def of_root(value: bytes, root: int) -> bytes:
    """The way back: revision 3 of that namespace as it looks inside."""
    if len(value) != _WORDS.size + 4 or struct.unpack_from("<I", value, _WORDS.size)[0] != root:
        return value
    magic, *sets = _WORDS.unpack_from(value)
    if magic & _REVISION != _VERSION_3:
        return value
    return _WORDS.pack(magic & ~_REVISION | _VERSION_2, *sets)
