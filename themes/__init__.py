"""Themes as data: one YAML file each. To add one, copy a file, change its name and colours.

A colour is ``#rrggbb`` or one of the terminal's own (``ansi_blue`` ...). ``roles`` colours the meanings
that the interface's cells carry; what is left out is derived from the main colours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["ROLES", "ThemeSpec", "load_all"]

ROLES = (
    "good", "warn", "bad", "dim", "key", "text", "number", "link", "cpu", "memory", "network", "disk",
    "title", "match", "cursor", "cursor-blurred", "border", "border-focus",
)  # fmt: skip
_COLOURS = (
    "primary", "secondary", "accent", "foreground", "background", "surface", "panel", "success", "warning",
    "error",
)  # fmt: skip


@dataclass(frozen=True)
class ThemeSpec:
    """``colours`` has all of Textual's main colours, ``roles`` some of :data:`ROLES`."""

    name: str
    title: str
    dark: bool
    colours: dict[str, str]
    roles: dict[str, str] = field(default_factory=dict)


@cache
def load_all() -> tuple[ThemeSpec, ...]:
    """Every theme next to this file, by ``order`` and name. Raises ValueError, naming the file, for a
    theme that lacks a colour or has an unknown key."""
    import yaml

    found = []
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.append((int(document.pop("order", 100)), _theme(path.name, document)))
    return tuple(spec for _, spec in sorted(found, key=lambda pair: (pair[0], pair[1].name)))


def _theme(file: str, document: dict[str, object]) -> ThemeSpec:
    colours = document.get("colours")
    roles = document.get("roles") or {}
    if not isinstance(colours, dict) or not isinstance(roles, dict):
        raise ValueError(f"{file}: colours and roles are mappings")
    for wanted in _COLOURS:
        if wanted not in colours:
            raise ValueError(f"{file}: the colour {wanted} is missing")
    unknown = {*document} - {"name", "title", "dark", "colours", "roles"} | ({*colours} - {*_COLOURS})
    unknown |= {*roles} - {*ROLES}
    if unknown:
        raise ValueError(f"{file}: unknown keys: {', '.join(sorted(unknown))}")
    return ThemeSpec(
        name=str(document["name"]),
        title=str(document.get("title", document["name"])),
        dark=bool(document.get("dark", True)),
        colours={str(key): str(value) for key, value in colours.items()},
        roles={str(key): str(value) for key, value in roles.items()},
    )
