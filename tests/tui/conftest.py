"""The interface on a stand-in engine, at a fixed size."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).parent))

from fake_engine import FakeEngine, FakeWorld, demo_world

from tuidock.app.app import Tuidock

__all__ = ["Screen"]


class Screen:
    """A running interface: keys in, lines of text out."""

    def __init__(self, app: Tuidock, world: FakeWorld, pilot: Pilot[Any]) -> None:
        self.app = app
        self.world = world
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> float:
        """Wait for something to be on the screen; how long that took. Fails after ``seconds``."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() - begin < seconds, f"not within {seconds} s:\n{self.text}"
            await self.pilot.pause(0.02)
        return time.monotonic() - begin

    async def shows(self, text: str, *, seconds: float = 5.0) -> float:
        return await self.until(lambda: text in self.text, seconds=seconds)

    @property
    def text(self) -> str:
        """What is on the screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def line(self, text: str) -> str:
        """The first line inside the panes (not their titles) with ``text`` in it; "" when there is none."""
        inside = (line for line in self.text.splitlines() if line[:1] not in "╭╰")
        return next((line for line in inside if text in line), "")

    def called(self, verb: str) -> list[str]:
        return [name for done, name in self.world.calls if done == verb]


@pytest.fixture
def world() -> FakeWorld:
    return demo_world()


@pytest.fixture
def open_screen(world: FakeWorld) -> Callable[..., Any]:
    """``async with open_screen(size=(80, 24)) as screen``; further arguments are ``tui:`` settings."""

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = (120, 40), project: str | None = "demo", **settings: Any
    ) -> AsyncIterator[Screen]:
        app = Tuidock(FakeEngine(world, **settings).as_engine, focus_project=project)
        async with app.run_test(size=size, notifications=True) as pilot:
            screen = Screen(app, world, pilot)
            await screen.until(lambda: app.board.loaded)
            if world.containers:
                await screen.until(lambda: app.looking.subject is not None)
            await pilot.pause(0.1)
            yield screen

    return opened
