"""Filters, sorting and hiding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuidock.app.widgets.panelist import matches

Open = Callable[..., Any]


def test_matches() -> None:
    assert matches("", "anything")
    assert matches("web 2", "demo-web-2\nrunning")
    assert not matches("web 3", "demo-web-2\nrunning")
    assert matches("dmw2", "demo-web-2")
    assert not matches("dx", "demo-web-2")
    assert matches("RUN", "xRUNx")
    assert not matches("RUN", "running")


async def test_filter_while_typing(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        await screen.press("slash", *"web-2")
        pane = screen.app.pane("containers")
        assert [row.cells[0][0][0] for row in pane.rows] == ["demo-web-2"]
        await screen.press("enter")
        assert screen.app.focused is pane
        assert "/web-2" in screen.text
        await screen.press("s")
        await screen.until(lambda: screen.called("stop") == ["demo-web-2"])
        await screen.press("escape")
        assert len(pane.rows) == 6


async def test_escape_at_the_prompt_drops_the_filter(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("slash", *"zzz")
        await screen.shows("Nothing matches 'zzz'")
        await screen.press("escape")
        assert len(screen.app.pane("containers").rows) == 6


async def test_filter_by_state(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("slash", *"oom", "enter")
        assert len(screen.app.pane("containers").rows) == 1


async def test_hide_stopped(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("e")
        assert len(screen.app.pane("containers").rows) == 3
        assert "running only" in screen.text
        await screen.press("e")
        assert len(screen.app.pane("containers").rows) == 6


async def test_sort_by_cpu(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.world.load["demo-web-3"] = 0.4
        await screen.until(lambda: "40.0%" in screen.line("demo-web-3 "))
        pane = screen.app.pane("containers")
        while pane.pane.orders[pane.order].title != "CPU":
            await screen.press("o")
        await screen.until(lambda: pane.rows[0].cells[0][0][0] == "demo-web-3")
        assert "by CPU" in screen.text


async def test_filter_finds_what_narrow_panes_hide(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        assert "4000" not in screen.line("demo-web-1 ")
        await screen.press("slash", *"4000", "enter")
        assert len(screen.app.pane("containers").rows) == 3
