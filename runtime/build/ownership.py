"""``--chown`` and ``--chmod``: names looked up in the image's own files, modes as numbers or symbols."""

from __future__ import annotations

import re
import stat as stat_bits
from collections.abc import Callable

from runtime.build.layer_writer import Owner
from runtime.images.layer_view import LayerView

__all__ = ["OwnershipError", "mode_change", "resolve_owner"]

_MAX_ID = (1 << 31) - 1
_CLAUSE = r"([ugoa]*)([+=-])([rwxXstugo]*)"
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHO = {"u": 0o700, "g": 0o070, "o": 0o007}


class OwnershipError(ValueError):
    """An unknown name or an impossible mode."""


def resolve_owner(text: str, view: LayerView) -> Owner:
    """``user``, ``user:group``, by name or number. A number alone is the group's too; a name alone has its
    group of /etc/passwd."""
    user, colon, group = text.partition(":")
    uid = gid = 0
    if user:
        if user.isdigit():
            uid = gid = _number(user)
        else:
            fields = _row(view, "etc/passwd", user)
            if fields is None or len(fields) < 4:
                raise OwnershipError(f"unable to find user {user}: no such entry in /etc/passwd of the image")
            uid, gid = _number(fields[2]), _number(fields[3])
    if colon and group:
        if group.isdigit():
            gid = _number(group)
        else:
            fields = _row(view, "etc/group", group)
            if fields is None or len(fields) < 3:
                raise OwnershipError(
                    f"unable to find group {group}: no such entry in /etc/group of the image"
                )
            gid = _number(fields[2])
    return Owner(uid, gid)


def _number(text: str) -> int:
    if not text.isdigit() or int(text) > _MAX_ID:
        raise OwnershipError(f"invalid user or group id {text!r}")
    return int(text)


def _row(view: LayerView, path: str, name: str) -> list[str] | None:
    data = view.read(path) or b""
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.strip().split(":")
        if fields[0] == name:
            return fields
    return None


def mode_change(text: str) -> Callable[[int], int]:
    """From a file's mode (type included) to its new permission bits. ``0755`` or ``u=rwX,go-w``."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        fixed = int(text, 8)
        return lambda _: fixed
    clauses = []
    for part in text.split(","):
        match = re.fullmatch(_CLAUSE, part)
        if match is None:
            raise OwnershipError(
                f"invalid chmod parameter: {text!r}: it should be octal (0755) or symbolic (u=rwX)"
            )
        clauses.append(match.groups())

    def change(mode: int) -> int:
        bits = stat_bits.S_IMODE(mode)
        for who, operator, what in clauses:
            bits = _applied(bits, stat_bits.S_ISDIR(mode), who, operator, what)
        return bits

    return change


def _applied(bits: int, is_directory: bool, who: str, operator: str, what: str) -> int:
    everyone = not who or "a" in who
    mask = 0o777 if everyone else sum(_WHO[item] for item in set(who))
    wanted = 0
    for letter in what:
        if letter in _BITS:
            wanted |= _BITS[letter] & mask
        elif letter == "X":
            wanted |= 0o111 & mask if is_directory or bits & 0o111 else 0
        elif letter == "s":
            wanted |= (0o4000 if everyone or "u" in who else 0) | (0o2000 if everyone or "g" in who else 0)
        elif letter == "t":
            wanted |= 0o1000
        else:
            share = (bits >> {"u": 6, "g": 3, "o": 0}[letter]) & 7
            wanted |= (share * 0o111) & mask
    if operator == "+":
        return bits | wanted
    if operator == "-":
        return bits & ~wanted
    return (bits & ~mask) | wanted
