"""Themes and keys come from the settings; wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import InvalidInput
from tests.tui.fake_engine import FakeEngine, FakeWorld
from themes import ROLES, load_all
from tuidock.app import keys
from tuidock.app.app import Tuidock
from tuidock.app.themes import role_variables

Open = Callable[..., Any]


async def test_a_key_can_be_moved(open_screen: Open) -> None:
    async with open_screen(keys={"toggle": "ctrl-t", "kill": "K"}) as screen:
        await screen.press("s")
        await screen.press("ctrl+t")
        await screen.until(lambda: screen.called("stop") == ["demo-web-1"])
        assert "^t start/stop" in screen.text
        await screen.press("j", "K")
        await screen.until(lambda: screen.called("kill") == ["demo-web-2"])


async def test_profile_k9s(open_screen: Open) -> None:
    async with open_screen(profile="k9s") as screen:
        await screen.press("l")
        assert screen.app.focused.id == "logs"
        await screen.press("escape", "ctrl+d")
        await screen.shows("Remove demo-web-1?")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"theme": "nope"}, "'nope'"),
        ({"keys": {"togle": "s"}}, "'togle'"),
        ({"profile": "vim"}, "'vim'"),
        ({"keys": ["s"]}, "mapping"),
    ],
)
def test_wrong_settings_are_named(world: FakeWorld, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        Tuidock(FakeEngine(world, **settings).as_engine)


async def test_theme_setting_and_key(open_screen: Open) -> None:
    async with open_screen(theme="daylight") as screen:
        assert screen.app.theme == "daylight"
        await screen.press("T")
        assert screen.app.theme != "daylight"
        await screen.press("ctrl+p")
        await screen.press(*"contrast")
        await screen.shows("Theme: contrast")
        await screen.press("enter")
        await screen.until(lambda: screen.app.theme == "contrast")


async def test_no_color(open_screen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_screen() as screen:
        assert screen.app.theme == "mono"
        await screen.shows("▌ demo-web-1")
        strips = screen.app.screen._compositor.render_strips()
        for line_filter in screen.app.get_line_filters():
            strips = [
                strip.apply_filter(line_filter, screen.app.screen.styles.background) for strip in strips
            ]
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        assert styles
        assert all(colour is None or colour.is_default for s in styles for colour in (s.color, s.bgcolor))


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("spec", load_all(), ids=lambda spec: spec.name)
def test_themes_can_be_read(spec: Any) -> None:
    """WCAG 2's ratio for text, on the background and under the cursor."""
    roles = role_variables(spec)
    assert set(roles) == {f"role-{role}" for role in ROLES}
    least = 7.0 if spec.name == "contrast" else 4.5
    background = spec.colours["background"]
    for role in ("good", "warn", "bad", "dim", "key", "text", "number", "link", "title"):
        colour = roles[f"role-{role}"]
        assert _contrast(colour, background) >= least, role
        assert _contrast(colour, roles["role-cursor"]) >= 3.0, f"{role} under the cursor"


def test_there_is_a_light_and_a_strong_theme() -> None:
    names = {spec.name: spec for spec in load_all()}
    assert {"harbor", "daylight", "contrast", "mono"} <= set(names)
    assert not names["daylight"].dark


def test_every_command_has_its_own_id_and_key() -> None:
    for table in (keys.APP, keys.LOGS, keys.PAGES, (*keys.LISTS, *keys.verbs())):
        assert len({command.id for command in table}) == len(table)
        used = [key for command in table for key in command.keys.split(",") if key]
        assert len(set(used)) == len(used)
    everywhere = {key for command in keys.APP for key in command.keys.split(",")}
    lists = {key for command in (*keys.LISTS, *keys.verbs()) for key in command.keys.split(",") if key}
    assert not everywhere & lists
