"""``.dockerignore``: which paths of the context a build sees.

Patterns are those of the Dockerfile reference: Go's ``filepath.Match`` plus ``**``; ``!`` takes back; the
last pattern that matches wins; a pattern that matches a directory matches all below it; matching is on
whole paths from the context's root, with or without a leading slash.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from functools import cached_property

from runtime.model.record import record

__all__ = ["IgnoreRules", "PatternError", "pattern_regex", "read_rules"]


class PatternError(ValueError):
    """A pattern with an unfinished ``[`` or escape."""


@record
class _Pattern:
    text: str
    keep: bool
    """Written with ``!``."""


class IgnoreRules:
    """Immutable; ``excluded`` is a question about one path, ``descend`` helps a walk to skip whole trees."""

    def __init__(self, patterns: tuple[_Pattern, ...] = ()) -> None:
        self._patterns = patterns
        self._keeps = tuple(pattern for pattern in patterns if pattern.keep)
        self.text = "\n".join(f"{'!' if item.keep else ''}{item.text}" for item in patterns)
        """Equal for rules that give equal answers."""

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def excluded(self, path: str) -> bool:
        """``path`` is relative, with slashes; "" (the root) never is."""
        if not self._patterns or not path:
            return False
        return next((not keep for keep, regex in self._runs if regex.fullmatch(path)), False)

    @cached_property
    def _runs(self) -> list[tuple[bool, re.Pattern[str]]]:
        """Last first, neighbours that say the same in one expression, each for a path or a parent of it."""
        runs: list[tuple[bool, re.Pattern[str]]] = []
        for keep, run in itertools.groupby(reversed(self._patterns), lambda pattern: pattern.keep):
            choices = "|".join(pattern_regex(pattern.text) for pattern in run)
            runs.append((keep, re.compile(f"(?:{choices})(?:/.*)?", re.S)))
        return runs

    def descend(self, directory: str) -> bool:
        """Whether something below an excluded directory could have been taken back."""
        inside = directory + "/"
        for pattern in self._keeps:
            fixed = re.split(r"[*?\[\\]", pattern.text, maxsplit=1)[0]
            wild = fixed != pattern.text
            if pattern.text.startswith(inside) or (
                wild and (fixed.startswith(inside) or inside.startswith(fixed))
            ):
                return True
        return False


def read_rules(text: str) -> IgnoreRules:
    """Raises PatternError with the pattern in its message."""
    patterns: list[_Pattern] = []
    for raw in text.removeprefix("\ufeff").splitlines():
        if raw.startswith("#") or not raw.strip():
            continue
        line = raw.strip()
        keep = line.startswith("!")
        body = line[1:].strip() if keep else line
        if not body:
            raise PatternError('illegal exclusion pattern: "!"')
        cleaned = posixpath.normpath(body).lstrip("/") or "."
        pattern_regex(cleaned)
        patterns.append(_Pattern(cleaned, keep))
    return IgnoreRules(tuple(patterns))


def pattern_regex(pattern: str) -> str:
    """``*`` and ``?`` stop at slashes, ``**`` does not; ``[a-z]`` and ``[^a-z]``; a backslash quotes."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            while pattern.startswith("*", at) or pattern.startswith("/**", at):
                at += 1
            if at >= len(pattern):
                out.append(".*")
            elif pattern[at] == "/":
                at += 1
                out.append("(?:.*/)?")
            else:
                out.append(".*")
            continue
        at += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            text, at = _class(pattern, at)
            out.append(text)
        elif character == "\\":
            if at >= len(pattern):
                raise PatternError(f"pattern {pattern!r} ends in an escape")
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(character))
    return "".join(out)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """A bracket expression that begins before ``at``."""
    negated = pattern.startswith("^", at)
    at += negated
    members: list[tuple[str, str]] = []
    begun = False
    while at < len(pattern):
        if pattern[at] == "]" and begun:
            return _one_of(members, negated), at + 1
        low, at = _member(pattern, at)
        begun = True
        high = low
        if pattern.startswith("-", at) and not pattern.startswith("]", at + 1) and at + 1 < len(pattern):
            high, at = _member(pattern, at + 1)
        members.append((low, high))
    raise PatternError(f"pattern {pattern!r} has a [ without its ]")


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1


def _one_of(members: list[tuple[str, str]], negated: bool) -> str:
    """A range that runs backwards holds nothing, as in Go; Python's expressions refuse it."""
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in members if low <= high)
    if negated:
        return f"[^/{inside}]"
    return f"[{inside}]" if inside else "(?!)"
