"""The interface on the real engine: the keys do what they say to real containers, and q leaves them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runtime.engine import Engine
from runtime.model.container import ContainerConfig, ContainerStatus, Resources
from tests.tui.screen import Screen
from tuidock.app.app import Tuidock

pytestmark = pytest.mark.engine

BEAT = "trap 'exit 0' TERM; n=0; while :; do n=$((n+1)); echo beat $n; sleep 0.2 & wait $!; done"
BUSY = "trap 'exit 0' TERM; while :; do :; done"


@asynccontextmanager
async def opened(engine: Engine, size: tuple[int, int]) -> AsyncIterator[Screen]:
    app = Tuidock(engine)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = Screen(app, pilot)
        await screen.until(lambda: app.looking.subject is not None)
        yield screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_stop_start_kill_and_quit(engine: Engine, busybox: str, size: tuple[int, int]) -> None:
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", BEAT), network_mode="none")
    made = engine.containers.run(config, name="heart")

    def status() -> ContainerStatus:
        return engine.containers.get(made.id).state.status

    async with opened(engine, size) as screen:
        await screen.until(lambda: "● running" in screen.line("heart "))
        await screen.shows("beat 3")
        await screen.press("s")
        await screen.until(lambda: "exited 0" in screen.line("heart "))
        assert status() is ContainerStatus.EXITED
        await screen.press("s")
        await screen.until(lambda: "● running" in screen.line("heart "))
        assert status() is ContainerStatus.RUNNING
        await screen.press("ctrl+k")
        await screen.until(lambda: "exited 137" in screen.line("heart "))
        assert status() is ContainerStatus.EXITED
        await screen.press("S")
        await screen.until(lambda: "● running" in screen.line("heart "))
        await screen.press("p")
        await screen.until(lambda: "paused" in screen.line("heart "))
        await screen.press("p")
        await screen.until(lambda: "● running" in screen.line("heart "))
        await screen.press("q")
    assert status() is ContainerStatus.RUNNING


async def test_events_of_others_figures_and_pages(engine: Engine, busybox: str) -> None:
    first = ContainerConfig(image=busybox, cmd=("sh", "-c", BEAT), network_mode="none", env=("COLOUR=blue",))
    engine.containers.run(first, name="heart")
    async with opened(engine, (120, 40)) as screen:
        await screen.until(lambda: "● running" in screen.line("heart "))
        await screen.press("right_square_bracket")
        await screen.shows('"Status": "running"')
        await screen.press("right_square_bracket")
        await screen.shows("COLOUR=blue")
        await screen.press("right_square_bracket")
        await screen.shows("CMD")
        await screen.press("right_square_bracket")
        busy = ContainerConfig(
            image=busybox, cmd=("sh", "-c", BUSY), network_mode="none", resources=Resources(cpus=0.3)
        )
        engine.containers.run(busy, name="busy")
        await screen.until(lambda: "● running" in screen.line("busy "), seconds=2)
        screen.app.pane("containers").select(engine.containers.get("busy").id)
        await screen.shows("of 30.0%")
        await screen.until(lambda: any(share > 5 for share in _cpu(screen, "busy")))
        engine.containers.remove("busy", force=True)
        await screen.until(lambda: not screen.line("busy "), seconds=2)


def _cpu(screen: Screen, name: str) -> list[float]:
    board = screen.app.board
    found = next((each for each in board.snapshot.containers if each.name == name), None)
    history = board.histories.get(found.id) if found is not None else None
    return list(history.cpu.last()) if history is not None else []


async def test_out_of_memory_is_shown(engine: Engine, busybox: str) -> None:
    hungry = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", "sleep 1; x=a; while :; do x=$x$x; done"),
        network_mode="none",
        resources=Resources(memory=16 << 20, memory_swap=16 << 20),
    )
    engine.containers.run(hungry, name="hungry")
    async with opened(engine, (120, 40)) as screen:
        await screen.until(lambda: "OOM 137" in screen.line("hungry "), seconds=15)
        await screen.shows("killed, out of memory (limit 16.0 MiB)")


async def test_a_refusal_of_the_engine_is_told(engine: Engine, busybox: str) -> None:
    broken = ContainerConfig(image=busybox, cmd=("/no/such/program",), network_mode="none")
    engine.containers.create(broken, name="broken")
    async with opened(engine, (80, 24)) as screen:
        await screen.press("s")
        await screen.shows("/no/such/program")
        await screen.shows("Cannot start or stop broken")
