"""Dataclasses to JSON and back, by their type hints.

Understands what the model uses: str, int, float, bool, None, StrEnum, tuple[X, ...], dict[str, X],
X | None and nested dataclasses. Unknown keys are ignored, so that an older program reads a newer row.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

__all__ = ["dumps", "from_json", "loads", "to_json"]

T = TypeVar("T")
_hints: dict[type[Any], dict[str, Any]] = {}


def to_json(value: object) -> Any:
    """A tree of dicts, lists and scalars; fields at their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if field.default is not dataclasses.MISSING and item == field.default:
                continue
            out[field.name] = to_json(item)
        return out
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    return value


def from_json(kind: type[T], value: Any) -> T:
    """The dataclass ``kind`` out of what :func:`to_json` made."""
    hints = _hints_of(kind, value)
    return kind(**{name: _decode(hints[name], item) for name, item in value.items() if name in hints})


def _hints_of(kind: type[Any], names: Iterable[str]) -> dict[str, Any]:
    """The types of the fields ``names``: hints are text until they are needed, and a row names few fields."""
    hints = _hints.setdefault(kind, {})
    texts: dict[str, Any] = {}
    for name in names:
        if name not in hints:
            for base in kind.__mro__[:-1]:
                if name in (known := vars(base).get("__annotations__", {})):
                    texts[name] = known[name]
                    break
    if texts:
        some = type(kind.__name__, (), {"__module__": kind.__module__, "__annotations__": texts})
        hints.update(typing.get_type_hints(some))
    return hints


def _decode(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _decode(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value)
    if origin is tuple:
        args = typing.get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_decode(args[0], item) for item in value)
        return tuple(_decode(arg, item) for arg, item in zip(args, value, strict=True))
    if origin is dict:
        return {key: _decode(typing.get_args(hint)[1], item) for key, item in value.items()}
    if isinstance(hint, type):
        if isinstance(value, dict):
            return from_json(hint, value)
        if issubclass(hint, enum.Enum):
            return hint(value)
    return value


def dumps(value: object) -> str:
    return json.dumps(to_json(value), separators=(",", ":"))


def loads(kind: type[T], text: str) -> T:
    return from_json(kind, json.loads(text))
