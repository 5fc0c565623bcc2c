"""What is typed at the bottom line: filters, searches and commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import EngineError, InvalidInput
from tuidock.app.actions import ACTIONS
from tuidock.app.commandline import WORDS, run_container, run_request, split
from tuidock.app.widgets.logview import LogView
from tuidock.app.widgets.page import Page
from tuidock.app.widgets.panelist import PaneList

if TYPE_CHECKING:
    from textual.widget import Widget

    from runtime.engine import Engine
    from tuidock.app.app import Tuidock

__all__ = ["Prompting"]


class Prompting:
    """One per app: asks at the prompt for the widget that has the focus, and does what was typed."""

    def __init__(self, app: Tuidock, engine: Engine) -> None:
        self._app = app
        self._engine = engine
        self._asker: Widget | None = None
        self._before = ""

    def ask(self, purpose: str, *, value: str = "") -> None:
        """``purpose`` is filter, search, narrow or command."""
        app = self._app
        self._asker = app.screen.focused
        labels = {"filter": "filter", "search": "search", "narrow": "only lines with", "command": ":"}
        if isinstance(self._asker, PaneList) and purpose == "filter":
            self._before = value = self._asker.filter
        elif isinstance(self._asker, LogView) and purpose == "narrow":
            self._before = value = self._asker.narrowed
        suggestions = self._suggestions() if purpose == "command" else ()
        app.prompt.ask(purpose, labels[purpose], value, suggestions)
        app.prompt_shown(True)

    def _suggestions(self) -> list[str]:
        board = self._app.board
        images = sorted(set(board.image_names.values()))
        return [
            *(f"run {image}" for image in images),
            *(f"scale {service.service}=" for service in board.snapshot.services),
            *(f"theme {name}" for name in self._app.theme_names),
            *WORDS,
            *(action.id for action in ACTIONS),
        ]

    def changed(self, purpose: str, value: str) -> None:
        """Filters and searches show while one types."""
        asker = self._asker
        if purpose == "filter" and isinstance(asker, PaneList):
            asker.filter = value
            asker.update(self._app.board)
        elif purpose == "narrow" and isinstance(asker, LogView):
            asker.narrow(value)
        elif purpose == "search" and isinstance(asker, (LogView, Page)):
            asker.search(value)

    def entered(self, purpose: str, value: str) -> None:
        asker = self._asker
        self._close()
        self.changed(purpose, value)
        if purpose == "search" and value and isinstance(asker, (LogView, Page)) and not asker.search(value):
            self._app.tell(f"{value!r} is not there", "warn")
        if purpose == "command" and value.strip():
            try:
                self.command(value)
            except EngineError as error:
                self._app.complain(f":{value.split()[0]}", error)

    def cancelled(self) -> None:
        """Escape: what was there before comes back."""
        purpose = self._app.prompt.purpose
        if purpose in ("filter", "narrow") or purpose == "search":
            self.changed(purpose, "")
        self._close()

    def _close(self) -> None:
        self._app.prompt.hide()
        self._app.prompt_shown(False)
        if self._asker is not None and self._asker.is_attached:
            self._asker.focus()

    # -- commands

    def command(self, line: str) -> None:
        """Carry out a line of the ``:`` prompt. Raises EngineError for one that cannot be understood."""
        word, *rest = split(line)
        app = self._app
        if word in ("q", "quit", "exit"):
            app.exit()
        elif word == "help":
            app.action_help()
        elif word == "run":
            request = run_request(rest)
            image = request.config.image
            app.acting.call(f"cannot run {image}", lambda: run_container(self._engine, request))
        elif word == "pull":
            app.acting.pull(rest)
        elif word == "scale":
            self._scale(rest)
        elif word == "theme":
            app.choose_theme(rest[0] if rest else "")
        elif word == "filter":
            self._filter(" ".join(rest))
        elif word == "prune":
            app.acting.prune(rest[0] if rest else "")
        elif any(action.id == word for action in ACTIONS):
            app.action_verb(word)
        else:
            raise InvalidInput(f"there is no command {word!r}", hint=f"try {', '.join(WORDS)}", subject=word)

    def _filter(self, value: str) -> None:
        pane = self._app.last_list
        pane.filter = value
        pane.update(self._app.board)

    def _scale(self, words: list[str]) -> None:
        wanted: list[tuple[str, str, int]] = []
        services = self._app.board.snapshot.services
        for word in words:
            name, _, number = word.partition("=")
            found = [s for s in services if name in (s.service, f"{s.project}/{s.service}")]
            if not number.isdigit():
                raise InvalidInput(
                    f"scale: how many of {name}?", hint="for example: scale web=5", subject=name
                )
            if not found:
                raise InvalidInput(
                    f"scale: there is no service {name!r}",
                    hint=f"services: {', '.join(s.service for s in services) or 'none'}",
                    subject=name,
                )
            wanted.append((found[0].project, found[0].service, int(number)))
        if not wanted:
            raise InvalidInput("scale: which service?", hint="for example: scale web=5")

        def scale() -> str:
            for project, service, replicas in wanted:
                self._engine.services.scale_service(project, service, replicas)
            return ", ".join(f"{service} scaled to {replicas}" for _, service, replicas in wanted)

        self._app.acting.call("cannot scale", scale)


def save_lines(path: Path, text: str) -> None:
    """Write a log to a new file. Raises OSError, also when it exists."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
