"""Every key of the interface, as data: bindings, help and menus are all made from these tables.

Each command has an id; ``tui: {keys: {ID: KEY}}`` in the settings puts it on another key (several are
separated by commas), ``tui: {profile: k9s}`` takes the habits of another program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding

from runtime.errors import InvalidInput
from tuidock.app.actions import ACTIONS

__all__ = ["APP", "LISTS", "LOGS", "PAGES", "PROFILES", "Command", "bindings", "display", "keymap", "verbs"]


@dataclass(frozen=True)
class Command:
    """``action`` is Textual's action string. ``footer`` ones are named in the line at the bottom."""

    id: str
    keys: str
    action: str
    title: str
    group: str
    footer: bool = False


_APP = "Everywhere"
_PANE = "Panes"
_LIST = "In a list"
_LOG = "In the logs"
_PAGE = "In the detail panel"

APP: tuple[Command, ...] = (
    Command("help", "question_mark,f1", "help", "Help", _APP, footer=True),
    Command("menu", "x", "menu", "Menu of this row", _APP, footer=True),
    Command("command", "colon", "command", "Command line", _APP),
    Command("palette", "ctrl+p", "command_palette", "Palette of everything", _APP),
    Command("quit", "q,ctrl+c", "quit", "Quit; containers live on", _APP, footer=True),
    Command("refresh", "ctrl+r", "refresh", "Read everything again", _APP),
    Command("theme", "T", "next_theme", "Next theme", _APP),
    Command("pane_services", "1", "pane('services')", "Services", _PANE),
    Command("pane_containers", "2", "pane('containers')", "Containers", _PANE),
    Command("pane_images", "3", "pane('images')", "Images", _PANE),
    Command("pane_networks", "4", "pane('networks')", "Networks", _PANE),
    Command("pane_volumes", "5", "pane('volumes')", "Volumes", _PANE),
    Command("pane_logs", "6", "pane('logs')", "Logs", _PANE),
    Command("pane_detail", "7", "pane('detail')", "Detail panel", _PANE),
    Command("pane_next", "tab,l", "next_pane(1)", "Next pane", _PANE),
    Command("pane_previous", "shift+tab,h", "next_pane(-1)", "Previous pane", _PANE),
    Command("tab_next", "right_square_bracket", "next_tab(1)", "Next tab of the detail panel", _PANE),
    Command("tab_previous", "left_square_bracket", "next_tab(-1)", "Previous tab", _PANE),
    Command("larger", "plus", "zoom(1)", "Larger: half, then full screen", _PANE),
    Command("smaller", "underscore,minus", "zoom(-1)", "Smaller", _PANE),
    Command("back", "escape", "step_back", "Back to the list; clear filter and marks", _PANE),
)

LISTS: tuple[Command, ...] = (
    Command("logs", "enter,m", "app.logs", "Logs of this row", _LIST, footer=True),
    Command("merged_logs", "M", "app.merged_logs", "Logs of the whole project, merged", _LIST),
    Command("inspect", "i", "app.tab('inspect')", "Inspect", _LIST),
    Command("attach", "a", "app.attach", "Attach (leave with ctrl-p ctrl-q)", _LIST),
    Command("exec", "E", "app.shell", "Shell inside", _LIST, footer=True),
    Command("browser", "w", "app.browser", "Open the published port in a browser", _LIST),
    Command("copy", "C", "app.copy", "Copy the id", _LIST),
    Command("run", "n", "app.run", "New container of this image", _LIST),
    Command("filter", "slash", "app.filter", "Filter", _LIST, footer=True),
    Command("sort", "o", "app.sort", "Sort by the next column", _LIST),
    Command("hide_stopped", "e", "app.hide_stopped", "Hide or show stopped containers", _LIST),
    Command("mark", "space", "mark", "Mark", _LIST),
    Command("range", "V", "range", "Mark a range", _LIST),
    Command("bulk", "b", "app.bulk", "Menu for the marked rows", _LIST),
    Command("cursor_down", "j,down", "cursor(1)", "Down", _LIST),
    Command("cursor_up", "k,up", "cursor(-1)", "Up", _LIST),
    Command("cursor_first", "g,home", "cursor_to(0)", "First", _LIST),
    Command("cursor_last", "G,end", "cursor_to(-1)", "Last", _LIST),
    Command("page_down", "pagedown,ctrl+f", "cursor_page(1)", "A page down", _LIST),
    Command("page_up", "pageup,ctrl+b", "cursor_page(-1)", "A page up", _LIST),
)

LOGS: tuple[Command, ...] = (
    Command("log_follow", "f", "follow", "Follow new lines", _LOG, footer=True),
    Command("log_wrap", "w", "wrap", "Wrap long lines", _LOG, footer=True),
    Command("log_timestamps", "t", "timestamps", "Show times", _LOG, footer=True),
    Command("log_search", "slash", "search", "Search", _LOG, footer=True),
    Command("log_next", "n", "match(1)", "Next match", _LOG),
    Command("log_previous", "N", "match(-1)", "Previous match", _LOG),
    Command("log_filter", "ampersand", "narrow", "Only lines that contain ...", _LOG, footer=True),
    Command("log_since_0", "0", "since(0)", "From the beginning", _LOG),
    Command("log_since_1", "1", "since(1)", "Last minute", _LOG),
    Command("log_since_2", "2", "since(2)", "Last 5 minutes", _LOG),
    Command("log_since_3", "3", "since(3)", "Last 15 minutes", _LOG),
    Command("log_since_4", "4", "since(4)", "Last 30 minutes", _LOG),
    Command("log_since_5", "5", "since(5)", "Last hour", _LOG),
    Command("log_since_6", "6", "since(6)", "Last day", _LOG),
    Command("log_save", "ctrl+s", "save", "Save to a file", _LOG, footer=True),
    Command("log_copy", "C", "copy", "Copy the lines on screen", _LOG),
    Command("log_down", "j,down", "scroll_rows(1)", "Down", _LOG),
    Command("log_up", "k,up", "scroll_rows(-1)", "Up", _LOG),
    Command("log_first", "g,home", "scroll_first", "First line", _LOG),
    Command("log_last", "G,end", "scroll_last", "Last line, and follow", _LOG),
    Command("log_page_down", "pagedown,ctrl+f", "scroll_pages(1)", "A page down", _LOG),
    Command("log_page_up", "pageup,ctrl+b", "scroll_pages(-1)", "A page up", _LOG),
    Command("log_right", "right", "scroll_sideways(1)", "Right", _LOG),
    Command("log_left", "left", "scroll_sideways(-1)", "Left", _LOG),
)

