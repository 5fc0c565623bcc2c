"""An instruction's arguments as words: flags, key-value pairs, JSON arrays."""

from __future__ import annotations

import json

from runtime.build.failure import DockerfileError
from runtime.build.lexer import LogicalLine, Source

__all__ = ["Words", "json_array", "quoted_words"]


def quoted_words(text: str, escape: str) -> list[str]:
    """Split at blanks outside quotes; quotes and escapes stay in the words, for the later expansion."""
    words: list[str] = []
    current = ""
    quote = ""
    at = 0
    while at < len(text):
        character = text[at]
        if quote:
            current += character
            if character == quote:
                quote = ""
            elif character == escape and quote == '"' and at + 1 < len(text):
                at += 1
                current += text[at]
        elif character.isspace():
            if current:
                words.append(current)
            current = ""
        else:
            current += character
            if character in "'\"":
                quote = character
            elif character == escape and at + 1 < len(text):
                at += 1
                current += text[at]
        at += 1
    return [*words, current] if current else words


def json_array(text: str) -> list[str] | None:
    """The strings of a JSON array; None when it is none. Raises ValueError for elements that are none."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, str) for item in value):
        raise ValueError("when using JSON array syntax, arrays must be comprised of strings only")
    return value


class Words:
    """The arguments of one instruction, taken apart step by step; knows how to complain."""

    def __init__(self, source: Source, line: LogicalLine, keyword: str, rest: str, escape: str) -> None:
        self.source = source
        self.line = line
        self.keyword = keyword
        self.rest = rest.strip()
        self.escape = escape

    def error(self, message: str, hint: str | None = None) -> DockerfileError:
        return DockerfileError.at(
            self.source, self.line.first, f"{self.keyword} {message}", last=self.line.last, hint=hint
        )

    def flags(self, **kinds: str) -> dict[str, list[str]]:
        """Take the leading ``--name=value`` words. ``kinds`` maps a name (dashes as underscores) to "text",
        "switch" or "list"; a flag that is not in it is an error."""
        found: dict[str, list[str]] = {}
        for word in self._take_flags():
            name, equals, value = word[2:].partition("=")
            kind = kinds.get(name.replace("-", "_")) if "_" not in name else None
            if kind is None:
                raise self._unknown_flag(name, kinds)
            if kind == "switch":
                value = value if equals else "true"
                if value not in ("true", "false"):
                    raise self.error(f"expects a boolean value for flag --{name}, not {value!r}")
            elif not equals:
                raise self.error(f"misses a value on flag: --{name}")
            if kind != "list" and name in found:
                raise self.error(f"has the flag --{name} twice")
            found.setdefault(name, []).append(value)
        return found

    def _unknown_flag(self, name: str, kinds: dict[str, str]) -> DockerfileError:
        import difflib

        known = [item.replace("_", "-") for item in kinds]
        close = difflib.get_close_matches(name, known, 1)
        if close:
            hint = f"did you mean --{close[0]}?"
        else:
            hint = f"known flags: {', '.join('--' + item for item in known)}" if known else "it takes none"
        return self.error(f"does not know the flag --{name}", hint)

    def _take_flags(self) -> list[str]:
        words: list[str] = []
        text = self.rest
        while text.startswith("--"):
            word, text = self._flag_word(text)
            if word == "--":
                break
            words.append(word)
        self.rest = text
        return words

    def _flag_word(self, text: str) -> tuple[str, str]:
        """One word with its quotes and escapes taken out, and what follows it."""
        word, quote, at = "", "", 0
        while at < len(text):
            character = text[at]
            if character == self.escape and quote != "'" and at + 1 < len(text):
                at += 1
                word += text[at]
            elif quote:
                if character == quote:
                    quote = ""
                else:
                    word += character
            elif character in "'\"":
                quote = character
            elif character.isspace():
                break
            else:
                word += character
            at += 1
        return word, text[at:].lstrip()

    def plain(self) -> list[str]:
        return self.rest.split()

    def text(self) -> str:
        """All of it, at least something."""
        if not self.rest:
            raise self.error("requires exactly one argument")
        return self.rest

    def list_or_json(self) -> list[str]:
        """A JSON array of strings, else blank-separated words."""
        found = self.json()
        return self.plain() if found is None else found

    def json(self) -> list[str] | None:
        try:
            return json_array(self.rest)
        except ValueError as error:
            raise self.error(f"is wrong: {error}") from None

    def pairs(self) -> tuple[tuple[tuple[str, str], ...], bool]:
        """``k=v ...``, or the old ``k v``; and whether it was the old form."""
        words = quoted_words(self.rest, self.escape)
        if not words:
            raise self.error("requires at least one argument")
        if "=" not in words[0]:
            parts = self.rest.split(None, 1)
            if len(parts) < 2:
                raise self.error("must have two arguments", "write NAME=value")
            return ((parts[0], parts[1]),), True
        found: list[tuple[str, str]] = []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise self.error(
                    f"has a syntax error: can't find = in {word!r}", "it must be of the form: name=value"
                )
            if not name:
                raise self.error("names can not be blank")
            found.append((name, value))
        return tuple(found), False
