"""Colours of log lines, made safe: :func:`pieces` keeps SGR (ECMA-48, 8.3.117) and drops the rest.

What a container prints must never move the cursor, set the title or write the clipboard of the person
who looks at it: every other control sequence and control character goes.
"""

from __future__ import annotations

import re

from rich.color import Color
from rich.style import Style

__all__ = ["pieces", "printable", "text"]

_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # SGR, the only one that is kept
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other CSI
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one C1 character
    r"|\x1b"
)
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x1B}
_BIDI = dict.fromkeys((*range(8234, 8239), *range(8294, 8298), 8206, 8207, 65279))
_DROP = {**_CONTROL, **_BIDI}
_ESCAPES = re.compile(r"[\x1b\x9b]")
TAB = 8


def _expand(line: str) -> str:
    """The line as a terminal would leave it: what a carriage return overwrote is gone, tabs are blanks."""
    if "\r" in line:
        line = line.rstrip("\r")
        line = line[line.rfind("\r") + 1 :]
    return line.expandtabs(TAB) if "\t" in line else line


def text(line: bytes) -> str:
    """Only the characters, for search, wrapping and the clipboard."""
    decoded = _expand(line.decode("utf-8", "replace"))
    if _ESCAPES.search(decoded):
        decoded = _SEQUENCE.sub("", decoded)
    return decoded if decoded.isprintable() else decoded.translate(_DROP)


def printable(value: str) -> str:
    """Any other string of a container (a name, a variable) without control characters."""
    return value if value.isprintable() else _SEQUENCE.sub("", value).translate(_DROP)


def pieces(line: bytes) -> list[tuple[str, Style | None]]:
    """The line as (text, style) pieces; None is the style of the widget."""
    decoded = _expand(line.decode("utf-8", "replace"))
    if not _ESCAPES.search(decoded):
        return [(decoded if decoded.isprintable() else decoded.translate(_DROP), None)]
    found: list[tuple[str, Style | None]] = []
    style: Style | None = None
    position = 0
    for match in _SEQUENCE.finditer(decoded):
        if match.start() > position:
            found.append((decoded[position : match.start()].translate(_DROP), style))
        position = match.end()
        if match.group(1) is not None:
            style = _apply(style, match.group(1))
    if position < len(decoded):
        found.append((decoded[position:].translate(_DROP), style))
    return [piece for piece in found if piece[0]] or [("", None)]


_ATTRIBUTES: dict[int, Style] = {
    1: Style(bold=True),
    2: Style(dim=True),
    3: Style(italic=True),
    4: Style(underline=True),
    7: Style(reverse=True),
    9: Style(strike=True),
    22: Style(bold=False, dim=False),
    23: Style(italic=False),
    24: Style(underline=False),
    27: Style(reverse=False),
    29: Style(strike=False),
    39: Style(color=Color.default()),
    49: Style(bgcolor=Color.default()),
}


def _apply(style: Style | None, parameters: str) -> Style | None:
    codes = [int(code) if code.isdigit() else 0 for code in re.split("[;:]", parameters[:64])]
    position = 0
    while position < len(codes):
        code = codes[position]
        position += 1
        if code == 0:
            style = None
        elif code in (38, 48):
            color, used = _extended(codes[position:])
            position += used
            if color is not None:
                style = _add(style, Style(color=color) if code == 38 else Style(bgcolor=color))
        elif code in _ATTRIBUTES:
            style = _add(style, _ATTRIBUTES[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = _add(style, Style(color=Color.from_ansi(code - 30 if code < 90 else code - 82)))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = _add(style, Style(bgcolor=Color.from_ansi(code - 40 if code < 100 else code - 92)))
    return style


def _add(style: Style | None, more: Style) -> Style:
    return more if style is None else style + more


def _extended(codes: list[int]) -> tuple[Color | None, int]:
    """The colour after 38 or 48 and how many codes it took: ``5;N`` or ``2;R;G;B``."""
    if len(codes) >= 2 and codes[0] == 5 and codes[1] <= 255:
        return Color.from_ansi(codes[1]), 2
    if len(codes) >= 4 and codes[0] == 2 and all(code <= 255 for code in codes[1:4]):
        return Color.from_rgb(*codes[1:4]), 4
    return None, len(codes)
