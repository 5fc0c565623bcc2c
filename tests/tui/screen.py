"""A running interface for tests: keys in, lines of text out."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot

from tests.tui.fake_engine import FakeWorld
from tuidock.app.app import Tuidock

__all__ = ["FakeScreen", "Screen"]


class Screen:
    """A running interface: keys in, lines of text out."""

    def __init__(self, app: Tuidock, pilot: Pilot[int]) -> None:
        self.app = app
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


class FakeScreen(Screen):
    """One on the stand-in engine."""

    def __init__(self, app: Tuidock, pilot: Pilot[int], world: FakeWorld) -> None:
        super().__init__(app, pilot)
        self.world = world

    def called(self, verb: str) -> list[str]:
        """The names of what a verb was called on."""
        return [name for done, name in self.world.calls if done == verb]
