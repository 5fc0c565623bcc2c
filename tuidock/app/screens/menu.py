"""A menu: what can be done with this row, each with its key; what cannot says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

__all__ = ["Choice", "Menu"]


@dataclass(frozen=True)
class Choice:
    """``refused`` is the reason why it cannot be chosen, or ""."""

    id: str
    keys: str
    key: str
    title: str
    refused: str = ""


class Menu(ModalScreen[str]):
    """Dismissed with the id of the choice, or "". The keys of the choices work in it too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,x", "close", "Close", show=False),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        options = []
        for choice in self._choices:
            key = choice.key.rjust(8) + "  "
            line = Content.assemble((key, "bold"), choice.title)
            if choice.refused:
                line = Content.assemble(key, choice.title, f"  ({choice.refused})")
            options.append(Option(line, id=choice.id, disabled=bool(choice.refused)))
        menu = OptionList(*options, id="menu")
        menu.border_title = self._title
        menu.border_subtitle = "Enter · Esc"
        yield menu

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if not choice.refused and event.key in choice.keys.split(","):
                event.stop()
                self.dismiss(choice.id)
                return

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id or "")

    def action_move(self, step: int) -> None:
        menu = self.query_one(OptionList)
        if step > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()

    def action_close(self) -> None:
        self.dismiss("")
