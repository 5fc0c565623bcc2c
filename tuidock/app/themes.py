"""The theme files as Textual themes; each role becomes the CSS variable ``$role-NAME``."""

from __future__ import annotations

from textual.theme import Theme

from themes import ThemeSpec, load_all

__all__ = ["DEFAULT", "DEFAULT_WITHOUT_COLOUR", "load_themes", "role_variables"]

DEFAULT = "harbor"
DEFAULT_WITHOUT_COLOUR = "mono"

_DERIVED = {
    "good": "success", "warn": "warning", "bad": "error", "dim": "secondary", "key": "accent",
    "text": "success", "number": "warning", "link": "primary", "cpu": "accent", "memory": "primary",
    "network": "secondary", "disk": "warning", "title": "foreground", "match": "secondary",
    "cursor": "panel", "cursor-blurred": "surface", "border": "panel", "border-focus": "accent",
}  # fmt: skip


def role_variables(spec: ThemeSpec) -> dict[str, str]:
    """A colour for every role: the theme's own, else the main colour that stands for it."""
    return {f"role-{role}": spec.roles.get(role, spec.colours[main]) for role, main in _DERIVED.items()}


def load_themes() -> list[Theme]:
    """All themes, the default one first."""
    return [_theme(spec) for spec in load_all()]


def _theme(spec: ThemeSpec) -> Theme:
    variables = role_variables(spec)
    variables["block-cursor-background"] = spec.roles.get("cursor", spec.colours["panel"])
    variables["block-cursor-foreground"] = spec.colours["foreground"]
    variables["scrollbar"] = variables["role-border"]
    variables["scrollbar-hover"] = variables["role-dim"]
    variables["scrollbar-active"] = variables["role-border-focus"]
    variables["scrollbar-background"] = spec.colours["background"]
    variables["scrollbar-background-hover"] = spec.colours["background"]
    variables["scrollbar-background-active"] = spec.colours["background"]
    colours = spec.colours
    return Theme(
        name=spec.name,
        primary=colours["primary"],
        secondary=colours["secondary"],
        accent=colours["accent"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["panel"],
        success=colours["success"],
        warning=colours["warning"],
        error=colours["error"],
        dark=spec.dark,
        variables=variables,
    )
