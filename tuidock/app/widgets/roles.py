"""Roles: names of meanings that cells carry and that the theme gives a colour to."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tuidock.app.wording import Cell

__all__ = ["ROLES", "Roles"]

_NAMES = (
    "good", "warn", "bad", "dim", "key", "text", "number", "link", "cpu", "memory", "network", "disk",
    "title", "cursor", "cursor-blurred", "marked", "match", "source-0", "source-1", "source-2", "source-3",
    "source-4", "source-5",
)  # fmt: skip
ROLES = {f"role--{name}" for name in _NAMES}


class Roles(Widget):
    """A widget that draws cells. Styles are looked up once per theme."""

    COMPONENT_CLASSES = ROLES

    _role_styles: dict[str, Style] | None = None
    _base_style: Style | None = None

    def role(self, name: str) -> Style:
        """The style of a role alone, without the widget's background; "" has none."""
        known = self._role_styles
        if known is None:
            known = self._role_styles = {}
        found = known.get(name)
        if found is None:
            found = self.get_component_rich_style(f"role--{name}", partial=True) if name else Style.null()
            known[name] = found
        return found

    @property
    def base(self) -> Style:
        """The widget's own style, looked up once per theme."""
        if self._base_style is None:
            self._base_style = self.rich_style
        return self._base_style

    def notify_style_update(self) -> None:
        self._role_styles = None
        self._base_style = None
        super().notify_style_update()

    def strip(self, cell: Cell, width: int, left: int = 0) -> Strip:
        """``width`` cells of a line of spans, beginning ``left`` cells in."""
        base = self.base
        segments = [Segment(text, base + self.role(role) if role else base) for text, role in cell]
        return Strip(segments).crop_extend(left, left + width, base)
