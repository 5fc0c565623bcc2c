"""A cursor over the merged tree: reads typed values, and names file, line and path when one is wrong.

Numbers and booleans may be quoted, since variables always substitute to text.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from runtime.compose.nodes import Node, wrong
from runtime.errors import InvalidInput
from runtime.model.parse import parse_cpus, parse_duration, parse_size

__all__ = ["Value", "nearest"]

T = TypeVar("T")
_SECOND = 1_000_000_000
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint for a name that is not known."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}?" if close else None


@dataclass(frozen=True, slots=True)
class Value:
    """``node`` at ``path`` ("services.web.ports[0]")."""

    node: Node
    path: str

    def wrong(self, reason: str, *, hint: str | None = None) -> InvalidInput:
        return wrong(self.node, self.path, reason, hint=hint)

    def must_be(self, expected: str) -> InvalidInput:
        return self.wrong(f"must be {expected}, not {self.node.kind}")

    # structure

    @property
    def empty(self) -> bool:
        return self.node.value is None

    @property
    def is_scalar(self) -> bool:
        return not isinstance(self.node.value, (dict, list)) and self.node.value is not None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node.value, list)

    def get(self, key: str) -> Value | None:
        """An entry of a mapping; None when it is missing or empty."""
        found = self.node.get(key)
        return Value(found, f"{self.path}.{key}") if found is not None and found.value is not None else None

    def mapping(self) -> dict[str, Value]:
        """The entries; an empty value has none."""
        value = self.node.value
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.must_be("a mapping")
        prefix = f"{self.path}." if self.path else ""
        return {key: Value(item, prefix + key) for key, item in value.items()}

    def items(self) -> list[Value]:
        """The items of a list; an empty value has none."""
        value = self.node.value
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.must_be("a list")
        return [Value(item, f"{self.path}[{index}]") for index, item in enumerate(value)]

    def known_keys(self, known: Iterable[str]) -> None:
        """Raises InvalidInput for a key that is neither in ``known`` nor an extension (``x-...``)."""
        names = tuple(known)
        for key, item in self.mapping().items():
            if key not in names and not key.startswith("x-"):
                where = self.path or "the top level"
                raise wrong(
                    item.node, where, f'unknown key "{key}"', hint=nearest(key, names) or _list(names)
                )

    # scalars

    def string(self) -> str:
        """Text; a number or a boolean as it was written."""
        if not self.is_scalar:
            raise self.must_be("a string")
        return self.node.text

    def boolean(self) -> bool:
        value = self.node.value
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
            return value.lower() in _TRUE
        raise self.must_be("true or false")

    def integer(self, minimum: int = 0, maximum: int = (1 << 63) - 1) -> int:
        value = self.node.value
        if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,20}", value, re.ASCII):
            value = int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 63:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.must_be("a whole number")
        if not minimum <= value <= maximum:
            low = f"at least {minimum}" if value < minimum else f"at most {maximum}"
            raise self.wrong(f"must be {low}, not {value}")
        return value

    def number(self) -> float:
        value = self.node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found = float(value)
        else:
            try:
                found = float(self.string())
            except (ValueError, InvalidInput):
                raise self.must_be("a number") from None
        if not math.isfinite(found):
            raise self.must_be("a number")
        return found

    def cpus(self) -> float | None:
        """A number of processors; 0 is no limit."""
        return self.parsed(parse_cpus, self.string()) or None

    def size(self) -> int:
        """Bytes: a number, or text such as 50M."""
        return self.parsed(parse_size, self.string())

    def duration(self) -> int:
        """Nanoseconds, of text such as 1m30s; compose knows days and weeks too."""
        return self.parsed(lambda text: parse_duration(text, days=True), self.string())

    def seconds(self) -> int:
        """A duration in whole seconds, rounded up."""
        return -(-self.duration() // _SECOND)

    def choice(self, *allowed: str) -> str:
        text = self.string()
        if text not in allowed:
            raise self.wrong(f'must be {_either(allowed)}, not "{text}"', hint=nearest(text, allowed))
        return text

    def parsed(self, parser: Callable[[str], T], text: str) -> T:
        """What ``parser`` makes of ``text``; its InvalidInput gets this value's place."""
        try:
            return parser(text)
        except InvalidInput as error:
            raise self.wrong(error.message, hint=error.hint) from None

    # collections of strings

    def strings(self) -> tuple[str, ...]:
        """A list of strings, or one string alone."""
        if self.is_scalar:
            return (self.string(),)
        return tuple(item.string() for item in self.items())

    def string_map(self) -> dict[str, str]:
        """A mapping of names to text; an entry without a value is ""."""
        return {key: "" if item.empty else item.string() for key, item in self.mapping().items()}


def _either(allowed: tuple[str, ...]) -> str:
    return allowed[0] if len(allowed) == 1 else f"{', '.join(allowed[:-1])} or {allowed[-1]}"


def _list(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return f"known keys: {shown}" + (", ..." if len(names) > 12 else "")
