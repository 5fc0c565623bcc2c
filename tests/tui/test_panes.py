"""What is on the screen, at the sizes that terminals have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.model.container import ContainerStatus, HealthState
from tests.tui.fake_engine import FakeWorld, container

Open = Callable[..., Any]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)])
async def test_four_panes_and_three_replicas(open_screen: Open, size: tuple[int, int]) -> None:
    async with open_screen(size=size) as screen:
        await screen.shows("172.18.0.1 - ")
        for title in ("1 Services", "2 Containers", "3 Images", "6 Logs · demo-web-1", "[Graphs]"):
            assert title in screen.text
        for number in (1, 2, 3):
            assert "● running" in screen.line(f"demo-web-{number} ")
        assert "3/3 up" in screen.line("demo/web")
        assert "base:latest" in screen.text
        assert len(screen.text.splitlines()) == size[1]
        assert all(len(line) <= size[0] for line in screen.text.splitlines())


async def test_out_of_memory_and_exit_codes_are_words(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.shows("OOM 137")
        assert "✗ OOM 137" in screen.line("hungry")
        assert "✗ exited 3" in screen.line("broken")
        assert "○ exited 0" in screen.line("oneshot")
        screen.app.pane("containers").select(screen.world.find("hungry").id)
        await screen.shows("killed, out of memory (limit 32.0 MiB)")


async def test_health_is_shown(open_screen: Open, world: FakeWorld) -> None:
    for name, health in (("fine", "healthy"), ("ill", "unhealthy"), ("new", "starting")):
        made = container(name, health=HealthState(health))
        world.containers[made.id] = made
    async with open_screen() as screen:
        await screen.shows("● unhealthy")
        assert "● healthy" in screen.line("fine")
        assert "● starting" in screen.line("new ")


async def test_empty_engine_says_what_to_do(open_screen: Open, world: FakeWorld) -> None:
    world.containers.clear()
    world.images.clear()
    async with open_screen() as screen:
        await screen.shows("No containers yet")
        assert "No services" in screen.text
        assert "tuidock image bootstrap" in screen.text
        await screen.press("s", "ctrl+k", "d", "enter", "a", "E", "w", "i", "x", "escape")
        assert screen.world.calls == []


async def test_figures_move(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.until(lambda: "2.0%" in screen.line("demo-web-1 "))
        screen.world.load["demo-web-1"] = 0.4
        screen.world.used["demo-web-1"] = 44 << 20
        await screen.until(lambda: "44.0 MiB" in screen.line("demo-web-1 "))
        assert "of 50.0 MiB" in screen.line("Memory")


async def test_detail_tabs(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("right_square_bracket")
        await screen.shows('"Pid": 1234')
        await screen.press("right_square_bracket")
        await screen.shows("NAME=World")
        await screen.press("right_square_bracket")
        await screen.shows("python3 app.py")
        await screen.press("left_square_bracket", "i")
        await screen.shows("[Inspect]")
        await screen.press("3")
        await screen.shows('"RepoTags"')
        await screen.press("right_square_bracket")
        await screen.shows("COPY . /app")


async def test_zoom_fills_the_screen_and_comes_back(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        await screen.press("6", "plus", "plus")
        assert "2 Containers" not in screen.text
        assert "6 Logs" in screen.text.splitlines()[0]
        await screen.press("underscore", "underscore")
        assert "2 Containers" in screen.text
        await screen.press("escape", "plus", "plus")
        assert "6 Logs" not in screen.text
        await screen.press("escape")
        assert "6 Logs" in screen.text


async def test_keys_reach_every_pane(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        seen = []
        for _ in range(7):
            await screen.press("tab")
            seen.append(screen.app.focused.id)
        assert seen == ["images", "networks", "volumes", "page", "logs", "services", "containers"]
        await screen.press("4")
        await screen.shows("demo_webnet")
        await screen.press("h")
        assert screen.app.focused.id == "images"


async def test_menu_tells_what_cannot_be_done(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("x")
        await screen.shows("demo-web-1 is running")
        await screen.press("p")
        await screen.until(lambda: screen.called("pause") == ["demo-web-1"])
        await screen.shows("⏸ paused")


async def test_help_is_made_from_the_bindings(open_screen: Open) -> None:
    from tuidock.app.keys import APP, LISTS, LOGS, PAGES, verbs
    from tuidock.app.screens.help import help_lines
    from tuidock.app.wording import plain

    text = "\n".join(map(plain, help_lines({"kill": "K"}, 100)))
    for command in (*APP, *LISTS, *LOGS, *PAGES, *verbs()):
        assert command.title in text
        assert command.id in text
    assert " K  Kill" in text
    async with open_screen(size=(80, 24)) as screen:
        await screen.press("question_mark")
        await screen.shows("Start or stop")
        await screen.press("escape")
        assert "Start or stop" not in screen.text


async def test_mouse(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.shows("demo-web-3")
        lines = screen.text.splitlines()
        y = next(i for i, line in enumerate(lines) if "demo-web-3 " in line)
        await screen.pilot.click(offset=(5, y))
        await screen.shows("7 demo-web-3")
        tabs = next(i for i, line in enumerate(lines) if "[Graphs]" in line)
        await screen.pilot.click(offset=(lines[tabs].index("Environment") + 1, tabs))
        await screen.shows("NAME=World")


async def test_state_that_is_new_to_us_still_shows(open_screen: Open, world: FakeWorld) -> None:
    made = container("halfway", status=ContainerStatus.DEAD)
    world.containers[made.id] = made
    async with open_screen() as screen:
        await screen.until(lambda: "✗ dead" in screen.line("halfway"))
