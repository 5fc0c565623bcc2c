"""YAML as a tree that remembers where each value stood, so that every later error names file and line.

Scalars follow YAML 1.2's core schema, as docker compose reads them (``yes`` and ``22:22`` are strings);
octal ``0440`` is kept for modes. Only plain data is read: a tag other than ``!reset``, ``!override`` and
the standard ones is an error. What aliases expand to is limited: a small file cannot ask for gigabytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput

if TYPE_CHECKING:
    import yaml

__all__ = ["Node", "Place", "Scalar", "parse", "wrong"]

Scalar = str | int | float | bool | None

_MOST_NODES = 200_000
_DEEPEST = 200
_LARGEST_TEXT = 8 << 20

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_BASED = re.compile(r"(?:0o?([0-7]+)|0x([0-9a-fA-F]+)|0b([01]+))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """``line`` counts from 1; of a mapping's value it is its key's."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """One value. ``text`` is a scalar as it was written; ``tag`` is "", "reset" or "override"."""

    value: Scalar | dict[str, Node] | list[Node]
    place: Place
    text: str = ""
    tag: str = ""

    @property
    def kind(self) -> str:
        """What the value is, in words, for error messages."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if self.value is None:
            return "nothing"
        return f'"{self.text}"' if isinstance(self.value, str) else self.text

    def get(self, key: str) -> Node | None:
        """The entry of a mapping; None when there is none, or no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None


def wrong(node: Node | Place, path: str, reason: str, *, hint: str | None = None) -> InvalidInput:
    """The error for ``node``: ``compose.yaml:12: services.web.image: REASON``."""
    place = node.place if isinstance(node, Node) else node
    return InvalidInput(
        f"{place}: {path}: {reason}" if path else f"{place}: {reason}", hint=hint, subject=path
    )


def parse(text: str, file: str) -> list[Node]:
    """The documents of one file, empty ones left out; ``file`` is its name in errors. Raises InvalidInput."""
    import yaml

    if len(text) > _LARGEST_TEXT:
        raise InvalidInput(f"{file}: the file is larger than 8 MiB", subject=file)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                depth += 1
                if depth > _DEEPEST:
                    line = event.start_mark.line + 1 if event.start_mark else 1
                    raise InvalidInput(f"{file}:{line}: values are nested too deeply", subject=file)
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                depth -= 1
        documents = list(yaml.compose_all(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise InvalidInput(
            f"{where}: {_explain(error.problem or error.context or 'wrong YAML')}", subject=file
        ) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file}: {' '.join(str(error).split())}", subject=file) from error
    except RecursionError:
        raise InvalidInput(f"{file}: values are nested too deeply", subject=file) from None
    builder = _Builder(file)
    nodes = [builder.build(document, _place(file, document)) for document in documents]
    return [node for node in nodes if node.value is not None]


def _place(file: str, source: yaml.Node) -> Place:
    return Place(file, source.start_mark.line + 1 if source.start_mark else 1)


def _explain(problem: str) -> str:
    if "cannot start any token" in problem:
        return "a value starts with a character that must be quoted, or a tab indents a line"
    return f"the file is not valid YAML: {problem}"


class _Builder:
    """Makes :class:`Node` trees of PyYAML's nodes; aliased ones are made once and shared."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._made: dict[int, Node] = {}
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._count = 0

    def build(self, source: yaml.Node, place: Place) -> Node:
        known = self._made.get(id(source))
        if known is not None:
            self._grow(self._sizes[id(source)], place)
            return Node(known.value, place, known.text, known.tag)
        if id(source) in self._open:
            raise wrong(place, "", "an anchor refers to itself")
        before = self._count
        self._grow(1, place)
        self._open.add(id(source))
        node = self._made[id(source)] = self._convert(source, place)
        self._open.discard(id(source))
        self._sizes[id(source)] = self._count - before
        return node

    def _grow(self, size: int, place: Place) -> None:
        self._count += size
        if self._count > _MOST_NODES:
            raise wrong(
                place,
                "",
                f"the file expands to more than {_MOST_NODES} values",
                hint="it uses aliases of aliases",
            )

    def _convert(self, source: yaml.Node, place: Place) -> Node:
        import yaml

        tag = self._tag(source, place)
        if isinstance(source, yaml.ScalarNode):
            text: str = source.value
            if tag and text == "":
                return Node(None, place, text, tag)
            quoted = source.style in ("'", '"', "|", ">")
            return Node(text if quoted else _resolve(text), place, text, tag)
        if isinstance(source, yaml.SequenceNode):
            items = [self.build(item, _place(self._file, item)) for item in source.value]
            return Node(items, place, tag=tag)
        assert isinstance(source, yaml.MappingNode)
        return Node(self._mapping(source), place, tag=tag)

    def _tag(self, source: yaml.Node, place: Place) -> str:
        if source.tag in ("!reset", "!override"):
            return source.tag[1:]
        if source.tag.startswith("tag:yaml.org,2002:") and not source.tag.startswith(
            "tag:yaml.org,2002:python"
        ):
            return ""
        raise wrong(
            place, "", f"unknown tag {source.tag}", hint="!reset and !override are the ones that exist"
        )

    def _mapping(self, source: yaml.MappingNode) -> dict[str, Node]:
        import yaml

        own: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key_node, value_node in source.value:
            place = _place(self._file, key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise wrong(
                    place, "", "a key is a list or a mapping", hint="quote a key that starts with [ or {"
                )
            key: str = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                for name, node in self._merged(self.build(value_node, place)).items():
                    inherited.setdefault(name, node)
                continue
            if key in own:
                raise wrong(
                    place, "", f'the key "{key}" is given twice (first in line {own[key].place.line})'
                )
            own[key] = self.build(value_node, place)
        return {**inherited, **own} if inherited else own

    def _merged(self, node: Node) -> dict[str, Node]:
        if isinstance(node.value, dict):
            return node.value
        merged: dict[str, Node] = {}
        if not isinstance(node.value, list):
            raise wrong(node, "", "<< takes a mapping or a list of mappings")
        for item in node.value:
            if not isinstance(item.value, dict):
                raise wrong(item, "", "<< takes a mapping or a list of mappings")
            for name, value in item.value.items():
                merged.setdefault(name, value)
        return merged


def _resolve(text: str) -> Scalar:
    """A plain scalar's value by YAML 1.2's core schema, and octal with a leading zero."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) <= 40:
        if _INTEGER.fullmatch(text):
            return int(text)
        based = _BASED.fullmatch(text)
        if based:
            octal, hexadecimal, binary = based.groups()
            return int(octal, 8) if octal else int(hexadecimal, 16) if hexadecimal else int(binary, 2)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
