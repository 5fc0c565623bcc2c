"""What a long verb shows: plain lines and live ones."""

from __future__ import annotations

import re

from runtime.model.event import Progress
from tuidock.cli.progress import Live, Plain

BUILD = [
    Progress("#1", "[1/2] FROM base", done=False),
    Progress("#1", "CACHED [1/2] FROM base", done=True),
    Progress("#2", "[2/2] RUN make"),
    Progress("#2", "[2/2] RUN make", line="compiling"),
    Progress("#2", "[2/2] RUN make", done=True),
]


def plain(events: list[Progress]) -> str:
    out: list[str] = []
    show = Plain(out.append)
    for event in events:
        show(event)
    return re.sub(r"\d+\.\d+", "N", "".join(out))


def test_plain_build() -> None:
    assert plain(BUILD) == (
        "#1 [1/2] FROM base\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 N compiling\n#2 DONE Ns\n\n"
    )


def test_plain_build_whose_stages_run_at_once() -> None:
    events = [
        Progress("#1", "[a 1/1] RUN a"),
        Progress("#2", "[b 1/1] RUN b"),
        Progress("#1", "[a 1/1] RUN a", line="one"),
        Progress("#2", "ERROR [b 1/1] RUN b", done=True, error="exit code: 1"),
        Progress("#1", "CANCELED [a 1/1] RUN a", done=True, error="context canceled"),
        Progress("#3", "exporting to image"),
        Progress("#3", "exporting to image", line="naming to x", note=True),
    ]
    assert plain(events) == (
        "#1 [a 1/1] RUN a\n#1 ...\n\n#2 [b 1/1] RUN b\n#2 ...\n\n#1 [a 1/1] RUN a\n#1 N one\n#1 ...\n\n"
        "#2 [b 1/1] RUN b\n#2 ERROR: exit code: 1\n\n#1 [a 1/1] RUN a\n#1 CANCELED\n\n"
        "#3 exporting to image\n#3 naming to x\n"
    )


def test_plain_compose() -> None:
    events = [
        Progress("Container web-1", "Starting"),
        Progress("Container web-1", "Starting"),
        Progress("Container web-1", "Started", done=True),
    ]
    assert plain(events) == " Container web-1  Starting\n Container web-1  Started\n"


class Screen:
    """Enough of a terminal to see the final picture: cursor up, line feeds, clearing."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self.row = 0
        self.writes = 0

    def write(self, text: str) -> None:
        self.writes += 1
        for part in re.findall(r"\x1b\[\??\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
            if part == "\n":
                self.row += 1
                if self.row == len(self.rows):
                    self.rows.append("")
            elif part == "\x1b[2K":
                self.rows[self.row] = ""
            elif part.startswith("\x1b[") and part.endswith("A"):
                self.row -= int(part[2:-1])
            elif part == "\x1b[0J":
                del self.rows[self.row + 1 :]
                self.rows[self.row] = ""
            elif not part.startswith("\x1b") and part != "\r":
                self.rows[self.row] += part


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_live_rows_are_drawn_over_and_at_most_ten_times_a_second() -> None:
    screen, clock = Screen(), Clock()
    show = Live("Running", write=screen.write, size=lambda: (24, 60), color=False, clock=clock)
    for number in range(1000):
        clock.now += 0.001
        show(Progress("Container web-1", "Starting", current=number, total=1000))
    assert screen.writes <= 11
    show(Progress("Container web-1", "Started", done=True))
    show.finish()
    assert screen.rows == ["[+] Running 1/1", " ✔ Container web-1  Started  1.0s", ""]


def test_live_lines_fit_a_narrow_terminal() -> None:
    screen, clock = Screen(), Clock()
    show = Live("Building", write=screen.write, size=lambda: (5, 20), color=True, clock=clock)
    for number in range(30):
        clock.now += 0.2
        show(Progress(f"#{number}", f"[{number}/30] RUN something that is long", line="output " * 20))
    drawn = [re.sub(r"\x1b\[\d*m", "", row) for row in screen.rows]
    assert len([row for row in drawn if row]) <= 4
    assert all(len(row) <= 20 for row in drawn)
