"""The log's bytes and index: what the monitor writes is what a reader gets, line by line."""

from __future__ import annotations

import errno
import gzip
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.containers.logs import LogEntry, LogFollower
from runtime.monitor import compress
from runtime.monitor.log import LOST, RECORD, LogWriter


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


def test_since_finds_the_first_of_that_time(tmp_path: Path) -> None:
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


# -- times and streams ----------------------------------------------------------------------------


def made(path: Path, chunks: Sequence[tuple[int, int, bytes]]) -> Path:
    """A log of chunks (time, stream, bytes)."""
    with path.open("wb") as log, Path(f"{path}.idx").open("wb") as index:
        for moment, stream, data in chunks:
            index.write(RECORD.pack(log.tell(), moment, len(data), stream))
            log.write(data)
    return path


def entries(follower: LogFollower) -> list[LogEntry]:
    out: list[LogEntry] = []
    while batch := follower.read_new():
        out.extend(batch)
    out.extend(follower.rest())
    follower.close()
    return out


def raw(follower: LogFollower) -> dict[int, bytes]:
    out = {1: b"", 2: b""}
    while batch := follower.read_raw():
        for stream, data in batch:
            out[stream] += data
    follower.close()
    return out


def test_a_line_has_the_time_of_its_end(tmp_path: Path) -> None:
    path = made(tmp_path / "log", [(10, 1, b"a"), (20, 2, b"err\n"), (30, 1, b"b\nc"), (40, 1, b"d\ne")])
    assert entries(LogFollower(path)) == [
        LogEntry(20, 2, b"err"),
        LogEntry(30, 1, b"ab"),
        LogEntry(40, 1, b"cd"),
        LogEntry(40, 1, b"e", False),
    ]


def test_since_in_the_middle_of_a_line_gives_the_whole_line(tmp_path: Path) -> None:
    path = made(tmp_path / "log", [(10, 1, b"old\nbeg"), (20, 2, b"err\n"), (30, 1, b"inning\nnew\n")])
    assert [entry.line for entry in entries(LogFollower(path, since=25))] == [b"beginning", b"new"]
    assert raw(LogFollower(path, since=25)) == {1: b"beginning\nnew\n", 2: b""}


def test_since_after_an_unfinished_line_gives_nothing(tmp_path: Path) -> None:
    path = made(tmp_path / "log", [(10, 1, b"old\nprompt> ")])
    assert entries(LogFollower(path, since=25)) == []
    assert raw(LogFollower(path, since=25)) == {1: b"", 2: b""}


def test_tail_keeps_the_other_streams_line_whole(tmp_path: Path) -> None:
    chunks = [(10, 2, b"warn"), (20, 1, b"1\n2\n3\n"), (30, 2, b"ing\n"), (40, 1, b"4\n")]
    path = made(tmp_path / "log", chunks)
    assert [entry.line for entry in entries(LogFollower(path, tail=3))] == [b"3", b"warning", b"4"]
    assert raw(LogFollower(path, tail=3)) == {1: b"3\n4\n", 2: b"warning\n"}


def test_tail_and_since_together_give_the_shorter(tmp_path: Path) -> None:
    path = made(tmp_path / "log", [(n, 1, b"%d\n" % n) for n in range(100)])
    assert lines(LogFollower(path, tail=5, since=10)) == [b"95", b"96", b"97", b"98", b"99"]
    assert lines(LogFollower(path, tail=50, since=98)) == [b"98", b"99"]


def test_since_after_the_clock_was_set_back_begins_at_the_first_line_of_that_time(tmp_path: Path) -> None:
    """In whatever order the times are: a bisection would pass over the lines around the jump."""
    times = [*range(1000, 1020), *range(100, 160), *range(5, 10)]
    path = made(tmp_path / "log", [(moment, 1, b"%d\n" % moment) for moment in times])
    for moment, first in ((1010, 10), (1000, 0), (500, 0), (7, 0), (2000, len(times))):
        expected = [b"%d" % when for when in times[first:]]
        assert [entry.line for entry in entries(LogFollower(path, since=moment))] == expected
    older = made(tmp_path / "log.1", [(moment, 1, b"%d\n" % moment) for moment in (3000, 20, 30)])
    assert [entry.line for entry in entries(LogFollower(path, since=2500))][:2] == [b"3000", b"20"]
    older.unlink()


# -- rotation and compression ---------------------------------------------------------------------


