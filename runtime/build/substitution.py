"""Variables in words: ``$v ${v}`` and the modifiers ``:- - :+ + :? ? # ## % %% / //``, nested; and quotes.

The rules are those of BuildKit's word processor: quotes are removed, an escape character keeps the next
character, inside double quotes it does so only before ``"``, ``$`` and itself, nothing expands inside single
quotes. An unset variable is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["SubstitutionError", "expand", "expand_words", "unquote"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")


class SubstitutionError(ValueError):
    """The word cannot be processed; the message says why. The caller adds file and line."""


def expand(
    word: str,
    variables: Mapping[str, str],
    escape: str = "\\",
    *,
    raw: bool = False,
    on_unset: Callable[[str], None] | None = None,
) -> str:
    """The word with its variables filled in and its quotes removed (kept when ``raw``).

    ``on_unset`` is told the names that have no value. Raises SubstitutionError.
    """
    return _Word(word, variables, escape, raw, on_unset).run()[0]


def expand_words(
    text: str,
    variables: Mapping[str, str],
    escape: str = "\\",
    *,
    raw: bool = False,
    on_unset: Callable[[str], None] | None = None,
) -> list[str]:
    """The same, split at blanks that are not quoted; blanks out of a variable split too.

    ``raw`` keeps quotes, escapes and variables as they are: only the splitting is wanted.
    """
    return _Word(text, variables, escape, raw, on_unset, variables_raw=raw).run()[1]


def unquote(word: str) -> str:
    """A delimiter without its quotes: ``'EOF'``, ``"EOF"``, ``E"O"F``; unbalanced quotes stay."""
    try:
        return _Word(word, {}, "\\", False, None, variables_raw=True).run()[0]
    except SubstitutionError:
        return word


class _Words:
    """Collects words as characters come."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._current = ""
        self._open = False

    def blank_splits(self, text: str) -> None:
        for character in text:
            if character.isspace():
                self.close()
            else:
                self._current += character
                self._open = True

    def literal(self, text: str) -> None:
        self._current += text
        self._open = True

    def close(self) -> None:
        if self._open:
            self.done.append(self._current)
        self._current, self._open = "", False


