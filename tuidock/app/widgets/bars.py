"""The two lines at the bottom: what happened last and the machine's figures; the keys of this pane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label

from tuidock.app.widgets.roles import Roles
from tuidock.app.wording import Cell

__all__ = ["KeyBar", "Prompt", "StatusBar"]


class StatusBar(Roles):
    """Left: the last message. Right: totals."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._message: Cell = ()
        self._totals: Cell = ()

    def tell(self, message: Cell) -> None:
        if message != self._message:
            self._message = message
            self.refresh()

    def totals(self, totals: Cell) -> None:
        if totals != self._totals:
            self._totals = totals
            self.refresh()

    @property
    def message(self) -> str:
        return "".join(text for text, _ in self._message)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right = sum(cell_len(text) for text, _ in self._totals)
        left = width - right - 2
        used = sum(cell_len(text) for text, _ in self._message)
        if used > left:
            return self.strip(((" ", ""), *self._message), width)
        return self.strip(
            ((" ", ""), *self._message, (" " * (left - used), ""), *self._totals, (" ", "")), width
        )


class KeyBar(Roles):
    """Keys and what they do, as many as fit; each can be clicked."""

    class Pressed(Message):
        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: tuple[tuple[str, str, str], ...] = ()

    def show(self, keys: Sequence[tuple[str, str, str]]) -> None:
        """(key, title, action) each."""
        if tuple(keys) != self._keys:
            self._keys = tuple(keys)
            self.refresh()

    def _fitting(self) -> list[tuple[int, str, str, str]]:
        """(column, key, title, action) of those that fit; the last two (help and quit) always do."""
        width = self.size.width
        lengths = [len(key) + len(title) + 4 for key, title, _ in self._keys]
        fixed = sum(lengths[-2:])
        shown = []
        at = 0
        for i, (key, title, action) in enumerate(self._keys):
            if i < len(self._keys) - 2 and at + lengths[i] + fixed > width:
                continue
            shown.append((at, key, title, action))
            at += lengths[i]
        return shown

    def render_line(self, y: int) -> Strip:
        spans: list[tuple[str, str]] = []
        for _, key, title, _ in self._fitting():
            spans += [(f" {key}", "key"), (f" {title}  ", "")]
        return self.strip(tuple(spans), self.size.width)

    def on_click(self, event: events.Click) -> None:
        for at, key, title, action in reversed(self._fitting()):
            if event.x >= at:
                if event.x < at + len(key) + len(title) + 2:
                    self.post_message(self.Pressed(action))
                return


class _PromptInput(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("up", "recall(-1)", "Earlier", show=False),
        Binding("down", "recall(1)", "Later", show=False),
        Binding("tab", "cursor_right", "Complete", show=False),
    ]

    def action_cancel(self) -> None:
        self.post_message(Prompt.Cancelled())

    def action_recall(self, step: int) -> None:
        prompt = self.parent
        if isinstance(prompt, Prompt):
            prompt.recall(step)


class Prompt(Horizontal):
    """The line to type in: a filter, a search, a command. Hidden until it is ``ask``ed."""

    class Changed(Message):
        def __init__(self, purpose: str, value: str) -> None:
            super().__init__()
            self.purpose = purpose
            self.value = value

    class Entered(Changed):
        """The same, for good."""

    class Cancelled(Message):
        """Escape was pressed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.purpose = ""
        self._past: dict[str, list[str]] = {}
        self._place = 0

    def compose(self) -> ComposeResult:
        yield Label("", id="prompt-label")
        yield _PromptInput(id="prompt-input", compact=True, select_on_focus=False)

    def ask(self, purpose: str, label: str, value: str = "", suggestions: Sequence[str] = ()) -> None:
        self.purpose = purpose
        self._place = len(self._past.get(purpose, []))
        self.query_one("#prompt-label", Label).update(label)
        box = self.query_one(_PromptInput)
        box.suggester = SuggestFromList(suggestions, case_sensitive=True) if suggestions else None
        with self.prevent(Input.Changed):
            box.value = value
        box.cursor_position = len(value)
        self.display = True
        box.focus()

    def hide(self) -> None:
        self.purpose = ""
        self.display = False

    def recall(self, step: int) -> None:
        """What was entered for the same purpose before."""
        past = self._past.get(self.purpose, [])
        self._place = max(min(self._place + step, len(past)), 0)
        box = self.query_one(_PromptInput)
        box.value = past[self._place] if self._place < len(past) else ""
        box.cursor_position = len(box.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.purpose:
            self.post_message(self.Changed(self.purpose, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value:
            self._past.setdefault(self.purpose, []).append(event.value)
        self.post_message(self.Entered(self.purpose, event.value))
