"""The log pane: following, search, filter, bounds; nothing that a container prints does harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tui.fake_engine import FakeEntry, FakeWorld
from tuidock.app import ansi
from tuidock.app.logstore import LogStore

Open = Callable[..., Any]


async def test_follows(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.shows("visit 39 of demo-web-1")
        screen.world.write("demo-web-1", "something new")
        assert await screen.shows("something new") < 1


async def test_changes_with_the_row_and_closes_what_it_left(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("j")
        await screen.shows("6 Logs · demo-web-2")
        await screen.shows("visit 39 of demo-web-2")
        await screen.until(lambda: [f.closed for f in screen.world.followers].count(False) == 1)


async def test_service_logs_are_merged_in_order_of_time(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("1")
        await screen.shows("6 Logs · demo/web")
        screen.world.write("demo-web-3", "third")
        screen.world.write("demo-web-1", "first")
        await screen.shows("demo-web-1 │ first")
        text = screen.text
        assert text.index("demo-web-3 │ third") < text.index("demo-web-1 │ first")


async def test_merged_logs_of_the_project(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("M")
        await screen.shows("6 Logs · demo ")
        assert screen.app.focused.id == "logs"
        screen.world.write("demo-web-2", "and the second")
        await screen.shows("demo-web-2 │ and the second")


async def test_search_and_its_neighbours(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("enter", "slash", *"visit 7 of", "enter")
        await screen.shows("visit 7 of demo-web-1")
        assert "paused, f follows" in screen.text
        screen.world.write("demo-web-1", "not shown while paused")
        await screen.pilot.pause(0.4)
        assert "not shown while paused" not in screen.text
        await screen.press("f")
        await screen.shows("not shown while paused")
        await screen.press("slash", *"nowhere", "enter")
        await screen.shows("'nowhere' is not there")
        await screen.press("escape")
        assert "/nowhere" not in screen.text


async def test_only_matching_lines(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.world.write("demo-web-1", "ERROR one")
        await screen.shows("ERROR one")
        await screen.press("6", "ampersand", *"error", "enter")
        assert "visit 39" not in screen.text
        screen.world.write("demo-web-1", "an error two")
        screen.world.write("demo-web-1", "all is well")
        await screen.shows("an error two")
        assert "all is well" not in screen.text
        await screen.press("escape")
        await screen.shows("all is well")


async def test_wrap_timestamps_and_sideways(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        screen.world.write("demo-web-1", "begin " + "x" * 100 + " end")
        await screen.shows("begin xxx")
        assert " end" not in screen.text
        await screen.press("6", "w")
        await screen.shows("x end")
        await screen.press("w", *["right"] * 10)
        await screen.shows("x end")
        await screen.press(*["left"] * 10, "t")
        await screen.until(lambda: f"{time.localtime().tm_mday:02}" in screen.line("begin").split("begin")[0])


async def test_wrapped_lines_scroll_row_by_row(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        screen.world.write("demo-web-1", "start " + "abcdefghi " * 100 + "finish")
        await screen.press("6", "w")
        await screen.shows("finish")
        for _ in range(14):
            await screen.press("k")
        await screen.shows("start abc")
        await screen.press("G")
        await screen.shows("finish")


async def test_since_opens_the_log_again(open_screen: Open) -> None:
    async with open_screen() as screen:
        found = screen.world.find("demo-web-1")
        screen.world.logs[found.id][:] = [FakeEntry(time.time_ns() - 3600 * 10**9, 1, b"long ago")]
        screen.world.write("demo-web-1", "just now")
        await screen.press("6", "1")
        await screen.shows("last 1 min")
        await screen.shows("just now")
        assert "long ago" not in screen.text
        await screen.press("0")
        await screen.shows("long ago")


async def test_save(open_screen: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_screen() as screen:
        screen.world.write("demo-web-1", "\x1b[31mred\x1b[0m")
        await screen.shows("red")
        await screen.press("6", "ctrl+s")
        await screen.shows("saved 41 lines")
        (file,) = tmp_path.glob("demo-web-1-*.log")
        assert file.read_text().endswith("of demo-web-1\nred\n")


async def test_control_sequences_do_no_harm(open_screen: Open) -> None:
    async with open_screen() as screen:
        evil = "a\x1b[2Jb\x1b]52;c;ZXZpbA==\x07c\x1b]0;title\x1b\\d\x9b31me\x00f\x08g\u202eh"
        screen.world.write("demo-web-1", evil)
        await screen.shows("abcdefgh")
        assert "\x1b" not in screen.text


def test_colours_are_kept_and_nothing_else() -> None:
    found = ansi.pieces(b"\x1b[1;31mred\x1b[0m plain \x1b[38;2;1;2;3mrgb\x1b[48;5;200m\x1b[K end")
    assert [text for text, _ in found] == ["red", " plain ", "rgb", " end"]
    red, plain, rgb, end = (style for _, style in found)
    assert red is not None and red.bold and red.color is not None and red.color.number == 1
    assert plain is None
    assert rgb is not None and rgb.color is not None and rgb.color.triplet == (1, 2, 3)
    assert end is not None and end.bgcolor is not None and end.bgcolor.number == 200
    assert ansi.text(b"10%\r50%\r100%\r") == "100%"
    assert ansi.text(b"\xff\xfe bad utf-8\x1b") == "\ufffd\ufffd bad utf-8"
    assert ansi.text(b"a\tb") == "a       b"
    assert ansi.pieces(b"") == [("", None)]
    assert ansi.pieces(b"\x1b[999;99999999999999999999999m\x1b[38;5m\x1b[38;2;999;1;1mx")[0][0] == "x"


def entries(*lines: bytes) -> list[FakeEntry]:
    return [FakeEntry(i, 1, line) for i, line in enumerate(lines)]


def test_store_is_bounded_by_lines_and_bytes() -> None:
    store = LogStore(most_lines=100, most_bytes=1000)
    assert store.add([(0, entries(*(b"%d" % i for i in range(150))))]) == 50
    assert len(store) == 100
    assert store.line(0).data == b"50"
    store.add([(0, entries(b"x" * 990, b"y" * 20))])
    assert [store.line(i).data[:1] for i in range(len(store))][-1] == b"y"
    assert sum(len(store.line(i).data) for i in range(len(store))) <= 1010


def test_store_filter_survives_dropping() -> None:
    store = LogStore(most_lines=10)
    store.filter("b")
    store.add([(0, entries(*[b"a", b"b"] * 20))])
    assert len(store) == 5
    assert all(store.line(i).data == b"b" for i in range(len(store)))
    store.filter("")
    assert len(store) == 10


def test_search_goes_round_and_sees_through_colours() -> None:
    store = LogStore()
    store.add([(0, entries(b"Alpha", b"be\x1b[31mta", b"alpha"))])
    assert store.find("alpha", 0, 1) == 2
    assert store.find("alpha", 2, 1) == 0
    assert store.find("beta", 2, -1) == 1
    assert store.find("Alpha", 1, 1) == 0
    assert store.find("gamma", 0, 1) is None


async def test_a_flood_does_not_freeze(open_screen: Open, world: FakeWorld) -> None:
    async with open_screen() as screen:
        found = world.find("demo-web-1")
        now = time.time_ns()
        world.logs[found.id].extend(FakeEntry(now, 1, b"flood %d" % i) for i in range(200_000))
        world.logs[found.id].append(FakeEntry(now, 1, b"long " + b"x" * 5_000_000))
        slowest = 0.0
        begin = time.monotonic()
        while "long xxx" not in screen.text:
            assert time.monotonic() - begin < 30
            used = time.thread_time()
            screen.app.log_view.pump()
            slowest = max(slowest, time.thread_time() - used)
            await screen.pilot.pause(0.01)
        assert slowest < 1.0, "seconds of this thread's time in one look"
        assert screen.app.log_view.store.held <= 50_000
