"""The keys that leave a container's terminal without stopping it: ``ctrl-p,ctrl-q``."""

from __future__ import annotations

from runtime.errors import InvalidInput

__all__ = ["DEFAULT", "DetachKeys", "parse_detach_keys"]

DEFAULT = b"\x10\x11"


def parse_detach_keys(text: str) -> bytes:
    """docker's form: a letter, or ``ctrl-`` and one of a-z @ [ , _ \\ ] ^, separated by commas."""
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1:
            keys += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and (key[5].isalpha() or key[5] in "@[\\]^_"):
            keys.append(ord(key[5].upper()) & 0x1F)
        elif key == "DEL":
            keys.append(0x7F)
        else:
            raise InvalidInput(
                f"invalid detach keys ({text}): unknown key {key!r}",
                hint="single characters or ctrl-LETTER, separated by commas: ctrl-p,ctrl-q",
                subject=text,
            )
    return bytes(keys)


class DetachKeys:
    """Finds the sequence in what is typed, however it is cut into reads.

    Keys that may begin the sequence are held back until it is known whether they do.
    """

    def __init__(self, keys: bytes = DEFAULT) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the sequence is complete); what follows the sequence is dropped."""
        keys = self._keys
        if not keys:
            return data, False
        if not self._matched and keys[0] not in data:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == keys[self._matched]:
                self._matched += 1
                if self._matched == len(keys):
                    self._matched = 0
                    return bytes(out), True
                continue
            if self._matched:
                out += keys[: self._matched]
                self._matched = 0
                if byte == keys[0]:
                    self._matched = 1
                    continue
            out.append(byte)
        return bytes(out), False
