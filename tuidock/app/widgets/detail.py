"""The detail panel: the tabs of the selected row, and below them the page of one of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip
from textual.widgets import ContentSwitcher

from tuidock.app.panes.pane import Tab
from tuidock.app.widgets.graphs import GraphView
from tuidock.app.widgets.page import Page
from tuidock.app.widgets.roles import Roles

__all__ = ["Detail", "TabBar"]


class TabBar(Roles):
    """One line of tabs; the chosen one stands in brackets, so that it shows without colours."""

    class Chosen(Message):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._titles: tuple[str, ...] = ()
        self._place = 0

    def show(self, titles: Sequence[str], place: int) -> None:
        if (tuple(titles), place) != (self._titles, self._place):
            self._titles, self._place = tuple(titles), place
            self.refresh()

    def render_line(self, y: int) -> Strip:
        spans = []
        for i, title in enumerate(self._titles):
            spans.append((f"[{title}] ", "title") if i == self._place else (f" {title}  ", "dim"))
        return self.strip(tuple(spans), self.size.width)

    def on_click(self, event: events.Click) -> None:
        at = 0
        for i, title in enumerate(self._titles):
            at += len(title) + 3
            if event.x < at:
                self.post_message(self.Chosen(i))
                return


class Detail(Vertical):
    """Holds which tab was chosen for each kind of row; the app fills the page."""

    class TabChanged(Message):
        """Another tab is shown: fill it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tabs: tuple[Tab, ...] = ()
        self._chosen: dict[tuple[Tab, ...], int] = {}
        self.graphs = GraphView(id="graphs")
        self.page = Page(id="page")
        self._bar = TabBar(id="tabs")
        self._pages = ContentSwitcher(self.graphs, self.page, initial="graphs", id="pages")

    def compose(self) -> ComposeResult:
        yield self._bar
        yield self._pages

    @property
    def tab(self) -> Tab | None:
        return self.tabs[self._chosen.get(self.tabs, 0)] if self.tabs else None

    def offer(self, tabs: tuple[Tab, ...]) -> None:
        """The tabs of the kind of row that is selected now."""
        self.tabs = tabs
        self._show()

    def choose(self, place: int) -> None:
        if self.tabs:
            self._chosen[self.tabs] = place % len(self.tabs)
            self._show()
            self.post_message(self.TabChanged())

    def choose_id(self, tab_id: str) -> bool:
        """Says whether there is such a tab."""
        for place, tab in enumerate(self.tabs):
            if tab.id == tab_id:
                self.choose(place)
                return True
        return False

    def step(self, step: int) -> None:
        self.choose(self._chosen.get(self.tabs, 0) + step)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        message.stop()
        self.choose(message.place)

    def _show(self) -> None:
        tab = self.tab
        self._bar.show([each.title for each in self.tabs], self._chosen.get(self.tabs, 0))
        page = "graphs" if tab is not None and tab.lines is None else "page"
        if self._pages.current != page:
            had_focus = self.has_focus_within
            self._pages.current = page
            if had_focus:
                self.focus_page()

    def focus_page(self) -> None:
        """Put the focus into whichever page is shown."""
        if self._pages.current == "graphs":
            self.graphs.focus()
        else:
            self.page.focus()
