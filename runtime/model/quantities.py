"""Sizes, durations, times and fractions of processors, as docker's command line and compose files write them.

Every parser takes the user's text and raises :class:`InvalidInput`, naming the value and the accepted form.
"""

from __future__ import annotations

import math
import re

from runtime.errors import InvalidInput

__all__ = ["parse_cpus", "parse_duration", "parse_size", "parse_time"]

_SIZE = r"(?ia)([0-9]{1,30}(?:\.[0-9]{1,30})?) ?([kmgtp]?)i?b?"
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_LARGEST = (1 << 63) - 1

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONG_UNITS = {"d": 86_400_000_000_000, "w": 604_800_000_000_000}
_TERM = r"(?a)([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})([a-zµμ]+)"

_RFC3339 = (
    r"(?a)([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_UNIX = r"(?a)(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?"


def parse_size(text: str) -> int:
    """Bytes: "512", "50M", "1g", "1.5GiB"; units are powers of 1024 (docker/go-units, RAMInBytes)."""
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise InvalidInput(
            f"invalid size: {text!r}", hint="give a number with b, k, m, g or t: 50M, 1.5g", subject=text
        )
    number, unit = match[1], match[2].lower()
    whole, _, fraction = number.partition(".")
    size = int(whole) << _SHIFT[unit]
    if fraction:
        size += (int(fraction) << _SHIFT[unit]) // 10 ** len(fraction)
    if size > _LARGEST:
        raise InvalidInput(
            f"size is too large: {text!r}", hint="the largest is 8 EiB less one byte", subject=text
        )
    return size


def parse_duration(text: str, *, days: bool = False) -> int:
    """Nanoseconds, in Go's syntax: "1m30s", "1.5h", "300ms", "0"; ``days`` adds d and w, as compose does.

    Never negative: nothing that we read takes a negative duration.
    """
    units = {**_UNITS, **_LONG_UNITS} if days else _UNITS
    stripped = text.strip()
    rest = stripped.removeprefix("+")
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        match = re.compile(_TERM).match(rest, position)
        if match is None or match[2] not in units:
            break
        whole, _, fraction = match[1].partition(".")
        scale = units[match[2]]
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        position = match.end()
    if not rest or position < len(rest):
        hint = "give numbers with units: 10s, 1m30s, 500ms"
        if re.fullmatch(r"[0-9]+", rest, re.ASCII):
            hint = f"the unit is missing: {rest}s is {rest} seconds"
        raise InvalidInput(f"invalid duration: {text!r}", hint=hint, subject=text)
    if total > _LARGEST:
        raise InvalidInput(f"duration is too long: {text!r}", hint="the longest is 292 years", subject=text)
    return total


def parse_cpus(text: str) -> float:
    """Processors: "0.5", "2"; "0" is no limit."""
    try:
        cpus = float(text)
    except ValueError:
        cpus = math.nan
    if not math.isfinite(cpus) or cpus < 0 or "_" in text or cpus > 100_000:
        raise InvalidInput(
            f"invalid number of CPUs: {text!r}", hint="give a number such as 0.5 or 2", subject=text
        )
    return cpus


def parse_time(text: str, now: int) -> int:
    """Nanoseconds since the epoch, of what ``--since`` and ``--until`` take: RFC 3339 (local time without
    a zone), a date, seconds since the epoch with a fraction, or a Go duration back from ``now``."""
    stripped = text.strip()
    unix = re.fullmatch(_UNIX, stripped)
    if unix is not None:
        time = int(unix[2]) * 1_000_000_000 + int((unix[3] or "0").ljust(9, "0"))
        return -time if unix[1] else time
    stamp = re.fullmatch(_RFC3339, stripped)
    if stamp is not None:
        return _stamp(text, stamp)
    sign, magnitude = (1, stripped[1:]) if stripped.startswith("-") else (-1, stripped)
    try:
        return now + sign * parse_duration(magnitude)
    except InvalidInput:
        raise _no_time(text) from None


def _stamp(text: str, match: re.Match[str]) -> int:
    import datetime

    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if zone in ("Z", "z"):
            moment = moment.replace(tzinfo=datetime.UTC)
        elif zone:
            offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment = moment.replace(tzinfo=datetime.timezone(-offset if zone[0] == "-" else offset))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise _no_time(text) from None
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _no_time(text: str) -> InvalidInput:
    return InvalidInput(
        f"invalid time: {text!r}",
        hint="give a time (2024-05-31T12:00:00Z), seconds since 1970 or a duration back from now (10m)",
        subject=text,
    )
