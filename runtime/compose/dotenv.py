"""Environment files as docker compose reads them (``.env`` and a service's ``env_file``).

``NAME=value``, ``NAME: value`` and ``export NAME=value``; comments; single quotes (verbatim), double quotes
(escapes and variables) and plain values (variables; `` #`` starts a comment); quoted values may span lines. A
name alone takes the caller's value. Source: compose-spec, 05-services.md, "env_file", and docker's
"Environment file syntax".
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path

from runtime.compose.interpolate import Unset, substitute
from runtime.errors import InvalidInput, NotFound

__all__ = ["parse_text", "read"]

_START = re.compile(
    r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.\[\]-]*)[ \t]*(=|:(?=[ \t]|$)|(?=$|\n|#))", re.ASCII | re.M
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read(path: Path, lookup: Mapping[str, str], on_unset: Unset | None = None) -> dict[str, str]:
    """Raises NotFound for a file that does not exist, InvalidInput with file and line for a wrong one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"env file {path} not found", subject=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(f"cannot read env file {path}: {reason}", subject=str(path)) from error
    return parse_text(text, str(path), lookup, on_unset)


def parse_text(
    text: str, name: str, lookup: Mapping[str, str], on_unset: Unset | None = None
) -> dict[str, str]:
    """The variables in order; ``lookup`` is what ``${OTHER}`` and bare names see besides earlier lines."""
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end].strip()
        if not line or line.startswith("#"):
            position = end + 1
            continue
        number = text.count("\n", 0, position) + 1

        def wrong(reason: str, number: int = number) -> InvalidInput:
            return InvalidInput(f"{name}:{number}: {reason}", hint="each line is NAME=VALUE", subject=name)

        match = _START.match(text, position)
        if match is None:
            raise wrong(f'unexpected text "{line[:40]}"')
        variable = match[1]
        if match[2] == "":
            if variable in lookup:
                found[variable] = lookup[variable]
            position = end + 1
            continue
        # What the shell has set wins inside ${...}, as it does for the variables themselves.
        variables = ChainMap(dict(lookup), found)
        try:
            found[variable], position = _value(text, match.end(), variables, on_unset)
        except ValueError as error:
            raise wrong(f"{variable}: {error}") from None
    return found


def _value(text: str, position: int, variables: Mapping[str, str], on_unset: Unset | None) -> tuple[str, int]:
    """The value that starts at ``position`` and where the next line starts."""
    while text[position : position + 1] in (" ", "\t"):
        position += 1
    quote = text[position : position + 1]
    if quote in ("'", '"'):
        close = position + 1
        while close < len(text) and text[close] != quote:
            close += 2 if text[close] == "\\" else 1
        if close >= len(text):
            raise ValueError("a quote is not closed")
        inside = text[position + 1 : close]
        end = text.find("\n", close)
        end = len(text) if end < 0 else end
        rest = text[close + 1 : end].strip()
        if rest and not rest.startswith("#"):
            raise ValueError(f'unexpected text "{rest[:40]}" after the closing quote')
        if quote == "'":
            return inside.replace("\\'", "'"), end + 1
        return substitute(_unescape(inside), variables, on_unset), end + 1
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    plain = re.split(r"(?:^|[ \t])#", text[position:end], maxsplit=1)[0].strip()
    return substitute(plain, variables, on_unset), end + 1


def _unescape(text: str) -> str:
    """Backslash escapes; ``\\$`` becomes ``$$``, which is a dollar sign after substitution."""

    def replaced(match: re.Match[str]) -> str:
        character = match[1]
        return "$$" if character == "$" else _ESCAPES.get(character, "\\" + character)

    return re.sub(r"\\(.)", replaced, text, flags=re.DOTALL)
