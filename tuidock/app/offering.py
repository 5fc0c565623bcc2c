"""What the interface offers at this moment: the line of keys, the menu of a row, the palette."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tuidock.app import keys as keytable
from tuidock.app.actions import Subject, of_pane
from tuidock.app.screens.menu import Choice
from tuidock.app.widgets.logview import LogView
from tuidock.app.widgets.panelist import PaneList

if TYPE_CHECKING:
    from textual.widget import Widget

    from tuidock.app.app import Tuidock

__all__ = ["key_bar", "menu_choices", "palette_entries"]

_SHORT = {
    "toggle": "start/stop", "menu": "menu", "quit": "quit", "logs": "logs", "exec": "shell", "run": "run",
    "log_follow": "follow", "log_wrap": "wrap", "log_timestamps": "times", "log_filter": "only...",
    "log_save": "save", "page_copy": "copy",
}  # fmt: skip
"""Titles for the line of keys, where the whole title is too long."""

_ONLY_IN = {
    "exec": ("containers", "services"),
    "logs": ("containers", "services"),
    "run": ("images",),
}
"""Commands of lists that the line of keys names in some panes only."""


def key_bar(app: Tuidock, focused: Widget | None) -> list[tuple[str, str, str]]:
    """(key, title, action) of the most used commands of the focused pane; help and quit come last."""
    commands: list[keytable.Command]
    if isinstance(focused, PaneList):
        pane = focused.pane.id
        here = {action.id for action in of_pane(pane)}
        commands = [each for each in keytable.verbs() if each.id in here]
        commands += [each for each in keytable.LISTS if pane in _ONLY_IN.get(each.id, (pane,))]
    elif isinstance(focused, LogView):
        commands = list(keytable.LOGS)
    else:
        commands = list(keytable.PAGES)
    shown = [each for each in (*commands, *keytable.APP) if each.footer and app.keys_of(each)]
    last = [each for each in shown if each.id in ("help", "quit")]
    return [
        (
            keytable.display(app.keys_of(each), first=True),
            _SHORT.get(each.id, each.title.lower()),
            each.action,
        )
        for each in [*(each for each in shown if each not in last), *last]
    ]


def menu_choices(app: Tuidock, pane: str, subjects: Sequence[Subject]) -> list[Choice]:
    """The actions of a pane; one that applies to none of the rows says why to the first."""
    choices = []
    for action in of_pane(pane):
        command = next(each for each in keytable.verbs() if each.id == action.id)
        keys = app.keys_of(command)
        able = any(not action.refuse(subject) for subject in subjects)
        choices.append(
            Choice(
                action.id,
                keys,
                keytable.display(keys, first=True),
                action.title,
                "" if able else action.refuse(subjects[0]),
            )
        )
    return choices


def palette_entries(app: Tuidock) -> list[tuple[str, str, Callable[[], None]]]:
    """(title, help, what it does): the selected row's actions, then everything else."""
    pane = app.last_list
    name = pane.subject.name if pane.subject is not None else ""
    entries: list[tuple[str, str, Callable[[], None]]] = []
    for action in of_pane(pane.pane.id):
        if name:
            entries.append((f"{action.title}: {name}", action.id, _call(app.action_verb, action.id)))
    for command in (*keytable.LISTS, *keytable.APP):
        if not command.id.startswith(("cursor_", "page_", "palette")):
            entries.append((command.title, _help(app, command), _call(app.act_in_list, command.action)))
    for command in keytable.LOGS:
        if not command.id.startswith(("log_down", "log_up", "log_page", "log_left", "log_right")):
            title = f"Logs: {command.title}"
            entries.append((title, _help(app, command), _call(app.act_in_logs, command.action)))
    for theme in app.theme_names:
        entries.append((f"Theme: {theme}", "Colours", _call(app.choose_theme, theme)))
    for what in ("images", "networks", "volumes"):
        entries.append((f"Prune unused {what}", "Asks first", _call(app.acting.prune, what)))
    return entries


def _help(app: Tuidock, command: keytable.Command) -> str:
    return f"{keytable.display(app.keys_of(command))}  {command.group}"


def _call(function: Callable[[str], None], argument: str) -> Callable[[], None]:
    return lambda: function(argument)
