"""The parts that need no screen: graphs, columns, layout, words, the command line, the terminal bridge."""

from __future__ import annotations

import os
import pty
import select
import sys
import threading
import time
from array import array

import pytest

from runtime.errors import InvalidInput
from runtime.model.container import ContainerState, ContainerStatus, PortBinding
from runtime.model.stats import ContainerStats
from tests.tui.fake_engine import container
from tuidock.app import braille, terminal, wording
from tuidock.app.board import Board, History, Series, Snapshot
from tuidock.app.commandline import run_request, split
from tuidock.app.layout import Share, Zoom, heights, left_width
from tuidock.app.panes.pane import Column
from tuidock.app.widgets.table import columns_that_fit, fit


def test_braille_fills_from_below_and_from_the_right() -> None:
    lines = braille.graph([8.0, 8.0], 3, 2, 8.0)
    assert lines == ["\u2800\u2800\u28ff", "\u2800\u2800\u28ff"]
    assert braille.graph([0.001], 1, 1, 100) == ["\u2880"], "what is above zero shows"
    assert braille.graph([500.0], 1, 1, 100) == ["\u28b8"], "what is above the top is cut"
    assert braille.graph([], 2, 1, 0) == ["\u2800\u2800"]
    assert braille.graph([1.0], 0, 1, 1) == []


@pytest.mark.parametrize(
    ("peak", "top"), [(0, 5), (3, 5), (7, 10), (12, 20), (21, 50), (99, 100), (101, 200)]
)
def test_ceiling(peak: float, top: float) -> None:
    assert braille.ceiling(peak, 5) == top


def test_series_is_bounded() -> None:
    series = Series()
    for value in range(10_000):
        series.add(value)
    assert series.last(3) == array("f", [9997, 9998, 9999])
    assert len(series.last(100_000)) <= 360


def sample(seconds: float, cpu: float, **figures: int) -> ContainerStats:
    base = {
        "memory_usage": 1, "memory_limit": 1, "memory_cache": 0, "pids": 1, "pids_limit": 0,
        "network_rx": 0, "network_tx": 0, "block_read": 0, "block_write": 0,
    }  # fmt: skip
    return ContainerStats("x", int(seconds * 1e9), int(cpu * 1e9), 2, **{**base, **figures})


def test_rates() -> None:
    history = History()
    history.add(sample(10, 1.0, network_rx=1000))
    nothing = history.rates
    assert nothing is None
    history.add(sample(12, 2.0, network_rx=3000))
    assert history.rates is not None
    assert history.rates.cpu == pytest.approx(50)
    assert history.rates.received == pytest.approx(1000)
    history.add(sample(11, 5.0))
    assert history.rates.cpu == pytest.approx(50), "an older sample is ignored"
    history.add(sample(13, 0.1))
    assert history.rates.cpu == 0, "a counter that went back is a new start"


def test_board_forgets_what_is_gone() -> None:
    board = Board()
    one = container("one")
    board.take(Snapshot(containers=(one,)), 1)
    board.sample([sample(1, 1)])
    board.take(Snapshot(), 2)
    assert board.histories == {}


def test_columns() -> None:
    columns = (Column("NAME"), Column("STATE", 12), Column("CPU", 6, 1, right=True), Column("IMAGE", 16, 2))
    assert columns_that_fit(columns, 60, 10)[0] == (0, 10)
    assert [i for i, _ in columns_that_fit(columns, 40, 10)] == [0, 1, 2]
    assert [i for i, _ in columns_that_fit(columns, 25, 10)] == [0, 1]
    assert columns_that_fit(columns, 15, 20) == [(0, 4), (1, 12)]
    for width in range(17, 200):
        fitted = columns_that_fit(columns, width, 30)
        assert sum(cells for _, cells in fitted) + len(fitted) - 1 == width


def test_cells_are_cut_with_an_ellipsis() -> None:
    assert wording.plain(tuple(fit(wording.cell("abc"), 5))) == "abc  "
    assert wording.plain(tuple(fit(wording.cell("abc"), 5, right=True))) == "  abc"
    assert wording.plain(tuple(fit((("abc", ""), ("def", "dim")), 4))) == "abc…"
    assert wording.plain(tuple(fit(wording.cell("漢字漢字"), 4))) == "漢 …"


@pytest.mark.parametrize("focused", ["services", "containers", "images", "networks", "volumes", ""])
def test_heights_use_the_whole_screen(focused: str) -> None:
    shares = [
        Share("services", 3, False),
        Share("containers", 300, False),
        Share("images", 20, False),
        Share("networks", 4, True),
        Share("volumes", 9, True),
    ]
    for height in range(12, 70):
        given = heights(shares, height, focused)
        assert sum(given.values()) == height
        assert min(given.values()) >= 1
        if focused:
            assert given[focused] >= 3


