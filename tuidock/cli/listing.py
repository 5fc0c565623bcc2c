"""Lists as every ``ls`` prints them: a table of columns, ``-q``, ``--format`` and ``--filter``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from runtime.errors import InvalidInput
from tuidock.cli.output import emit, table
from tuidock.cli.template import Template
from tuidock.cli.template_functions import to_json

__all__ = ["Column", "Listing", "matches_labels", "parse_filters", "print_document"]

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    """``key`` is the field's name in templates, ``title`` its header."""

    key: str
    title: str
    text: Callable[[T], str]


@dataclass(frozen=True)
class Listing(Generic[T]):
    """``shown`` are the plain table's columns; ``methods`` adds methods to a row (``.Label "x"``)."""

    columns: Sequence[Column[T]]
    shown: Sequence[str]
    quiet: Callable[[T], str]
    methods: Callable[[T], Mapping[str, object]] = lambda item: {}

    def print(self, items: Iterable[T], *, format: str | None = None, quiet: bool = False) -> None:
        """``format``: "table" or none, "json", "table TEMPLATE" or a template; ``quiet`` wins over the
        table but not over a template, as docker has it."""
        for line in self.lines(items, format=format, quiet=quiet):
            emit(line)

    def lines(self, items: Iterable[T], *, format: str | None = None, quiet: bool = False) -> list[str]:
        if quiet and format in (None, "", "table"):
            return [self.quiet(item) for item in items]
        if format in (None, "", "table"):
            shown = [self._column(key) for key in self.shown]
            rows = [[column.text(item) for column in shown] for item in items]
            return [table([column.title for column in shown], rows)]
        assert format is not None
        if format == "json":
            return [to_json(self._row(item)) for item in items]
        if format.startswith("table"):
            return self._table(items, format.removeprefix("table").strip())
        template = Template(_unescape(format))
        return [template.render(self._row(item)) for item in items]

    def _table(self, items: Iterable[T], text: str) -> list[str]:
        """Cells of a table template are apart by tabs (a lone ``\\t`` in the user's words)."""
        text = _unescape(text)
        template = Template(text)
        titles = {column.key: column.title for column in self.columns}
        header = template.header(titles).split("\t")
        rows = [template.render(self._row(item)).split("\t") for item in items]
        return [table(header, [(row + [""] * len(header))[: len(header)] for row in rows])]

    def _row(self, item: T) -> dict[str, object]:
        return {**{column.key: column.text(item) for column in self.columns}, **self.methods(item)}

    def _column(self, key: str) -> Column[T]:
        return next(column for column in self.columns if column.key == key)


def _unescape(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n")


def parse_filters(items: Sequence[str], known: Sequence[str]) -> dict[str, list[str]]:
    """``--filter KEY=VALUE``: the values of each key. Raises InvalidInput."""
    found: dict[str, list[str]] = {}
    for item in items:
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        if not equals and key not in known:
            raise InvalidInput(f"invalid filter {item!r}", hint="give KEY=VALUE", subject=item)
        if key not in known:
            raise InvalidInput(
                f"invalid filter {key!r}", hint=f"known filters: {', '.join(known)}", subject=item
            )
        found.setdefault(key, []).append(value.strip())
    return found


def matches_labels(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Every wanted "NAME" is there, every "NAME=VALUE" has that value."""
    for item in wanted:
        name, equals, value = item.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True


def print_document(documents: Sequence[Mapping[str, object]], format: str | None) -> None:
    """``inspect``: a JSON array, or the template's text for each document."""
    import json

    if format in (None, ""):
        emit(json.dumps(list(documents), indent=4, ensure_ascii=False))
    elif format == "json":
        emit(to_json(list(documents)))
    else:
        assert format is not None
        template = Template(_unescape(format))
        for document in documents:
            emit(template.render(document))
