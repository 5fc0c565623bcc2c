"""The interface on a stand-in engine, at a fixed size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.tui.fake_engine import FakeEngine, FakeWorld, demo_world
from tests.tui.screen import FakeScreen
from tuidock.app.app import Tuidock


@pytest.fixture
def world() -> FakeWorld:
    return demo_world()


@pytest.fixture
def open_screen(world: FakeWorld) -> Callable[..., Any]:
    """``async with open_screen(size=(80, 24)) as screen``; further arguments are ``tui:`` settings."""

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = (120, 40), project: str | None = "demo", **settings: Any
    ) -> AsyncIterator[FakeScreen]:
        app = Tuidock(FakeEngine(world, **settings).as_engine, focus_project=project)
        async with app.run_test(size=size, notifications=True) as pilot:
            screen = FakeScreen(app, pilot, world)
            await screen.until(lambda: app.board.loaded)
            if world.containers:
                await screen.until(lambda: app.looking.subject is not None)
            await pilot.pause(0.1)
            yield screen

    return opened
