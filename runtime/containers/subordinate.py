"""The setting ``userns-remap`` and the pool of ``--userns auto``: ranges of ids of the host.

``userns-remap`` is docker's: a user, ``user:group`` or their numbers; the ranges are theirs in /etc/subuid
and /etc/subgid (subuid(5)). ``default`` is the user ``dockremap``, or the first 65536 ids of the pool where
the machine does not know it.
"""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

from runtime.config import Config
from runtime.errors import InvalidInput
from runtime.model.ids import DEFAULT_COUNT, IdMap, IdRange

__all__ = ["all_ranges", "parse", "pool", "remapped"]

_FILES = ("/etc/subuid", "/etc/subgid")
_KERNEL_LINES = 340
"""user_namespaces(7): how many ranges a map may have."""


def pool(config: Config) -> tuple[int, int]:
    """(start, count) of the ids that are ours to give."""
    start, _, count = config.userns_pool.partition(":")
    return int(start), int(count)


def parse(text: str) -> list[tuple[str, int, int]]:
    """(owner, start, count) of each line of a subordinate file; what is no such line is passed over."""
    found = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        start, _, count = rest.partition(":")
        if owner and not owner.startswith("#") and start.isdigit() and count.isdigit() and int(count):
            found.append((owner, int(start), int(count)))
    return found


def _read(path: str) -> list[tuple[str, int, int]]:
    try:
        return parse(Path(path).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return []


def all_ranges() -> list[tuple[int, int]]:
    """(start, count) of everybody's subordinate ids."""
    return [(start, count) for path in _FILES for _owner, start, count in _read(path)]


def remapped(config: Config) -> IdMap:
    """What ``userns-remap`` says. Raises InvalidInput that names the setting."""
    wanted = config.userns_remap
    if not wanted:
        raise InvalidInput(
            "--userns remap: no range is configured",
            hint="set userns-remap in the configuration (userns-remap: default), or use --userns auto",
        )
    if wanted == "default":
        try:
            user = pwd.getpwnam("dockremap")
        except KeyError:
            return IdMap.of(pool(config)[0], DEFAULT_COUNT)
        return IdMap(_ranges(_FILES[0], user, "dockremap"), _ranges(_FILES[1], user, "dockremap"))
    name, _, group = wanted.partition(":")
    user = _user(name, wanted)
    if user.pw_uid == 0:
        raise InvalidInput(
            f"userns-remap: {wanted}: root cannot be remapped to root's own ids",
            hint="name another user, or default",
            subject=wanted,
        )
    gids: tuple[IdRange, ...] = ()
    if group:
        entry = _group(group, wanted)
        gids = _mapping(_FILES[1], {entry.gr_name, str(entry.gr_gid)})
    return IdMap(_ranges(_FILES[0], user, wanted), gids or _ranges(_FILES[1], user, wanted))


def _user(name: str, wanted: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError) as error:
        raise InvalidInput(
            f"userns-remap: {wanted}: this machine has no user {name!r}",
            hint="name a user with ranges in /etc/subuid and /etc/subgid, or default",
            subject=wanted,
        ) from error


def _group(name: str, wanted: str) -> grp.struct_group:
    try:
        return grp.getgrgid(int(name)) if name.isdigit() else grp.getgrnam(name)
    except (KeyError, OverflowError) as error:
        raise InvalidInput(
            f"userns-remap: {wanted}: this machine has no group {name!r}", subject=wanted
        ) from error


def _ranges(path: str, user: pwd.struct_passwd, wanted: str) -> tuple[IdRange, ...]:
    found = _mapping(path, {user.pw_name, str(user.pw_uid)})
    if not found:
        kind = path.rpartition("/")[2]
        raise InvalidInput(
            f"userns-remap: {wanted}: no {kind} ranges found for user {user.pw_name!r}",
            hint=f"add a line such as {user.pw_name}:100000:65536 to {path}",
            subject=wanted,
        )
    return found


def _mapping(path: str, owners: set[str]) -> tuple[IdRange, ...]:
    """The owner's ranges in the file's order, one after the other from the container's root on."""
    found: list[IdRange] = []
    inside = 0
    for owner, start, count in _read(path):
        if owner in owners and len(found) < _KERNEL_LINES:
            found.append(IdRange(inside, start, count))
            inside += count
    return tuple(found)
