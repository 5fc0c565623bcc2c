"""Signals as users name them."""

from __future__ import annotations

import signal

from runtime.errors import InvalidInput

__all__ = ["signal_number"]


def signal_number(name: str) -> int:
    """From "SIGTERM", "term" or "15". Raises InvalidInput."""
    text = name.strip().upper()
    if text.isdigit() and 0 < int(text) <= signal.SIGRTMAX:
        return int(text)
    text = text if text.startswith("SIG") else f"SIG{text}"
    if text in signal.Signals.__members__:
        return int(signal.Signals[text])
    raise InvalidInput(
        f"invalid signal: {name}", hint="a name such as SIGTERM or TERM, or a number", subject=name
    )
