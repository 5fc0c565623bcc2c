"""The app's base: themes out of ``themes/`` take the place of textual's own."""

from __future__ import annotations

from textual.app import App
from textual.filter import Monochrome, NoColor

from runtime.errors import InvalidInput
from tuidock.app.themes import DEFAULT, DEFAULT_WITHOUT_COLOUR, load_themes

__all__ = ["ThemedApp"]


class ThemedApp(App[int], inherit_bindings=False):
    """Knows the themes and changes between them."""

    def __init__(self) -> None:
        self.themes = load_themes()
        super().__init__()

    def tell(self, text: str, role: str = "") -> None:
        """One line for the user."""
        self.notify(text)

    def use_theme(self, wanted: str) -> None:
        """At the start; "" is the default. Raises InvalidInput for one that does not exist."""
        for builtin in list(self.available_themes):
            self.unregister_theme(builtin)
        for theme in self.themes:
            self.register_theme(theme)
        if self.no_color:
            self._filters = [NoColor() if isinstance(each, Monochrome) else each for each in self._filters]
        if wanted and wanted not in self.theme_names:
            raise InvalidInput(
                f"tui: unknown theme {wanted!r}",
                hint=f"themes: {', '.join(self.theme_names)}",
                subject="theme",
            )
        self.theme = wanted or (DEFAULT_WITHOUT_COLOUR if self.no_color else DEFAULT)

    @property
    def theme_names(self) -> list[str]:
        return [theme.name for theme in self.themes]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(self.themes[0].variables)

    def choose_theme(self, name: str) -> None:
        """Raises InvalidInput for one that does not exist."""
        if name not in self.theme_names:
            raise InvalidInput(
                f"there is no theme {name!r}", hint=f"themes: {', '.join(self.theme_names)}", subject=name
            )
        self.theme = name
        self.tell(f"theme {name}", "")

    def action_next_theme(self) -> None:
        names = self.theme_names
        self.choose_theme(names[(names.index(self.theme) + 1) % len(names)])
