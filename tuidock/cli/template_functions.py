"""The functions of ``--format`` templates: Go's and docker's (docs.docker.com/go/formatting)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

__all__ = ["ABSENT", "FUNCTIONS", "NIL", "NIL_LIST", "NIL_MAP", "Nil", "go_text", "to_json", "truth"]


class Nil:
    """Go's nil pointer: false, "<nil>" as text, null in JSON."""

    def __bool__(self) -> bool:
        return False


class _Absent(Nil):
    """Nil, and left out of JSON (Go's omitempty)."""


class _NilList(list[object]):
    """Go's nil slice: an empty list that is null in JSON."""


class _NilMap(dict[str, object]):
    """Go's nil map: an empty map that is null in JSON."""


NIL = Nil()
ABSENT = _Absent()
NIL_LIST = _NilList()
NIL_MAP = _NilMap()


def truth(value: object) -> bool:
    """Go's: false for the zero value of every kind and for empty collections."""
    return bool(value)


def go_text(value: object) -> str:
    """As fmt.Print shows it: [a b], map[k:v], true, <no value>."""
    if value is None:
        return "<no value>"
    if isinstance(value, Nil):
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value, key=str)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    return str(value)


def _inner(value: object) -> str:
    return "<nil>" if value is None else go_text(value)


def to_json(value: object) -> str:
    """Compact, as Go writes it; methods of a row are left out."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: object) -> object:
    if isinstance(value, (Nil, _NilList, _NilMap)):
        return None
    if isinstance(value, Mapping):
        return {
            str(key): _plain(item) for key, item in value.items() if not callable(item) and item is not ABSENT
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _html(*values: object) -> str:
    text = "".join(go_text(value) for value in values)
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(char, entity)
    return text


def _js(*values: object) -> str:
    text = "".join(go_text(value) for value in values).replace("\\", "\\\\")
    for char, escaped in (("'", "\\'"), ('"', '\\"'), ("<", "\\u003C"), (">", "\\u003E"), ("&", "\\u0026")):
        text = text.replace(char, escaped)
    return text.replace("=", "\\u003D").replace("\n", "\\u000A").replace("\t", "\\u0009")


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus("".join(go_text(value) for value in values))


def _join(values: object, separator: str) -> str:
    if not isinstance(values, (list, tuple)):
        raise TypeError("the first argument is a list")
    return separator.join(go_text(value) for value in values)


def _print(*values: object) -> str:
    """fmt.Sprint: a space between operands of which neither is a string."""
    text = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            text += " "
        text += go_text(value)
    return text


def _title(text: object) -> str:
    return re.sub(r"(^|\s)(\w)", lambda match: match[1] + match[2].upper(), go_text(text))


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key) if key in value else value.get(str(key))
        elif isinstance(value, (list, tuple, str)) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise IndexError(f"index out of range: {key}")
            value = value[key]
        elif value is None:
            raise ValueError("index of untyped nil")
        else:
            raise TypeError(f"can't index item of type {type(value).__name__} with {key!r}")
    return value


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, (str, list, tuple)) or not all(isinstance(bound, int) for bound in bounds):
        raise TypeError("slice takes a string or a list, and numbers")
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    if any(not 0 <= number <= len(value) for number in numbers):
        raise IndexError("slice bounds out of range")
    first = numbers[0] if numbers else 0
    return value[first : numbers[1]] if len(numbers) > 1 else value[first:]


def _length(value: object) -> int:
    if isinstance(value, (str, list, tuple, Mapping)):
        return len(value)
    raise TypeError("len of a value that has no length")


def _truncate(text: object, length: object) -> str:
    if not isinstance(length, int):
        raise TypeError("truncate takes a text and a number")
    return go_text(text)[:length]


def _pad(text: object, before: object, after: object) -> str:
    if not isinstance(before, int) or not isinstance(after, int):
        raise TypeError("pad takes a text and two numbers")
    return " " * before + go_text(text) + " " * after if text else ""


def _printf(form: str, *values: object) -> str:
    remaining = list(values)

    def verb(match: re.Match[str]) -> str:
        flags, kind = match[1], match[2]
        if kind == "%":
            return "%"
        if not remaining:
            return f"%!{kind}(MISSING)"
        value = remaining.pop(0)
        if kind in "sv":
            return str("%" + flags + "s") % go_text(value)
        if kind == "q":
            return json.dumps(go_text(value), ensure_ascii=False)
        if kind in "dxXfgebo" and isinstance(value, (int, float)):
            return f"{value:b}" if kind == "b" else str("%" + flags + kind) % value
        if kind == "t":
            return go_text(value)
        return f"%!{kind}({go_text(value)})"

    return re.sub(r"%([-+# 0]*[0-9]*(?:\.[0-9]+)?)([a-zA-Z%])", verb, form)


def _compare(test: Callable[[float, float], bool], text: Callable[[str, str], bool]) -> Callable[..., bool]:
    def compare(left: object, right: object) -> bool:
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return test(left, right)
        if isinstance(left, str) and isinstance(right, str):
            return text(left, right)
        raise TypeError("incompatible types for comparison")

    return compare


FUNCTIONS: dict[str, Callable[..., object]] = {
    "json": to_json,
    "join": _join,
    "split": lambda text, separator: go_text(text).split(separator),
    "lower": lambda text: go_text(text).lower(),
    "upper": lambda text: go_text(text).upper(),
    "title": _title,
    "pad": _pad,
    "truncate": _truncate,
    "print": _print,
    "println": lambda *values: " ".join(go_text(value) for value in values) + "\n",
    "printf": _printf,
    "index": _index,
    "slice": _slice,
    "len": _length,
    "html": _html,
    "js": _js,
    "urlquery": _urlquery,
    "not": lambda value: not truth(value),
    "eq": lambda left, *rights: any(left == right for right in rights),
    "ne": lambda left, right: left != right,
    "lt": _compare(lambda a, b: a < b, lambda a, b: a < b),
    "le": _compare(lambda a, b: a <= b, lambda a, b: a <= b),
    "gt": _compare(lambda a, b: a > b, lambda a, b: a > b),
    "ge": _compare(lambda a, b: a >= b, lambda a, b: a >= b),
}
