"""SHA-256 of what is small, without OpenSSL: hashlib loads it, which is 5 ms of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256 as _own
else:
    try:
        from _sha256 import sha256 as _own  # CPython's own code; ``random`` takes its _sha512 the same way
    except ImportError:
        from hashlib import sha256 as _own

__all__ = ["sha256"]

_LARGE = 64 << 10
"""Bytes; OpenSSL uses the processor's instructions and is 5 times as fast."""


def sha256(data: bytes | bytearray) -> bytes:
    """The digest of all of ``data`` (FIPS 180-4)."""
    if len(data) > _LARGE:
        import hashlib

        return hashlib.sha256(data).digest()
    return _own(data).digest()