class _Word:
    def __init__(
        self,
        text: str,
        variables: Mapping[str, str],
        escape: str,
        raw: bool,
        on_unset: Callable[[str], None] | None,
        *,
        variables_raw: bool = False,
    ) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._escape = escape
        self._raw_quotes = raw
        self._raw_escapes = raw
        self._variables_raw = variables_raw
        self._on_unset = on_unset

    def run(self) -> tuple[str, list[str]]:
        return self._until("")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        return character

    def _until(self, stop: str, *, raw_escapes: bool = False) -> tuple[str, list[str]]:
        """Up to ``stop`` (which is consumed), or to the end when it is empty."""
        before, self._raw_escapes = self._raw_escapes, self._raw_escapes or raw_escapes
        out: list[str] = []
        words = _Words()
        try:
            while self._at < len(self._text):
                character = self._peek()
                if stop and character == stop:
                    self._at += 1
                    words.close()
                    return "".join(out), words.done
                if character in ("'", '"'):
                    piece = self._single() if character == "'" else self._double()
                    words.literal(piece)
                elif character == "$" and not self._variables_raw:
                    piece = self._dollar()
                    words.blank_splits(piece)
                elif character == self._escape:
                    self._at += 1
                    following = self._take()
                    piece = (character if self._raw_escapes else "") + following
                    words.literal(piece)
                else:
                    self._at += 1
                    piece = character
                    words.blank_splits(piece)
                out.append(piece)
        finally:
            self._raw_escapes = before
        if stop:
            raise SubstitutionError(f"unexpected end of statement while looking for matching {stop}")
        words.close()
        return "".join(out), words.done

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise SubstitutionError("unexpected end of statement while looking for matching single-quote")
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        return f"'{inner}'" if self._raw_quotes else inner

    def _double(self) -> str:
        self._at += 1
        out: list[str] = ['"'] if self._raw_quotes else []
        while True:
            character = self._peek()
            if not character:
                raise SubstitutionError("unexpected end of statement while looking for matching double-quote")
            if character == '"':
                self._at += 1
                if self._raw_quotes:
                    out.append('"')
                return "".join(out)
            if character == "$" and not self._variables_raw:
                out.append(self._dollar())
                continue
            self._at += 1
            if character == self._escape:
                if self._raw_escapes:
                    out.append(character)
                following = self._peek()
                if not following:
                    continue
                if following in ('"', "$", self._escape):
                    character = self._take()
                elif self._raw_escapes:
                    continue
            out.append(character)

    def _dollar(self) -> str:
        self._at += 1
        if self._peek() != "{":
            match = _NAME.match(self._text, self._at)
            if match is None:
                return "$"
            self._at = match.end()
            return self._value(match.group()) or ""
        self._at += 1
        if not self._peek():
            raise SubstitutionError("syntax error: missing '}'")
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise SubstitutionError("syntax error: bad substitution")
        self._at = match.end()
        return self._braced(match.group())

    def _braced(self, name: str) -> str:
        modifier = self._take()
        if modifier == "}":
            return self._value(name) or ""
        if modifier == "/":
            return self._replaced(name)
        colon = modifier == ":"
        if colon:
            modifier = self._take()
        if not modifier:
            raise SubstitutionError("syntax error: missing '}'")
        if modifier not in ("+", "-", "?") and (colon or modifier not in ("#", "%")):
            shown = f":{modifier}" if colon else modifier
            raise SubstitutionError(f"unsupported modifier ({shown}) in substitution")
        operand = self._operand("}", raw_escapes=modifier in ("#", "%"))
        value = self._variables.get(name)
        present = value is not None and (value != "" or not colon)
        if modifier == "-":
            return value or "" if present else operand
        if modifier == "+":
            return operand if present else ""
        if modifier == "?":
            if not present:
                reason = operand or ("not allowed to be empty" if colon else "not allowed to be unset")
                raise SubstitutionError(f"{name}: {reason}")
            return value or ""
        greedy = operand.startswith(modifier)
        known = self._value(name) or ""
        pattern = operand[1:] if greedy else operand
        return _cut_prefix(known, pattern, greedy) if modifier == "#" else _cut_suffix(known, pattern, greedy)

    def _operand(self, stop: str, *, raw_escapes: bool) -> str:
        try:
            return self._until(stop, raw_escapes=raw_escapes)[0]
        except SubstitutionError as error:
            if "matching" in str(error) and "quote" not in str(error):
                raise SubstitutionError("syntax error: missing '}'") from None
            raise

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._at += 1
        pattern = self._operand("/", raw_escapes=True)
        replacement = self._operand("}", raw_escapes=False)
        value = self._value(name) or ""
        if not pattern:
            return value
        return re.sub(
            _regex(pattern, greedy=True),
            lambda _: replacement,
            value,
            count=0 if everywhere else 1,
            flags=re.S,
        )

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        if value is None and self._on_unset is not None:
            self._on_unset(name)
        return value


def _regex(pattern: str, *, greedy: bool) -> str:
    """A shell pattern's ``*``, ``?`` and ``\\x`` as a regular expression."""
    out: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            out.append(".*" if greedy else ".*?")
        elif character == "?":
            out.append(".")
        elif character == "\\":
            out.append(re.escape(next(characters, "\\")))
        else:
            out.append(re.escape(character))
    return "".join(out)


def _cut_prefix(value: str, pattern: str, greedy: bool) -> str:
    match = re.match(_regex(pattern, greedy=greedy), value, re.S)
    return value[match.end() :] if match else value


def _cut_suffix(value: str, pattern: str, greedy: bool) -> str:
    compiled = re.compile(_regex(pattern, greedy=True), re.S)
    cuts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    for cut in cuts:
        if compiled.fullmatch(value, cut):
            return value[:cut]
    return value
