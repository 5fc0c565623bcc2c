"""What the right side shows: the detail page and the log of the row that is selected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app.actions import Subject
from tuidock.app.panes.containers import cpu_ceiling
from tuidock.app.widgets.graphs import Graphed
from tuidock.app.widgets.logview import SINCE, Source
from tuidock.app.wording import Cell, cell, service_of, size, state
from tuidock.report import describe

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.services.project import ServiceStatus
    from tuidock.app.app import Tuidock
    from tuidock.app.panes.pane import Tab

__all__ = ["Looking"]

SETTLE = 0.06
"""Seconds that the cursor must rest on a row before the engine is asked about it."""
FIRST_LINES = 2000
"""Lines of the past that a log begins with."""
MERGED = 32
"""At most so many logs are merged."""


class Looking:
    """One per app. ``select`` as often as the cursor moves."""

    def __init__(self, app: Tuidock, engine: Engine) -> None:
        self._app = app
        self._engine = engine
        self.subject: Subject | None = None
        self._logs_of: tuple[str, tuple[str, ...]] = ("", ())
        self._page_of: tuple[str, str] = ("", "")
        self._page_at = 0.0
        self._reading = False
        self._again = False
        self._opened = 0
        self._selected = 0

    # -- selection

    def select(self, subject: Subject | None) -> None:
        """Show this row: its tabs and graphs at once, what must be read once the cursor rests. The log stays
        when the row has none."""
        self.subject = subject
        self._selected += 1
        turn = self._selected
        detail = self._app.detail
        if subject is None:
            detail.border_title = "7 Detail"
            detail.offer(())
            detail.page.show([], anew=True)
            self._page_of = ("", "")
            return
        detail.border_title = f"7 {subject.name}"
        detail.offer(self._app.pane(subject.pane).pane.tabs)
        self.draw_graphs()
        self._app.set_timer(SETTLE, lambda: self._settle(turn))

    def _settle(self, turn: int) -> None:
        if turn == self._selected:
            self.show()

    def show(self) -> None:
        """Read the page and follow the log of the selected row."""
        subject = self.subject
        if subject is None:
            return
        self.refresh_page()
        if subject.pane == "containers":
            self.follow(subject.name, [cast("Container", subject.item)])
        elif subject.pane == "services":
            service = cast("ServiceStatus", subject.item)
            self.follow(subject.name, self._app.board.of_service(service.project, service.service))

    def renewed(self) -> None:
        """The board has changed: the same row may be another item now, or have other containers."""
        if self.subject is None:
            return
        current = self._app.pane(self.subject.pane).subject
        if current is not None and current.key == self.subject.key:
            changed = current.item != self.subject.item
            self.subject = current
            if current.pane == "services":
                service = cast("ServiceStatus", current.item)
                self.follow(current.name, self._app.board.of_service(service.project, service.service))
            if changed:
                self.refresh_page(again=True)
        self.draw_graphs()

    # -- graphs

    def draw_graphs(self) -> None:
        subject, tab = self.subject, self._app.detail.tab
        if subject is None or tab is None or tab.lines is not None:
            return
        if subject.pane not in ("containers", "services"):
            return  # the tabs follow once the cursor rests
        self._app.detail.graphs.show(self._graphed(subject))

    def _graphed(self, subject: Subject) -> list[Graphed]:
        board = self._app.board
        if subject.pane == "services":
            service = cast("ServiceStatus", subject.item)
            containers: Sequence[Container] = board.of_service(service.project, service.service)
        else:
            containers = [board.by_id.get(subject.key, cast("Container", subject.item))]
        found = []
        for container in containers:
            note: Cell = ()
            if not container.state.status.alive:
                note = self._ended(container)
            limit = container.config.resources.memory or 0
            cpus = container.config.resources.cpus
            found.append(
                Graphed(
                    container.name,
                    board.histories.get(container.id),
                    cpu_ceiling(container) if cpus else 0.0,
                    float(limit),
                    note,
                )
            )
        return found

    def _ended(self, container: Container) -> Cell:
        """Why there is nothing to draw, and what to press."""
        spans: list[tuple[str, str]] = [(" ", ""), *state(container)]
        if container.state.oom_killed:
            limit = container.config.resources.memory
            spans.append((f": killed, out of memory{f' (limit {size(limit)})' if limit else ''}", "bad"))
        elif container.state.error:
            spans.append((f": {container.state.error}", "bad"))
        return (*spans, ("   s", "key"), (" starts it", "dim"))

    # -- pages

    def refresh_page(self, *, again: bool = False) -> None:
        """Read the page of the chosen tab, in a thread; one read at a time, the last wish wins."""
        subject, tab = self.subject, self._app.detail.tab
        if subject is None or tab is None or tab.lines is None:
            return
        if not again and self._page_of == (f"{subject.pane} {subject.key}", tab.id):
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._page_at = time.monotonic()
        self._app.in_thread(self._reader(subject, tab))

    def _reader(self, subject: Subject, tab: Tab) -> Callable[[], None]:
        def read() -> None:
            assert tab.lines is not None
            try:
                lines = list(tab.lines(self._engine, subject))
            except Exception as error:  # the page itself says why it cannot be read
                report = describe(error)
                lines = [cell(f"{report.title}: {report.message}", "bad")]
                if report.hint:
                    lines.append(cell(report.hint, "dim"))
            self._app.call_later(self._page_read, subject, tab, lines)

        return read

    def _page_read(self, subject: Subject, tab: Tab, lines: list[Cell]) -> None:
        self._reading = False
        current = self.subject
        if current is not None and current.key == subject.key and self._app.detail.tab == tab:
            page = (f"{subject.pane} {subject.key}", tab.id)
            self._app.detail.page.show(lines, anew=page != self._page_of)
            self._page_of = page
        else:
            self._again = True
        if self._again:
            self._again = False
            self.refresh_page(again=True)

    def tick(self) -> None:
        """Read again those pages that change by themselves."""
        tab = self._app.detail.tab
        if tab is not None and tab.every and time.monotonic() - self._page_at >= tab.every:
            self.refresh_page(again=True)

    # -- logs

    def follow(self, name: str, containers: Sequence[Container], *, again: bool = False) -> None:
        """Follow the logs of these containers, merged; nothing happens when they are followed already."""
        wanted = (name, tuple(container.id for container in containers[:MERGED]))
        if wanted == self._logs_of and not again:
            return
        self._logs_of = wanted
        self._opened += 1
        self._app.in_thread(self._opener(self._opened, name, list(containers[:MERGED])))

    def follow_again(self) -> None:
        """The same logs, from the time on that was chosen since."""
        name, ids = self._logs_of
        known = [self._app.board.by_id[found] for found in ids if found in self._app.board.by_id]
        if known:
            self.follow(name, known, again=True)

    def follow_project(self) -> bool:
        """The logs of all services of the selected row's project; False when it has none."""
        subject = self.subject
        if subject is None or subject.pane not in ("containers", "services"):
            return False
        if subject.pane == "services":
            project = cast("ServiceStatus", subject.item).project
        else:
            project = service_of(cast("Container", subject.item).config.labels)[0]
        if not project:
            return False
        self.follow(project, self._app.board.of_service(project))
        return True

    def _opener(self, turn: int, name: str, containers: Sequence[Container]) -> Callable[[], None]:
        chosen = SINCE[self._app.log_view.since][1]
        since = time.time_ns() - chosen * 1_000_000_000 if chosen else None

        def open_all() -> None:
            sources = []
            hint = ""
            for container in containers:
                try:
                    if since is None:
                        follower = self._engine.containers.log_follower(container.id, tail=FIRST_LINES)
                    else:
                        follower = self._engine.containers.log_follower(container.id, since=since)
                except Exception as error:  # the pane says why it is empty
                    hint = describe(error).message
                    continue
                sources.append(Source(container.name, follower))
            self._app.call_later(self._opened_logs, turn, name, sources, hint)

        return open_all

    def _opened_logs(self, turn: int, name: str, sources: list[Source], hint: str) -> None:
        if turn != self._opened or not self._app.is_running:
            for source in sources:
                source.follower.close()
            return
        self._app.log_view.show(name, sources, hint=hint or f"{name} has no containers.")
