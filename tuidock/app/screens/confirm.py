"""The question before a dangerous action. Only y does it; Enter, n and Esc leave all as it is."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["Confirm"]


class Confirm(ModalScreen[bool]):
    """Dismissed with True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", "Yes", show=False),
        Binding("n,N,escape,q,enter", "answer(False)", "No", show=False),
    ]

    def __init__(self, question: str, details: str = "") -> None:
        super().__init__()
        self._question = question
        self._details = details

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm") as box:
            box.border_title = "Are you sure?"
            yield Static(Content(self._question), classes="question")
            if self._details:
                yield Static(Content(self._details), classes="details")
            yield Static(
                Content.from_markup(
                    "[@click=screen.answer(True)][b]y[/b] yes, do it[/]"
                    "    [@click=screen.answer(False)][b]n[/b] no[/]"
                ),
                classes="answers",
            )

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
