"""The ids of a user namespace, as the kernel maps them (user_namespaces(7))."""

from __future__ import annotations

from runtime.model.record import record

__all__ = ["DEFAULT_COUNT", "IdMap", "IdRange", "to_container", "to_host"]

DEFAULT_COUNT = 65536
"""16 bits of ids: what systemd, useradd and docker give, up to and with "nobody" (65534)."""


@record
class IdRange:
    """``count`` ids: ``inside``, inside + 1, ... are ``outside``, outside + 1, ... on the host."""

    inside: int
    outside: int
    count: int


@record
class IdMap:
    """The users and the groups of a container."""

    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    @classmethod
    def of(cls, start: int, count: int) -> IdMap:
        """One range, the same for users and groups."""
        ranges = (IdRange(0, start, count),)
        return cls(ranges, ranges)

    @property
    def root(self) -> tuple[int, int]:
        """The host's ids of the container's root."""
        return to_host(self.uids, 0), to_host(self.gids, 0)


def to_host(ranges: tuple[IdRange, ...], number: int) -> int:
    """-1 when it is not mapped."""
    for item in ranges:
        if item.inside <= number < item.inside + item.count:
            return item.outside + number - item.inside
    return -1


def to_container(ranges: tuple[IdRange, ...], number: int) -> int:
    """-1 when the container has no such id."""
    for item in ranges:
        if item.outside <= number < item.outside + item.count:
            return item.inside + number - item.outside
    return -1
