"""Lists as every ``ls`` prints them: a table of columns, ``-q``, ``--format`` and ``--filter``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import click

from runtime.errors import InvalidInput
from runtime.model.record import record
from tuidock.cli.output import emit, table
from tuidock.cli.template import Template
from tuidock.cli.template_functions import to_json

__all__ = [
    "Column",
    "Listing",
    "is_older",
    "matches_labels",
    "one_flag",
    "parse_filters",
    "print_document",
    "unescape",
]

T = TypeVar("T")


@record
class Column(Generic[T]):
    """``key`` is the field's name in templates, ``title`` its header."""

    key: str
    title: str
    text: Callable[[T], str]


@record
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
            return [to_json(dict(sorted(self._row(item).items()))) for item in items]
        if format.startswith("table"):
            return self._table(items, format.removeprefix("table").strip())
        template = Template(unescape(format))
        return [template.render(self._row(item)) for item in items]

    def _table(self, items: Iterable[T], text: str) -> list[str]:
        """Cells of a table template are apart by tabs (a lone ``\\t`` in the user's words)."""
        text = unescape(text)
        template = Template(text)
        titles = {column.key: column.title for column in self.columns}
        header = template.header(titles).split("\t")
        rows = [template.render(self._row(item)).split("\t") for item in items]
        return [table(header, [(row + [""] * len(header))[: len(header)] for row in rows])]

    def _row(self, item: T) -> dict[str, object]:
        return {**{column.key: column.text(item) for column in self.columns}, **self.methods(item)}

    def _column(self, key: str) -> Column[T]:
        return next(column for column in self.columns if column.key == key)


def unescape(text: str) -> str:
    """A user's ``\\t`` and ``\\n`` outside of actions; inside, a string's escapes are the template's own."""
    parts = re.split(r"(\{\{.*?\}\})", text, flags=re.DOTALL)
    return "".join(
        part if number % 2 else part.replace("\\t", "\t").replace("\\n", "\n")
        for number, part in enumerate(parts)
    )


def parse_filters(items: Sequence[str], known: Sequence[str]) -> dict[str, list[str]]:
    """``--filter KEY=VALUE``: the values of each key. Raises InvalidInput, and UsageError without "="."""
    found: dict[str, list[str]] = {}
    for item in items:
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        if not equals:
            raise click.UsageError(
                f'invalid argument "{item}" for "-f, --filter" flag:'
                " bad format of filter (expected name=value)",
                click.get_current_context(silent=True),
            )
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


def one_flag(key: str, values: Sequence[str]) -> bool:
    """A filter that is true or false. Raises InvalidInput."""
    words = {value.lower() for value in values}
    if words <= {"true", "1", "t"} or words <= {"false", "0", "f"}:
        return not words.isdisjoint({"true", "1", "t"})
    shown = " ".join(values)
    raise InvalidInput(f"invalid filter '{key}=[{shown}]'", hint=f"{key}=true or {key}=false", subject=shown)


def is_older(moment: int, values: Sequence[str], now: int) -> bool:
    """``until=TIME``: created before every one of them. Raises InvalidInput."""
    from runtime.model.parse import parse_time

    return all(moment < parse_time(value, now) for value in values)


def print_document(documents: Sequence[Mapping[str, object]], template: Template | str) -> None:
    """``inspect``: the template's text for each document, or (for "" and "json") a JSON array."""
    import json

    if isinstance(template, Template):
        for document in documents:
            emit(template.render(document))
    elif template == "json":
        emit(to_json(list(documents)))
    else:
        emit(json.dumps(list(documents), indent=4, ensure_ascii=False))
