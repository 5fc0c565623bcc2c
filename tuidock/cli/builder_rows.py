"""Rows of the build cache, as buildx prints and filters them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tuidock.cli.listing import Column
from tuidock.cli.output import ago, decimal_size

if TYPE_CHECKING:
    from runtime.build.prune import CacheRecord

__all__ = ["COLUMNS", "SHOWN", "details", "select"]

_ID = 25
"""Characters that are shown, as many as BuildKit's ids have."""

COLUMNS: list[Column[CacheRecord]] = [
    Column("ID", "ID", lambda item: item.id[:_ID] + ("*" if item.mutable else "")),
    Column("Reclaimable", "RECLAIMABLE", lambda item: str(item.reclaimable).lower()),
    Column("Size", "SIZE", lambda item: decimal_size(item.size)),
    Column("LastUsedAt", "LAST ACCESSED", lambda item: ago(item.used_at)),
    Column("CreatedAt", "CREATED", lambda item: ago(item.created_at)),
    Column("Description", "DESCRIPTION", lambda item: item.description),
    Column("Type", "TYPE", lambda item: item.kind),
    Column("Shared", "SHARED", lambda item: str(item.shared).lower()),
    Column("InUse", "IN USE", lambda item: str(item.in_use).lower()),
    Column("UsageCount", "USAGE COUNT", lambda item: str(item.use_count)),
    Column("Parents", "PARENTS", lambda item: item.parent[:_ID]),
]
SHOWN = ("ID", "Reclaimable", "Size", "LastUsedAt")

_SWITCHES: dict[str, Callable[[CacheRecord], bool]] = {
    "immutable": lambda item: not item.mutable,
    "inuse": lambda item: item.in_use,
    "mutable": lambda item: item.mutable,
    "private": lambda item: not item.shared,
    "shared": lambda item: item.shared,
}
_TEXTS: dict[str, Callable[[CacheRecord], str]] = {
    "description": lambda item: item.description,
    "id": lambda item: item.id,
    "parents": lambda item: item.parent,
    "type": lambda item: item.kind,
}
_FILTER = re.compile(r"(!?)([a-z]+)(?:(!=|~=|=|!~)(.*))?", re.S)


def select(records: Sequence[CacheRecord], filters: Sequence[str]) -> tuple[list[CacheRecord], int]:
    """Those that every filter lets through, and ``until`` (or ``unused-for``) in nanoseconds.

    buildx's: KEY=VALUE, KEY!=VALUE, KEY~=EXPRESSION, and KEY alone for what is true or false. Raises
    InvalidInput."""
    from runtime.errors import InvalidInput
    from runtime.model.parse import parse_duration

    unused_for = 0
    for text in filters:
        name, _, value = text.partition("=")
        if name in ("until", "unused-for"):
            unused_for = parse_duration(value, days=True)
            continue
        match = _FILTER.fullmatch(text)
        key = match.group(2) if match else ""
        if match is None or (key not in _SWITCHES and (key not in _TEXTS or not match.group(3))):
            known = ", ".join(sorted([*_SWITCHES, *_TEXTS, "until"]))
            raise InvalidInput(f"invalid filter {text!r}", hint=f"known filters: {known}", subject=text)
        records = [item for item in records if _matches(item, key, match.group(3), match.group(4), text)]
    return list(records), unused_for


def _matches(item: CacheRecord, key: str, operator: str | None, value: str | None, text: str) -> bool:
    from runtime.errors import InvalidInput

    if key in _SWITCHES:
        wanted = (value or "true").lower() in ("true", "1") and not text.startswith("!")
        return (_SWITCHES[key](item) is wanted) is not (operator in ("!=", "!~"))
    found, value = _TEXTS[key](item), value or ""
    if operator in ("~=", "!~"):
        try:
            matched = re.search(value, found) is not None
        except re.error as error:
            raise InvalidInput(f"invalid filter {text!r}: {error}", subject=text) from None
        return matched is (operator == "~=")
    equal = found.startswith(value.rstrip("*")) if key in ("id", "parents") and value else found == value
    return equal is (operator == "=")


def details(item: CacheRecord) -> str:
    """``--verbose``: a block of lines."""
    from tuidock.cli.output import timestamp

    rows = [
        ("ID", item.id[:_ID]),
        ("Parent", item.parent[:_ID]),
        ("Created at", timestamp(item.created_at)),
        ("Mutable", str(item.mutable).lower()),
        ("Reclaimable", str(item.reclaimable).lower()),
        ("Shared", str(item.shared).lower()),
        ("Size", decimal_size(item.size)),
        ("Description", item.description),
        ("Usage count", str(item.use_count)),
        ("Last used", ago(item.used_at)),
        ("Type", item.kind),
    ]
    return "\n".join(f"{title + ':':<16}{value}" for title, value in rows if value) + "\n"
