"""Variables in compose files: ``$V``, ``${V}``, ``${V:-word}``, ``:?``, ``:+``, these without colon, ``$$``.

Words are substituted in turn. Only values are; keys never. Source: compose-spec, 12-interpolation.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from runtime.compose.nodes import Node, wrong

__all__ = ["Unset", "substitute", "substitute_tree"]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_DEEPEST = 50

Unset = Callable[[str], None]
"""Told the name of every variable that is not set where it is used without a default."""


class _Malformed(Exception):
    """The text does not follow the grammar; the argument says why."""


def substitute(text: str, variables: Mapping[str, str], on_unset: Unset | None = None) -> str:
    """Raises ValueError, saying what is wrong, for a malformed text and for a required variable."""
    try:
        return _substitute(text, variables, on_unset, 0)
    except _Malformed as error:
        raise ValueError(str(error)) from None


def _substitute(text: str, variables: Mapping[str, str], on_unset: Unset | None, depth: int) -> str:
    if "$" not in text:
        return text
    if depth > _DEEPEST:
        raise _Malformed("variables are nested too deeply")
    out: list[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0:
            out.append(text[position:])
            return "".join(out)
        out.append(text[position:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            out.append("$")
            position = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 2)
            out.append(_expand(text[dollar + 2 : end], variables, on_unset, depth))
            position = end + 1
        else:
            match = _NAME.match(text, dollar + 1)
            if match is None:
                raise _Malformed(f'invalid interpolation format: "{text}"; write $$ for a $')
            out.append(_value(match[0], variables, on_unset))
            position = match.end()


def _closing(text: str, start: int) -> int:
    """Where the brace that was opened before ``start`` closes."""
    level, position = 1, start
    while position < len(text):
        if text.startswith("$$", position):
            position += 2
            continue
        if text.startswith("${", position):
            level += 1
            position += 2
            continue
        if text[position] == "}":
            level -= 1
            if level == 0:
                return position
        position += 1
    raise _Malformed(f'invalid interpolation format: "{text}": a brace is not closed; write $$ for a $')


def _expand(inside: str, variables: Mapping[str, str], on_unset: Unset | None, depth: int) -> str:
    match = _NAME.match(inside)
    if match is None:
        raise _Malformed(f'invalid interpolation format: "${{{inside}}}"; write $$ for a $')
    name, rest = match[0], inside[match.end() :]
    if not rest:
        return _value(name, variables, on_unset)
    colon = rest.startswith(":")
    operator, word = rest[colon : colon + 1], rest[colon + 1 :]
    value = variables.get(name)
    given = value is not None and (not colon or value != "")
    if operator == "-":
        return value or "" if given else _substitute(word, variables, on_unset, depth + 1)
    if operator == "+":
        return _substitute(word, variables, on_unset, depth + 1) if given else ""
    if operator == "?":
        if given:
            return value or ""
        message = _substitute(word, variables, on_unset, depth + 1)
        raise _Malformed(f"required variable {name} is missing a value" + (f": {message}" if message else ""))
    raise _Malformed(f'invalid interpolation format: "${{{inside}}}"; write $$ for a $')


def _value(name: str, variables: Mapping[str, str], on_unset: Unset | None) -> str:
    value = variables.get(name)
    if value is None:
        if on_unset is not None:
            on_unset(name)
        return ""
    return value


def substitute_tree(node: Node, variables: Mapping[str, str], on_unset: Unset | None, path: str = "") -> Node:
    """``node`` with every string value substituted. Raises InvalidInput with file, line and path."""
    value = node.value
    if isinstance(value, dict):
        return Node(
            {
                key: substitute_tree(item, variables, on_unset, f"{path}.{key}" if path else key)
                for key, item in value.items()
            },
            node.place,
            tag=node.tag,
        )
    if isinstance(value, list):
        items = [substitute_tree(item, variables, on_unset, f"{path}[{i}]") for i, item in enumerate(value)]
        return Node(items, node.place, tag=node.tag)
    if isinstance(value, str) and "$" in value:
        try:
            text = substitute(value, variables, on_unset)
        except ValueError as error:
            raise wrong(node, path, str(error)) from None
        return Node(text, node.place, text, node.tag)
    return node
