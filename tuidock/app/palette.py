"""The command palette: every action of the interface and every theme, found by typing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tuidock.app.offering import palette_entries

if TYPE_CHECKING:
    from tuidock.app.app import Tuidock

__all__ = ["Everything"]


class Everything(Provider):
    """What the app offers for the widget that had the focus."""

    def _entries(self) -> list[tuple[str, str, Callable[[], None]]]:
        return palette_entries(cast("Tuidock", self.app))

    async def discover(self) -> Hits:
        for title, help_text, run in self._entries():
            yield DiscoveryHit(title, run, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, help_text, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=help_text)