def compressed(path: Path, most: int = 10) -> None:
    compress.compress_rotated(str(path), most)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("tail", [None, 0, 1, 7, 300, 5000])
def test_rotated_files_are_read_as_one(tmp_path: Path, packed: bool, tail: int | None) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), max_size=20_000, max_file=10)
    text = [
        b"line %d " % number + bytes([number % 255 + 1]).replace(b"\n", b"") * 40 for number in range(1500)
    ]
    for line in text:
        writer.write(1, line + b"\n")
    writer.close()
    if packed:
        compressed(path)
        assert not (tmp_path / "log.1").exists()
    kept = text if tail is None else text[len(text) - min(tail, len(text)) :]
    assert lines(LogFollower(path, tail=tail)) == kept
    assert raw(LogFollower(path, tail=tail))[1] == b"".join(line + b"\n" for line in kept)


def test_a_compressed_file_is_a_gzip_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = random.Random(5).randbytes(5 << 19)
    made(tmp_path / "log.1", [(10, 1, content)])
    made(path, [(20, 1, b"new\n")])
    compressed(path)
    assert gzip.decompress((tmp_path / "log.1.gz").read_bytes()) == content
    assert raw(LogFollower(path))[1] == content + b"new\n"
    assert raw(LogFollower(path, since=15))[1] == content[content.rfind(b"\n") + 1 :] + b"new\n"


def test_a_damaged_compressed_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made(tmp_path / "log.1", [(10, 1, b"x" * (1 << 20)), (11, 1, b"y" * (1 << 20))])
    made(path, [(20, 1, b"new\n")])
    compressed(path)
    whole = (tmp_path / "log.1.gz").read_bytes()
    (tmp_path / "log.1.gz").write_bytes(whole[:-20])
    found = raw(LogFollower(path))[1]
    assert found == b"x" * (1 << 20) + b"new\n"


def test_a_follower_loses_and_doubles_nothing_across_rotations(tmp_path: Path) -> None:
    """Several rotations between two looks, with a compressor at work all the time."""
    path = tmp_path / "log"
    writer = LogWriter(str(path), max_size=4000, max_file=50)
    done = threading.Event()

    def keep_compressing() -> None:
        while not done.is_set():
            compress.compress_rotated(str(path), 50)
            time.sleep(0.001)

    helper = threading.Thread(target=keep_compressing)
    helper.start()
    follower = LogFollower(path)
    rng = random.Random(11)
    seen: list[bytes] = []
    try:
        for number in range(6000):
            writer.write(1, b"line %d\n" % number)
            if rng.random() < 0.004:
                writer.flush()
                while batch := follower.read_new():
                    seen.extend(entry.line for entry in batch)
        writer.close()
    finally:
        done.set()
        helper.join()
    seen += lines(follower)
    assert seen == [b"line %d" % number for number in range(6000)]


def test_readers_that_open_during_rotations_get_neighbouring_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path), max_size=2000, max_file=100)  # so many that none is dropped meanwhile
    done = threading.Event()
    writer.write(1, b"0\n")
    writer.flush()

    def write() -> None:
        number = 1
        while not done.is_set():
            writer.write(1, b"%d\n" % number)
            writer.flush()
            number += 1
            if number % 100 == 0:
                time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(25):
            follower = LogFollower(path)
            found = [int(entry.line) for entry in follower.read_new(2000)]
            follower.close()
            assert found == list(range(found[0], found[0] + len(found)))
    finally:
        done.set()
        thread.join()
        writer.close()


def test_the_writer_starts_its_compressor_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    argv = (sys.executable, "-I", "-S", compress.__file__, str(path), "5")
    writer = LogWriter(str(path), max_size=1000, max_file=5, compress=argv)
    text = [b"line %d" % number for number in range(300)]
    for line in text:
        writer.write(1, line + b"\n")
        if writer.compressor:
            pid, status = os.waitpid(writer.compressor, 0)
            assert writer.reaped(pid)
            assert os.waitstatus_to_exitcode(status) == 0
    writer.close()
    while pid := writer.compressor:
        os.waitpid(pid, 0)
        writer.reaped(pid)
    packed = sorted(item.name for item in tmp_path.glob("*.gz"))
    assert packed == ["log.1.gz", "log.2.gz", "log.3.gz", "log.4.gz"][: len(packed)]
    assert len(packed) >= 2
    assert lines(LogFollower(path)) == text[-len(lines(LogFollower(path))) :]


