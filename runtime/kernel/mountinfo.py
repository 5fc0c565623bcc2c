"""/proc/PID/mountinfo, parsed (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os

__all__ = ["MountEntry", "read"]


class MountEntry:
    """One mount. ``options`` are the mount's, ``super_options`` the file system's, both comma-separated."""

    __slots__ = ("fstype", "mount_point", "options", "root", "source", "super_options")

    def __init__(
        self, root: str, mount_point: str, options: str, fstype: str, source: str, super_options: str
    ) -> None:
        self.root = root
        self.mount_point = mount_point
        self.options = options
        self.fstype = fstype
        self.source = source
        self.super_options = super_options


def read(path: str = "/proc/self/mountinfo", contains: str = "") -> list[MountEntry]:
    """The mounts in the file's order; only lines with ``contains``: cheaper than parsing them all."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, 1 << 17):
            pieces.append(piece)
    finally:
        os.close(fd)
    out = []
    for line in b"".join(pieces).decode(errors="surrogateescape").splitlines():
        if contains not in line:
            continue
        before, _separator, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(tail) < 3:
            continue
        out.append(
            MountEntry(_plain(fields[3]), _plain(fields[4]), fields[5], tail[0], _plain(tail[1]), tail[2])
        )
    return out


def _plain(text: str) -> str:
    """Blanks, tabs, newlines and backslashes are written as octal escapes."""
    if "\\" not in text:
        return text
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text
