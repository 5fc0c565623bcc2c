"""``.dockerignore``: which paths of the context a build sees.

Patterns are those of the Dockerfile reference: Go's ``filepath.Match`` plus ``**``; ``!`` takes back; the
last pattern that matches wins; a pattern that matches a directory matches all below it; matching is on
whole paths from the context's root, with or without a leading slash.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

__all__ = ["IgnoreRules", "PatternError", "pattern_regex", "read_rules"]


class PatternError(ValueError):
    """A pattern with an unfinished ``[`` or escape."""


@dataclass(frozen=True)
class _Pattern:
    text: str
    keep: bool
    """Written with ``!``."""
    regex: re.Pattern[str]


class IgnoreRules:
    """Immutable; ``excluded`` is a question about one path, ``descend`` helps a walk to skip whole trees."""

    def __init__(self, patterns: tuple[_Pattern, ...] = ()) -> None:
        self._patterns = patterns
        self._keeps = tuple(pattern for pattern in patterns if pattern.keep)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def excluded(self, path: str) -> bool:
        """``path`` is relative, with slashes; "" (the root) never is."""
        if not self._patterns or not path:
            return False
        parts = path.split("/")
        prefixes = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        for pattern in reversed(self._patterns):
            if any(pattern.regex.fullmatch(prefix) for prefix in prefixes):
                return not pattern.keep
        return False

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
        patterns.append(_Pattern(cleaned, keep, re.compile(pattern_regex(cleaned), re.S)))
    return IgnoreRules(tuple(patterns))


def pattern_regex(pattern: str) -> str:
    """``*`` and ``?`` stop at slashes, ``**`` does not; ``[a-z]`` and ``[^a-z]``; a backslash quotes."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            while pattern.startswith("*", at):
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
    members: list[str] = []
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "]" and members:
            return f"[{'^/' if negated else ''}{''.join(members)}]", at
        if character == "\\" and at < len(pattern):
            character = pattern[at]
            at += 1
            members.append(re.escape(character))
        elif character == "-" and members:
            members.append("-")
        else:
            members.append(re.escape(character))
    raise PatternError(f"pattern {pattern!r} has a [ without its ]")