# -- damage and full disks ------------------------------------------------------------------------


def damaged_log(tmp_path: Path) -> tuple[Path, bytes]:
    writer = LogWriter(str(tmp_path / "log"))
    for number in range(400):
        writer.write(1 + number % 2, b"line %d\n" % number)
        writer.flush()
    writer.close()
    return tmp_path / "log", (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("damage", range(24))
def test_a_damaged_index_hides_nothing(tmp_path: Path, damage: int) -> None:
    """Whatever the index says, each byte of the log is shown once and the reader says what is wrong."""
    path, content = damaged_log(tmp_path)
    index = tmp_path / "log.idx"
    data = bytearray(index.read_bytes())
    rng = random.Random(damage)
    if damage == 0:
        index.unlink()
    elif damage == 1:
        index.write_bytes(b"")
    elif damage < 8:
        index.write_bytes(data[: rng.randrange(len(data))])
    elif damage < 16:
        place = rng.randrange(len(data))
        length = rng.randrange(1, 400)
        data[place : place + length] = rng.randbytes(length)
        index.write_bytes(data)
    else:
        place = rng.randrange(len(data) - 100)
        del data[place : place + rng.randrange(1, 90)]
        index.write_bytes(data)
    follower = LogFollower(path, ended=True)
    shown = b""
    while batch := follower.read_raw():
        shown += b"".join(piece for _, piece in batch)
    assert shown == content
    if damage < 2:
        assert "index is damaged" in follower.warning
    follower.close()
    for options in ({"tail": 10}, {"since": time.time_ns()}, {"since": 0}, {"tail": 10_000}):
        entries(LogFollower(path, ended=True, **options))


def test_a_log_that_is_shorter_than_its_index_is_read_to_its_end(tmp_path: Path) -> None:
    path, content = damaged_log(tmp_path)
    os.truncate(path, 1000)
    found = raw(LogFollower(path, ended=True))
    assert len(found[1]) + len(found[2]) == 1000
    assert lines(LogFollower(path, ended=True, tail=2))
    assert content.startswith(path.read_bytes())


@pytest.mark.parametrize("size", [0, 10, 24 * 100 + 7, 24 * 399])
def test_a_writer_goes_on_after_a_crash_that_cut_the_index(tmp_path: Path, size: int) -> None:
    path, content = damaged_log(tmp_path)
    os.truncate(tmp_path / "log.idx", size)
    follower = LogFollower(path, ended=True)
    shown = b""
    while batch := follower.read_raw():
        shown += b"".join(piece for _, piece in batch)
    writer = LogWriter(str(path))
    writer.write(2, b"after\n")
    writer.close()
    while batch := follower.read_raw():  # one that was open sees the rest, and nothing twice
        shown += b"".join(piece for _, piece in batch)
    follower.close()
    assert shown == content + b"after\n"
    again = LogFollower(path)
    found = [entry.line for entry in entries(again)]
    assert sorted(found) == sorted((content + b"after\n").split(b"\n")[:-1])
    assert again.warning == ""


def test_a_writer_goes_on_after_a_crash_that_cut_the_log(tmp_path: Path) -> None:
    path, _ = damaged_log(tmp_path)
    os.truncate(path, 1003)
    writer = LogWriter(str(path))
    writer.write(1, b"\nafter\n")
    writer.close()
    found = raw(LogFollower(path))
    assert sum(map(len, found.values())) == 1010
    assert found[1].endswith(b"\nafter\n")


class FullDisk:
    """pwrite(2) on a disk with ``room`` bytes left."""

    def __init__(self, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._write = os.pwrite
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, fd: int, data: bytes, offset: int) -> int:
        part = memoryview(data)[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(part)
        return self._write(fd, part, offset)


def test_a_full_disk_loses_output_and_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    disk = FullDisk(24 + 13, monkeypatch)
    assert writer.write(1, b"first\n") == 6
    writer.flush()
    assert writer.write(1, b"second\nthird\n") == 13
    assert writer.write(2, b"fourth\n") == 7
    writer.flush()
    assert "No space left" in writer.failed
    disk.room = 1 << 20
    writer.write(1, b"fifth\n")
    writer.close()
    assert writer.failed == ""
    follower = LogFollower(tmp_path / "log")
    assert raw(follower)[1] == b"first\nsecond\nfifth\n"
    assert follower.warning == "13 bytes of output were not stored, the disk was full"


def test_blocking_keeps_what_a_full_disk_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(str(tmp_path / "log"), wait=True)
    disk = FullDisk(10, monkeypatch)
    assert writer.write(1, b"0123456789abcdef\n") == 10
    assert writer.write(1, b"abcdef\n") == 0
    disk.room = 1000
    assert writer.write(1, b"abcdef\n") == 7
    writer.close()
    follower = LogFollower(tmp_path / "log")
    assert raw(follower)[1] == b"0123456789abcdef\n"
    assert follower.warning == ""


def test_lost_output_has_a_record_of_its_own(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, (tmp_path / "log.idx").open("wb") as index:
        index.write(RECORD.pack(0, 10, 5, 1) + RECORD.pack(5, 11, 999, LOST) + RECORD.pack(5, 12, 5, 2))
        log.write(b"one\n.two\n.")
    follower = LogFollower(tmp_path / "log", tail=1)
    assert raw(follower) == {1: b"", 2: b"."}
    follower = LogFollower(tmp_path / "log")
    assert raw(follower) == {1: b"one\n.", 2: b"two\n."}
    assert "999 bytes" in follower.warning
    assert lines(LogFollower(tmp_path / "log", since=12)) == [b"two", b"."]


# -- from pipe to log, from log to descriptor -----------------------------------------------------


def test_splice_moves_what_the_pipe_holds(tmp_path: Path) -> None:
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    writer = LogWriter(str(tmp_path / "log"))
    content = random.Random(2).randbytes(50_000)
    with pytest.raises(BlockingIOError):
        writer.splice(1, readable)
    os.write(writable, content)
    moved = 0
    while moved < len(content):
        moved += writer.splice(1, readable)
    os.close(writable)
    assert writer.splice(1, readable) == 0
    writer.write(2, b"end")
    writer.close()
    os.close(readable)
    assert raw(LogFollower(tmp_path / "log")) == {1: content, 2: b"end"}


def test_splice_leaves_the_last_part_of_a_file_to_who_finds_a_lines_end(tmp_path: Path) -> None:
    readable, writable = os.pipe()
    writer = LogWriter(str(tmp_path / "log"), max_size=400_000, max_file=2)
    os.write(writable, b"x" * 30_000)
    assert 0 < writer.splice(1, readable) <= 400_000 - (256 << 10)
    writer.write(1, b"y" * 150_000 + b"\n")
    assert writer.splice(1, readable) == -1
    writer.close()
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
@pytest.mark.parametrize("packed", [False, True])
def test_copying_to_descriptors(tmp_path: Path, flags: int, packed: bool) -> None:
    """sendfile(2) refuses a target that is appended to: the bytes get there all the same."""
    path = tmp_path / "log"
    writer = LogWriter(str(path), max_size=100_000, max_file=9)
    rng = random.Random(4)
    sent = {1: b"", 2: b""}
    for _ in range(400):
        stream, data = rng.choice([1, 2]), rng.randbytes(rng.randrange(1500)) + b"\n"
        sent[stream] += data
        writer.write(stream, data)
    writer.close()
    if packed:
        compressed(path)
    targets = {
        stream: os.open(tmp_path / f"copy{stream}", os.O_WRONLY | os.O_CREAT | flags) for stream in (1, 2)
    }
    follower = LogFollower(path)
    while follower.copy_new(targets):
        pass
    follower.close()
    for stream, fd in targets.items():
        os.close(fd)
        assert (tmp_path / f"copy{stream}").read_bytes() == sent[stream]


def test_what_was_rotated_while_the_compressor_worked_gets_another_at_the_end(tmp_path: Path) -> None:
    """The monitor ends with its container and hears of no compressor's end."""
    begun = tmp_path / "begun"
    command = ("/bin/sh", "-c", f"echo x >> {begun}; sleep 1000")
    writer = LogWriter(str(tmp_path / "log"), max_size=20, max_file=5, compress=command)
    pids = []
    try:
        for number in range(4):
            writer.write(1, b"%d twenty bytes of a line\n" % number)
        pids.append(writer.compressor)
        writer.close()
        writer.compress_rest()
        pids.append(writer.compressor)
        writer.compress_rest()  # only once
        pids.append(writer.compressor)
        assert pids[0] and pids[1] != pids[0] and pids[2] == pids[1]
        deadline = time.monotonic() + 20
        while not begun.exists() or begun.read_text() != "x\nx\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        for pid in set(pids) - {0}:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
