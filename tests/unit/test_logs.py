"""The log's bytes and index: what the monitor writes is what a reader gets, line by line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from runtime.containers.logs import LogEntry, LogFollower
from runtime.monitor.log import RECORD, LogWriter


def lines(follower: LogFollower) -> list[bytes]:
    out: list[LogEntry] = []
    while batch := follower.read_new():
        out.extend(batch)
    out.extend(follower.rest())
    follower.close()
    return [entry.line for entry in out]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    writer.write(1, b"one\ntwo\nthr")
    writer.write(2, b"oops\n")
    writer.write(1, b"ee\nlast")
    writer.close()
    entries = []
    follower = LogFollower(tmp_path / "log")
    entries = follower.read_new()
    assert [(entry.stream, entry.line) for entry in entries] == [
        (1, b"one"),
        (1, b"two"),
        (2, b"oops"),
        (1, b"three"),
    ]
    assert [(entry.stream, entry.line) for entry in follower.rest()] == [(1, b"last")]
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthroops\nee\nlast"


def test_chunks_of_any_size_give_the_same_lines(tmp_path: Path) -> None:
    rng = random.Random(7)
    content = b"".join(
        bytes(rng.choices(b"abc\x00\xff\x1b", k=rng.randrange(200))) + b"\n" for _ in range(500)
    )
    writer = LogWriter(str(tmp_path / "log"))
    place = 0
    while place < len(content):
        size = rng.choice([1, 7, 64, 4096])
        writer.write(1, content[place : place + size])
        if rng.random() < 0.3:
            writer.flush()
        place += size
    writer.close()
    assert lines(LogFollower(tmp_path / "log")) == content.split(b"\n")[:-1]


@pytest.mark.parametrize("tail", [0, 1, 2, 10, 99, 100, 1000])
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_tail(tmp_path: Path, tail: int, ending: bytes) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    text = b"\n".join(b"line %d" % number for number in range(100)) + ending
    for start in range(0, len(text), 37):
        writer.write(1, text[start : start + 37])
        writer.flush()
    writer.close()
    expected = [b"line %d" % number for number in range(100)][-tail or 100 :]
    assert lines(LogFollower(tmp_path / "log", tail=tail)) == ([] if tail == 0 else expected)


def test_since_bisects_by_time(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, (tmp_path / "log.idx").open("wb") as index:
        for number in range(50):
            line = b"line %d\n" % number
            index.write(RECORD.pack(log.tell(), 1000 + number, len(line), 1))
            log.write(line)
    assert lines(LogFollower(tmp_path / "log", since=1030)) == [
        b"line %d" % number for number in range(30, 50)
    ]
    assert lines(LogFollower(tmp_path / "log", since=5000)) == []


def test_rotation_keeps_the_newest_and_the_reader_its_place(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"), max_size=1000, max_file=3)
    follower = LogFollower(tmp_path / "log")
    seen: list[bytes] = []
    for number in range(400):
        writer.write(1, b"line %d\n" % number)
        writer.flush()
        seen.extend(entry.line for entry in follower.read_new())
    writer.close()
    assert seen == [b"line %d" % number for number in range(400)]
    kept = lines(LogFollower(tmp_path / "log"))
    assert kept == [b"line %d" % number for number in range(400)][-len(kept) :]
    assert sorted(path.name for path in tmp_path.glob("log*") if path.suffix != ".idx") == [
        "log",
        "log.1",
        "log.2",
    ]


def test_raw_chunks_are_the_bytes_by_stream(tmp_path: Path) -> None:
    rng = random.Random(3)
    writer = LogWriter(str(tmp_path / "log"))
    sent = {1: b"", 2: b""}
    for _ in range(300):
        stream, data = rng.choice([1, 2]), bytes(rng.choices(b"xy\n", k=rng.randrange(1, 50)))
        sent[stream] += data
        writer.write(stream, data)
    writer.close()
    seen = {1: b"", 2: b""}
    follower = LogFollower(tmp_path / "log")
    while batch := follower.read_raw():
        for stream, data in batch:
            seen[stream] += data
    assert seen == sent


def test_a_line_of_many_megabytes_is_whole(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    long = bytes(range(1, 10)) * 700_000
    for start in range(0, len(long), 1 << 18):
        writer.write(1, long[start : start + (1 << 18)])
    writer.write(1, b"\n")
    writer.close()
    assert lines(LogFollower(tmp_path / "log")) == [long]