def test_left_width() -> None:
    for width in (80, 120, 200):
        assert 30 < left_width(width, Zoom.NORMAL, left_focused=True) < width * 0.55
        assert left_width(width, Zoom.FULL, left_focused=True) == width
        assert left_width(width, Zoom.FULL, left_focused=False) == 0


def test_words() -> None:
    assert [wording.size(n) for n in (0, 999, 1023, 1 << 20, 50 << 20, 123 << 20, 1 << 40)] == [
        "0 B", "999 B", "1.0 KiB", "1.0 MiB", "50.0 MiB", "123 MiB", "1.0 TiB",
    ]  # fmt: skip
    second = 10**9
    assert [wording.age(n * second) for n in (0, 59, 60, 7200, 86400 * 3, 86400 * 30, 86400 * 800)] == [
        "0s", "59s", "1m", "2h", "3d", "4w", "2y",
    ]  # fmt: skip
    assert (
        wording.ports([PortBinding(80, "tcp", "0.0.0.0", 4000), PortBinding(80, "tcp", "::", 4000)])
        == "4000→80"
    )
    assert wording.ports([PortBinding(53, "udp", "127.0.0.1", 53)]) == "127.0.0.1:53→53/udp"
    assert wording.familiar("docker.io/library/base:latest") == "base"
    broken = container("x", status=ContainerStatus.CREATED, error="no such command")
    assert wording.plain(wording.state(broken)) == "○ failed"
    assert wording.plain(wording.state(container("y"), "stopping…")) == "◌ stopping…"


@pytest.mark.parametrize("status", list(ContainerStatus))
def test_every_state_has_a_word(status: ContainerStatus) -> None:
    made = container("x", status=status)
    assert isinstance(made.state, ContainerState)
    assert len(wording.plain(wording.state(made)).strip()) > 3


def test_run_request() -> None:
    asked = run_request(split("-d --name web -p 127.0.0.1:8080:80/tcp -e A='b c' --rm base sh -c 'echo hi'"))
    assert asked.name == "web"
    assert asked.config.ports == (PortBinding(80, "tcp", "127.0.0.1", 8080),)
    assert asked.config.env == ("A=b c",)
    assert asked.config.auto_remove
    assert asked.config.cmd == ("sh", "-c", "echo hi")
    for wrong, named in (
        ("", "image"),
        ("--nope base", "--nope"),
        ("-p x:y base", "x:y"),
        ("--name", "--name"),
    ):
        with pytest.raises(InvalidInput, match=named):
            run_request(split(wrong))
    with pytest.raises(InvalidInput, match="quotation"):
        split("a 'b")


def test_detach_keys() -> None:
    keys = terminal.Detaching()
    assert keys.feed(b"abc") == (b"abc", False)
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"y\x10") == (b"y", False)
    assert keys.feed(b"\x11zzz") == (b"", True)
    assert terminal.Detaching().feed(b"ab\x10\x11cd") == (b"ab", True)


class EchoSession:
    """Says back what is written, until it reads a D."""

    tty = True
    oom_killed = False

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.sizes: list[tuple[int, int]] = []
        self.left = False

    def fileno(self) -> int:
        return self._read

    def read(self) -> tuple[int, bytes] | None:
        data = os.read(self._read, 100)
        return None if b"D" in data else (1, data.upper())

    def write(self, data: bytes) -> None:
        os.write(self._write, data)

    def close_stdin(self) -> None: ...

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    def signal(self, signal: int) -> None: ...

    def wait(self) -> int:
        return 7

    def detach(self) -> None:
        self.left = True


class Tty:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


@pytest.mark.parametrize(("typed", "code"), [(b"D", 7), (b"\x10\x11", None)])
def test_bridge(monkeypatch: pytest.MonkeyPatch, typed: bytes, code: int | None) -> None:
    import termios

    master, slave = pty.openpty()
    monkeypatch.setattr(sys, "stdin", Tty(slave))
    monkeypatch.setattr(sys, "stdout", Tty(slave))
    termios.tcsetwinsize(slave, (33, 77))
    before = termios.tcgetattr(slave)
    session = EchoSession()
    results: list[int | None] = []

    def talk() -> None:
        results.append(terminal.bridge(session, "hello there"))

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    seen = b""

    def until(wanted: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 5
        while wanted not in seen and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 4096)
        assert wanted in seen

    until(b"hello there")
    os.write(master, b"abc")
    until(b"ABC")
    os.write(master, typed)
    thread.join(5)
    assert results == [code]
    assert session.left is (code is None)
    assert session.sizes == [(33, 77)]
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
