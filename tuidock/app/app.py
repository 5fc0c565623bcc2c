"""The app: puts the panes on the screen, keeps the board, and sends keys to where they are carried out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import Provider
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from tuidock.app import keys as keytable
from tuidock.app.acting import THREADS, Acting
from tuidock.app.actions import ACTIONS
from tuidock.app.arranging import arrange
from tuidock.app.board import Board
from tuidock.app.layout import Zoom
from tuidock.app.looking import Looking
from tuidock.app.messages import Begun, Done, Failed, Observed, Sampled, Stepped, Unreadable
from tuidock.app.observe import Observer
from tuidock.app.offering import key_bar, menu_choices
from tuidock.app.palette import Everything
from tuidock.app.panes import PANES
from tuidock.app.prompting import Prompting, save_lines
from tuidock.app.screens.help import Help
from tuidock.app.screens.menu import Menu
from tuidock.app.themed import ThemedApp
from tuidock.app.visiting import Visiting
from tuidock.app.widgets.bars import KeyBar, Prompt, StatusBar
from tuidock.app.widgets.detail import Detail
from tuidock.app.widgets.logview import LogView, plain_lines
from tuidock.app.widgets.page import Page
from tuidock.app.widgets.panelist import PaneList
from tuidock.app.widgets.table import RowTable
from tuidock.app.wording import PROJECT_LABEL, percent, size
from tuidock.report import describe

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.event import Event
    from runtime.services.project import ServiceStatus

__all__ = ["Tuidock"]


class Tuidock(ThemedApp, inherit_bindings=False):
    """``focus_project`` is selected at first, when it is there. Raises InvalidInput for settings (``tui:``)
    that name an unknown theme, key or profile."""

    TITLE = "tuidock"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = keytable.bindings(keytable.APP)
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Everything}
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, engine: Engine, *, focus_project: str | None = None, theme: str | None = None) -> None:
        super().__init__()
        settings = engine.context.config.tui
        self.engine = engine
        self.board = Board()
        self.observer = Observer(engine, self.post_message)
        self.acting = Acting(self, engine)
        self.looking = Looking(self, engine)
        self.prompting = Prompting(self, engine)
        self.visiting = Visiting(self, engine)
        self.lists = [PaneList(pane, number) for number, pane in enumerate(PANES, start=1)]
        self.detail = Detail(id="detail")
        self.log_view = LogView(id="logs")
        self.left = Vertical(*self.lists, id="left")
        self.right = Vertical(self.detail, self.log_view, id="right")
        self.prompt = Prompt(id="prompt")
        self.status = StatusBar(id="status")
        self.key_line = KeyBar(id="keys")
        self.zoom = Zoom.NORMAL
        self.busy: set[threading.Thread] = set()
        self.last_list_id = "containers"
        self._focus_project = focus_project
        self._slots = threading.BoundedSemaphore(THREADS)
        self._keymap_changes = keytable.keymap(settings)
        self.set_keymap(self._keymap_changes)
        self.use_theme(theme or str(settings.get("theme", "")))

    # -- the screen

    def compose(self) -> ComposeResult:
        with Horizontal(id="body"):
            yield self.left
            yield self.right
        yield self.prompt
        yield self.status
        yield self.key_line

    def on_mount(self) -> None:
        self.pane("containers").focus()
        self._redraw()
        self.arrange()
        self.observer.start()
        self.set_interval(0.5, self.looking.tick)

    def on_unmount(self) -> None:
        self.observer.stop()

    def pane(self, pane_id: str) -> PaneList:
        return next(each for each in self.lists if each.pane.id == pane_id)

    @property
    def last_list(self) -> PaneList:
        """The list that has the focus, or had it last."""
        return self.pane(self.last_list_id)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.arrange)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        widget = event.widget
        if isinstance(widget, PaneList):
            self.last_list_id = widget.pane.id
            if widget.subject != self.looking.subject:
                self.looking.select(widget.subject)
        self.arrange()
        self._show_keys()

    def arrange(self) -> None:
        """Divide the screen anew: it has another size, another pane has the focus or rows came."""
        arrange(self)

    def _show_keys(self) -> None:
        if self.left.is_attached:
            self.key_line.show(key_bar(self, self.screen_stack[0].focused))

    def keys_of(self, command: keytable.Command) -> str:
        """The keys that a command is on, after the user's changes."""
        return self._keymap_changes.get(command.id, command.keys)

    async def on_key_bar_pressed(self, message: KeyBar.Pressed) -> None:
        focused = self.screen.focused
        if message.action:
            await self.run_action(message.action, focused if focused is not None else self)

    # -- what the threads tell

    def on_observed(self, message: Observed) -> None:
        first = not self.board.loaded
        self.board.take(message.snapshot, time.time_ns())
        self._redraw()
        self.arrange()
        self._warn_of(message.events)
        if first:
            self._first_look()
        else:
            self.looking.renewed()

    def _warn_of(self, happened: Sequence[Event]) -> None:
        """What nobody asked for and everybody wants to know: a container ran out of memory."""
        for event in happened:
            if event.type == "container" and event.action == "oom":
                name = event.attributes.get("name", event.actor[:12])
                known = self.board.by_id.get(event.actor)
                limit = known.config.resources.memory if known is not None else None
                at = f" at its limit of {size(limit)}" if limit else ""
                self.notify(
                    f"{name} ran out of memory{at}", title="Out of memory", severity="warning", markup=False
                )
                self.tell(f"✗ {name} ran out of memory{at}", "bad")

    def on_sampled(self, message: Sampled) -> None:
        self.board.sample(message.samples)
        self._redraw()
        self.looking.draw_graphs()

    def on_unreadable(self, message: Unreadable) -> None:
        if message.error is None:
            self.tell("reading the engine works again", "good")
        else:
            self.tell(describe(message.error).message, "bad")

    def on_begun(self, message: Begun) -> None:
        self.working(message.keys, message.doing)

    def on_done(self, message: Done) -> None:
        self._settle(message.keys, message.containers)
        self.tell(message.text, "good")

    def on_failed(self, message: Failed) -> None:
        self._settle(message.keys, message.containers)
        self.complain(message.text, message.error)

    def on_stepped(self, message: Stepped) -> None:
        self.tell(message.text, "dim")

    def _settle(self, keys: Sequence[str], containers: Sequence[Container]) -> None:
        """What was being done is done: show what is now, before the observer tells it."""
        self.board.settled(keys)
        snapshot = self.board.snapshot
        for container in containers:
            snapshot = snapshot.with_container(container)
        self.board.take(snapshot, time.time_ns())
        self._redraw()
        self.looking.renewed()
        self.observer.refresh()

    def working(self, keys: Sequence[str], doing: str) -> None:
        """Rows show at once what is being done to them."""
        self.board.working(keys, doing)
        self._redraw()

    def _redraw(self) -> None:
        for each in self.lists:
            each.update(self.board)
        running = [c for c in self.board.snapshot.containers if c.state.status.alive]
        cpu, memory = self.board.total(running)
        self.status.totals(
            (
                (f"{len(running)} of {len(self.board.snapshot.containers)} running", ""),
                ("   CPU ", "dim"),
                (percent(cpu), "cpu"),
                ("   memory ", "dim"),
                (size(memory), "memory"),
            )
        )
        self.observer.wanted = frozenset(
            [
                *self.pane("containers").on_screen(),
                *([self.looking.subject.key] if self.looking.subject else []),
            ]
        )

    def _first_look(self) -> None:
        """Select what the caller asked for, else the first container."""
        containers = self.pane("containers")
        project = self._focus_project
        if project:
            services = self.pane("services")
            for row in services.rows:
                if row.key.partition("/")[0] == project:
                    services.select(row.key)
                    break
            for row in containers.rows:
                found = self.board.by_id[row.key]
                if found.config.labels.get(PROJECT_LABEL) == project:
                    containers.select(row.key)
                    break
        self.looking.select(self.last_list.subject)

    def on_row_table_highlighted(self, message: RowTable.Highlighted) -> None:
        if message.table is self.last_list:
            self.looking.select(self.last_list.subject)

    def on_row_table_activated(self, message: RowTable.Activated) -> None:
        self.action_logs()

    def on_detail_tab_changed(self) -> None:
        self.looking.refresh_page()
        self.looking.draw_graphs()

    # -- telling the user

    def tell(self, text: str, role: str = "") -> None:
        """A line in the status bar, until the next one."""
        self.status.tell(((text, role),))

    def complain(self, what: str, error: BaseException) -> None:
        """A failure: what was wanted, why it did not work and what to do, on top and in the status bar."""
        report = describe(error)
        self.status.tell(((f"✗ {what}: {report.message}", "bad"), (f"  {report.hint}", "dim")))
        body = report.message + (f"\n→ {report.hint}" if report.hint else "")
        self.notify(body, title=what[:1].upper() + what[1:], severity="error", timeout=8, markup=False)

    def in_thread(self, work: Callable[[], None]) -> None:
        """Run it beside the interface. Threads that still run when the user quits are waited for."""

        def run() -> None:
            with self._slots:
                try:
                    work()
                finally:
                    self.busy.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True)
        self.busy.add(thread)
        thread.start()

    # -- keys: moving about

    def action_pane(self, name: str) -> None:
        if name == "detail":
            self.detail.focus_page()
        elif name == "logs":
            self.log_view.focus()
        else:
            self.pane(name).focus()

    def action_next_pane(self, step: int) -> None:
        stops: list[Widget] = [*self.lists, self.detail, self.log_view]
        focused = self.screen.focused
        at = next((i for i, stop in enumerate(stops) if focused is stop or stop.has_focus_within), 1)
        target = stops[(at + step) % len(stops)]
        if isinstance(target, Detail):
            target.focus_page()
        else:
            target.focus()

    def action_next_tab(self, step: int) -> None:
        self.detail.step(step)

    def action_tab(self, tab_id: str) -> None:
        if not self.detail.choose_id(tab_id):
            self.tell(f"this row has no {tab_id}", "warn")

    def action_zoom(self, step: int) -> None:
        self.zoom = Zoom(max(min(self.zoom + step, Zoom.FULL), Zoom.NORMAL))
        self.arrange()

    def action_step_back(self) -> None:
        """One step back: the filter, the marks, the zoom, then from the right side to the list."""
        focused = self.screen.focused
        if isinstance(focused, PaneList) and (focused.filter or focused.clear_marks()):
            focused.filter = ""
            focused.update(self.board)
        elif isinstance(focused, LogView) and focused.forget():
            return
        elif isinstance(focused, Page) and focused.needle:
            focused.search("")
        elif self.zoom is not Zoom.NORMAL:
            self.zoom = Zoom.NORMAL
            self.arrange()
        elif not isinstance(focused, PaneList):
            self.last_list.focus()

    def action_refresh(self) -> None:
        self.observer.refresh()
        self.looking.refresh_page(again=True)
        self.tell("read everything again", "")

    # -- keys: on rows

    def action_verb(self, action_id: str) -> None:
        action = next(each for each in ACTIONS if each.id == action_id)
        pane = self.last_list
        if pane.pane.id not in action.calls:
            self.tell(f"{action.title} is not for {pane.pane.title.lower()}", "warn")
            return
        subjects = pane.subjects()
        self.acting.act(action, subjects)
        pane.clear_marks()

    def _container(self, what: str) -> Container | None:
        """The selected container; else tells that there is none to ``what``."""
        subject = self.last_list.subject
        if subject is None or subject.pane not in ("containers", "services"):
            self.tell(f"select a container to {what}", "warn")
            return None
        if subject.pane == "containers":
            return self.board.by_id.get(subject.key)
        service = cast("ServiceStatus", subject.item)
        containers = self.board.of_service(service.project, service.service)
        return next((each for each in containers if each.state.status.alive), None)

    def action_logs(self) -> None:
        self.looking.show()
        self.log_view.focus()

    def action_merged_logs(self) -> None:
        if self.looking.follow_project():
            self.log_view.focus()
        else:
            self.tell("this row belongs to no project", "warn")

    def action_attach(self) -> None:
        container = self._container("attach to")
        if container is not None:
            self.visiting.attach(container)

    def action_shell(self) -> None:
        container = self._container("open a shell in")
        if container is not None:
            self.visiting.shell(container)

    def action_browser(self) -> None:
        container = self._container("open in a browser")
        if container is not None:
            self.visiting.browse(container.ports, container.name)

    def action_run(self) -> None:
        subject = self.last_list.subject
        image = subject.name if subject is not None and subject.pane == "images" else ""
        self.prompting.ask("command", value=f"run {image}" + (" " if image else ""))

    def action_copy(self) -> None:
        subject = self.last_list.subject
        if subject is not None:
            self._copy(subject.key, subject.key)

    def _copy(self, text: str, what: str) -> None:
        self.copy_to_clipboard(text)
        self.tell(f"copied {what}", "")

    def action_sort(self) -> None:
        title = self.last_list.next_order()
        self.last_list.update(self.board)
        self.tell(f"{self.last_list.pane.title.lower()} by {title}", "")

    def action_hide_stopped(self) -> None:
        self.board.hide_stopped = not self.board.hide_stopped
        self._redraw()
        self.tell(
            "stopped containers are hidden" if self.board.hide_stopped else "all containers are shown", ""
        )

    def action_filter(self) -> None:
        self.prompting.ask("filter")

    def action_command(self) -> None:
        self.prompting.ask("command")

    # -- keys: what opens over the panes

    def action_help(self) -> None:
        self.push_screen(Help(self._keymap_changes))

    def action_menu(self) -> None:
        pane = self.last_list
        subjects = pane.subjects()
        if not subjects:
            self.tell("nothing is selected", "warn")
            return
        title = subjects[0].name if len(subjects) == 1 else f"{len(subjects)} marked"
        choices = menu_choices(self, pane.pane.id, subjects)

        def chosen(action_id: str | None) -> None:
            if action_id:
                self.action_verb(action_id)

        self.push_screen(Menu(title, choices), chosen)

    def action_bulk(self) -> None:
        if self.last_list.marks:
            self.action_menu()
        else:
            self.tell("mark rows with Space or V first", "warn")

    def act_in_list(self, action: str) -> None:
        """Run an action string as if its key was pressed in the list."""
        self.call_later(self.run_action, action, self.last_list)

    def act_in_logs(self, action: str) -> None:
        """The same in the log pane."""
        self.log_view.focus()
        self.call_later(self.run_action, action, self.log_view)

    # -- the prompt, and what the right side asks for

    def prompt_shown(self, active: bool) -> None:
        """The prompt takes the status bar's line while it is open."""
        self.status.display = not active
        if active:
            self.key_line.show(
                [
                    ("Enter", "accept", ""),
                    ("Tab", "complete", ""),
                    ("↑", "earlier", ""),
                    ("Esc", "cancel", ""),
                ]
            )

    def on_prompt_changed(self, message: Prompt.Changed) -> None:
        if type(message) is Prompt.Changed:
            self.prompting.changed(message.purpose, message.value)

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        self.prompting.entered(message.purpose, message.value)

    def on_prompt_cancelled(self) -> None:
        self.prompting.cancelled()

    def on_log_view_prompt_asked(self, message: LogView.PromptAsked) -> None:
        self.prompting.ask(message.purpose)

    def on_page_search_asked(self) -> None:
        self.prompting.ask("search")

    def on_log_view_since_chosen(self) -> None:
        self.looking.follow_again()

    def on_log_view_copy_asked(self, message: LogView.CopyAsked) -> None:
        self._copy(message.text, "the lines on screen")

    def on_page_copy_asked(self, message: Page.CopyAsked) -> None:
        self._copy(message.text, "the page")

    def on_log_view_save_asked(self, message: LogView.SaveAsked) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = Path.cwd() / f"{message.name.replace('/', '-') or 'logs'}-{stamp}.log"

        def save() -> str:
            save_lines(path, plain_lines(message.lines))
            return f"saved {len(message.lines):,} lines to {path}"

        self.acting.call(f"cannot save {path.name}", save)
