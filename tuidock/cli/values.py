"""Values of options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from runtime.errors import InvalidInput

__all__ = ["flag", "size", "whole_number"]


def flag(name: str) -> str:
    """As it is typed: cpu_shares is "--cpu-shares"."""
    return "--" + name.replace("_", "-")


def whole_number(options: Mapping[str, object], name: str, least: int, most: int) -> int | None:
    """None when it is not given. Raises InvalidInput that names the option."""
    text = cast("str | None", options.get(name))
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError:
        raise InvalidInput(f"{flag(name)} takes a whole number, not {text!r}", subject=text) from None
    if not least <= value <= most:
        raise InvalidInput(f"{flag(name)} must be between {least} and {most}, not {value}", subject=text)
    return value


def size(options: Mapping[str, object], name: str) -> int | None:
    """Bytes; None when it is not given. Raises InvalidInput that names the option."""
    from runtime.model.parse import parse_size

    text = cast("str | None", options.get(name))
    if text is None:
        return None
    try:
        return parse_size(text)
    except InvalidInput as error:
        raise InvalidInput(f"{flag(name)}: {error.message}", hint=error.hint, subject=text) from None
