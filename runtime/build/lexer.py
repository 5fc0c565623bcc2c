r"""Physical lines to logical ones: directives, comments, continuations and heredocs.

Follows the Dockerfile reference (docs.docker.com/reference/dockerfile) and, where that is silent, the
behaviour of BuildKit's parser: a comment or an empty line inside a continued instruction is skipped, a
doubled escape character at a line's end is no continuation, directives count only before anything else.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import cached_property

from runtime.build.failure import DockerfileError
from runtime.build.substitution import SubstitutionError, expand_words, unquote
from runtime.model.record import record

__all__ = ["Heredoc", "Lexed", "LogicalLine", "Source", "heredoc_of", "lex"]

_DIRECTIVE = re.compile(r"^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"^(\d*)<<(-?)([^<]*)$")
_HEREDOC_KEYWORDS = ("RUN", "COPY", "ADD")


@record
class Source:
    """A Dockerfile's text and the name that messages call it by."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")


@record
class Heredoc:
    """``content`` has its leading tabs removed already when written with ``<<-``. ``expand`` is False for a
    quoted delimiter."""

    name: str
    content: str
    expand: bool = True
    chomp: bool = False
    file_descriptor: int = 0


@record
class LogicalLine:
    """One instruction: continuations joined, comments dropped. ``first`` and ``last`` count from 1."""

    first: int
    last: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()
    empty_continuation: bool = False


@record
class Lexed:
    source: Source
    lines: tuple[LogicalLine, ...]
    escape: str = "\\"
    directives: dict[str, str] = field(default_factory=dict)


def lex(source: Source) -> Lexed:
    """Raises DockerfileError for a bad directive or a heredoc without end."""
    directives = _directives(source)
    escape = directives.get("escape", "\\")
    reader = _Reader(source, escape)
    return Lexed(source, tuple(reader.read()), escape, directives)


def _directives(source: Source) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(source.lines, start=1):
        match = _DIRECTIVE.match(line.lstrip("\ufeff").strip() if number == 1 else line.strip())
        key = match.group(1).lower() if match else ""
        if match is None or key not in _DIRECTIVES:
            break
        if key in found:
            raise DockerfileError.at(source, number, f"only one {key} parser directive can be used")
        value = match.group(2)
        if key == "escape" and value not in ("\\", "`"):
            raise DockerfileError.at(source, number, f"invalid ESCAPE {value!r}", hint="it must be \\ or `")
        found[key] = value
    return found


class _Reader:
    """Walks the physical lines once."""

    def __init__(self, source: Source, escape: str) -> None:
        self._source = source
        self._escape = escape
        quoted = re.escape(escape)
        self._continued = re.compile(rf"([^{quoted}]){quoted}[ \t]*$|^{quoted}[ \t]*$")
        self._lines = source.lines
        self._next = 0

    def read(self) -> list[LogicalLine]:
        found: list[LogicalLine] = []
        while self._next < len(self._lines):
            first = self._next + 1
            line = self._physical()
            if first == 1:
                line = line.removeprefix("\ufeff")
            line = line.lstrip()
            if line.startswith("#"):
                continue
            text, more = self._cut_continuation(line)
            if not more and not text.strip():
                continue
            text, empty = self._continue(text) if more else (text, False)
            text = text.strip()
            if not text:
                continue
            last = self._next
            heredocs = self._heredocs(text, last)
            found.append(LogicalLine(first, self._next, text, heredocs, empty))
        return found

    def _physical(self) -> str:
        line = self._lines[self._next]
        self._next += 1
        return line.rstrip("\r")

    def _cut_continuation(self, line: str) -> tuple[str, bool]:
        match = self._continued.search(line)
        if match is None:
            return line, False
        return line[: match.start()] + (match.group(1) or ""), True

    def _continue(self, text: str) -> tuple[str, bool]:
        """The rest of a continued instruction, and whether an empty line was inside it."""
        empty = pending_empty = False
        while self._next < len(self._lines):
            line = self._physical()
            stripped = line.strip()
            if stripped.startswith("#"):
                continue
            if not stripped:
                pending_empty = self._next < len(self._lines)
                continue
            empty = empty or pending_empty
            part, more = self._cut_continuation(line)
            text += part
            if not more:
                break
        return text, empty

    def _heredocs(self, text: str, line: int) -> tuple[Heredoc, ...]:
        words = text.split(None, 2)
        keyword = words[0].upper()
        if keyword == "ONBUILD" and len(words) > 1:
            keyword = words[1].upper()
        if keyword not in _HEREDOC_KEYWORDS or "<<" not in text:
            return ()
        try:
            marks = expand_words(text, {}, self._escape, raw=True)
        except SubstitutionError:
            return ()  # an unbalanced quote: whoever parses the words reports it
        opened = [heredoc for word in marks if (heredoc := heredoc_of(word)) is not None]
        return tuple(self._fill(heredoc, line) for heredoc in opened)

    def _fill(self, heredoc: Heredoc, opened_at: int) -> Heredoc:
        content: list[str] = []
        while self._next < len(self._lines):
            line = self._lines[self._next]
            at_end = self._next == len(self._lines) - 1
            self._next += 1
            body = line.lstrip("\t") if heredoc.chomp else line
            if body.rstrip("\r") == heredoc.name:
                return Heredoc(
                    heredoc.name, "".join(content), heredoc.expand, heredoc.chomp, heredoc.file_descriptor
                )
            content.append(body if at_end else body + "\n")
        raise DockerfileError.at(
            self._source,
            opened_at,
            f"unterminated heredoc {heredoc.name}",
            hint=f"a line with only {heredoc.name} ends it",
        )


def heredoc_of(word: str) -> Heredoc | None:
    """``<<EOF``, ``<<-"EOF"``, ``3<<EOF`` as an empty Heredoc; None for any other word."""
    match = _HEREDOC.match(word)
    if match is None:
        return None
    number, dash, rest = match.groups()
    name = unquote(rest)
    if not name or any(c.isspace() for c in name):
        return None
    return Heredoc(name, "", expand=name == rest, chomp=bool(dash), file_descriptor=int(number or 0))