PAGES: tuple[Command, ...] = (
    Command("page_search", "slash", "search", "Search", _PAGE, footer=True),
    Command("page_next", "n", "match(1)", "Next match", _PAGE),
    Command("page_previous", "N", "match(-1)", "Previous match", _PAGE),
    Command("page_copy", "C", "copy", "Copy the page", _PAGE, footer=True),
    Command("page_line_down", "j,down", "scroll_rows(1)", "Down", _PAGE),
    Command("page_line_up", "k,up", "scroll_rows(-1)", "Up", _PAGE),
    Command("page_first", "g,home", "scroll_first", "Top", _PAGE),
    Command("page_last", "G,end", "scroll_last", "Bottom", _PAGE),
    Command("page_page_down", "pagedown,ctrl+f", "scroll_pages(1)", "A page down", _PAGE),
    Command("page_page_up", "pageup,ctrl+b", "scroll_pages(-1)", "A page up", _PAGE),
    Command("page_right", "right", "scroll_sideways(1)", "Right", _PAGE),
    Command("page_left", "left", "scroll_sideways(-1)", "Left", _PAGE),
)

PROFILES: dict[str, dict[str, str]] = {
    "lazydocker": {"cursor_down": "j,down", "copy": "C"},
    "k9s": {
        "logs": "l,enter",
        "exec": "s",
        "toggle": "S",
        "start": "",
        "remove": "ctrl+d",
        "down": "D",
        "inspect": "d,y",
        "pane_next": "tab,right",
        "pane_previous": "shift+tab,left",
        "log_follow": "s,f",
        "copy": "c",
        "quit": "ctrl+c,q",
    },
}


def verbs() -> tuple[Command, ...]:
    """The actions on rows, as commands of the lists."""
    return tuple(
        Command(
            action.id, action.keys, f"app.verb('{action.id}')", action.title, "On a row", footer=action.footer
        )
        for action in ACTIONS
    )


def bindings(commands: tuple[Command, ...]) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """Textual's bindings; those without a key of their own are left to menus and the palette."""
    return [
        Binding(command.keys, command.action, command.title, id=command.id, show=command.footer)
        for command in commands
        if command.keys
    ]


def keymap(settings: Mapping[str, object]) -> dict[str, str]:
    """The changes to the keys that the settings ask for. Raises InvalidInput for an unknown profile or id."""
    changes: dict[str, str] = {}
    profile = settings.get("profile", "")
    if profile:
        if not isinstance(profile, str) or profile not in PROFILES:
            raise InvalidInput(
                f"tui: unknown profile {profile!r}",
                hint=f"profiles: {', '.join(PROFILES)}",
                subject="profile",
            )
        changes.update(PROFILES[profile])
    chosen = settings.get("keys") or {}
    if not isinstance(chosen, Mapping):
        raise InvalidInput("tui: keys must be a mapping of ids to keys", subject="keys")
    known = {command.id for command in (*APP, *LISTS, *LOGS, *PAGES, *verbs())}
    for identifier, keys in chosen.items():
        if identifier not in known:
            raise InvalidInput(
                f"tui: keys: there is no command {identifier!r}",
                hint=_nearest(str(identifier), known),
                subject="keys",
            )
        changes[str(identifier)] = _normal(str(keys))
    return changes


def _normal(keys: str) -> str:
    """``ctrl-k`` is ``ctrl+k``; a single comma is a key and no separator."""
    if keys == ",":
        return "comma"
    parts = (part.strip() for part in keys.split(","))
    return ",".join(
        "+".join(part.split("-"))
        if len(part) > 1 and part.split("-")[0] in ("ctrl", "alt", "shift")
        else part
        for part in parts
    )


def _nearest(name: str, known: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else "press ? in the interface to see the ids"


_NAMES = {
    "question_mark": "?", "colon": ":", "slash": "/", "plus": "+", "underscore": "_", "minus": "-",
    "left_square_bracket": "[", "right_square_bracket": "]", "ampersand": "&", "comma": ",",
    "greater_than_sign": ">", "less_than_sign": "<", "pagedown": "PgDn", "pageup": "PgUp", "escape": "Esc",
    "delete": "Del", "enter": "Enter", "down": "↓", "up": "↑", "left": "←", "right": "→", "home": "Home",
    "end": "End", "space": "Space", "tab": "Tab", "shift+tab": "Shift-Tab", "f1": "F1",
}  # fmt: skip


def display(keys: str, *, first: bool = False) -> str:
    """Keys as people write them: ``ctrl+k`` is ``^k`` and ``question_mark`` is ``?``."""
    names = [
        _NAMES.get(key) or (f"^{key[5:]}" if key.startswith("ctrl+") else key)
        for key in keys.split(",")
        if key
    ]
    return names[0] if first and names else " ".join(names)
