"""Go's durations (``1m30s``, ``500ms``), as Dockerfiles have them."""

from __future__ import annotations

import re

__all__ = ["parse_duration"]

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises ValueError (time.ParseDuration's grammar)."""
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    total, at = 0.0, 0
    for match in re.finditer(_PART, body):
        if match.start() != at:
            break
        total += float(match.group(1)) * _UNITS[match.group(2)]
        at = match.end()
    if at != len(body) or not body:
        raise ValueError(f"invalid duration {text!r}")
    return sign * round(total)
