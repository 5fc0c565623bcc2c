"""How fast the output of a container is stored and read back: 200 MB of 64-byte lines, bytes compared.

Two producers. A program that writes large blocks (``cat`` of a file of lines, which sends the file's
pages into the pipe) asks how fast the engine can be; one that writes each line on its way through two
programs and a pipe (``yes | head``) is slow itself, and asks how much of the machine the engine leaves it.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

LINES = 3_125_000
SIZE = LINES * 64
MEGABYTES = SIZE // 1_000_000
_BLOCK = 12_500
_SHELL = ("sh", "-c", f"yes {'x' * 63} | head -c {SIZE}")


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    runs = min(runs, 3)
    lines = scratch / "lines"
    digest = _prepare(lines)
    blocks = ("-v", f"{lines}:/lines:ro", IMAGE, "cat", "/lines")
    rows: list[Row] = []
    held: dict[str, list[float]] = {}
    for what, arguments, floor in (
        ("log lines stored, written in blocks", blocks, ("/bin/busybox", "cat", str(lines))),
        ("log lines stored, `yes \\| head`", (IMAGE, *_SHELL), ("/bin/busybox", *_SHELL)),
    ):
        samplers: dict[str, Callable[[], float]] = {
            name: _store(peer, arguments, held) for name, peer in peers.items()
        }
        samplers["floor"] = lambda floor=floor: _rate(lambda: _pipe_to_file(floor, scratch / "output"))  # type: ignore[misc]  # a default binds the value
        held.clear()
        rows.append(Row(what, "MB/s", interleave(samplers, runs), better="more", note=f"{MEGABYTES} MB"))
        process = {name: statistics.median(figures[1:]) for name, figures in held.items()}
        rows.append(Row("the same, from the start to the end of its process", "MB/s", process, better="more"))
    for peer in peers.values():
        _run(peer, blocks)
    try:
        back = interleave({name: _read(peer, digest) for name, peer in peers.items()}, runs)
        last = interleave({name: _tail(peer) for name, peer in peers.items()}, runs)
    finally:
        for peer in peers.values():
            peer("rm", "-f", "talker")
    return [
        *rows,
        Row("the same read back with `logs`", "MB/s", back, better="more"),
        Row("`logs --tail 10` of it (whole command)", "ms", last),
    ]


def _prepare(path: Path) -> str:
    """Lines that all differ, so that a lost or doubled one shows; the digest of them all."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, LINES, _BLOCK):
            block = b"".join(b"%09d " % number + b"x" * 53 + b"\n" for number in range(start, start + _BLOCK))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _rate(action: Callable[[], object]) -> float:
    return MEGABYTES / (timed(action) / 1000)


def _run(peer: Peer, arguments: tuple[str, ...]) -> None:
    """From the start of the command to the container's end, when all of its output is stored."""
    peer.run("--name", "talker", "-d", "--network", "none", *arguments)
    peer("wait", "talker")


def _store(peer: Peer, arguments: tuple[str, ...], held: dict[str, list[float]]) -> Callable[[], float]:
    """``held`` gets the rate at which the process could write: what the commands cost is not in it."""

    def sample() -> float:
        figure = _rate(lambda: _run(peer, arguments))
        state = json.loads(peer("inspect", "talker"))[0]["State"]
        began, ended = (datetime.fromisoformat(state[key]) for key in ("StartedAt", "FinishedAt"))
        held.setdefault(peer.name, []).append(MEGABYTES / (ended - began).total_seconds())
        peer("rm", "-f", "talker")
        return figure

    return sample


def _read(peer: Peer, digest: str) -> Callable[[], float]:
    """Reading all of it. The warm-up, which does not count, compares the bytes."""
    compared = False

    def logs() -> None:
        nonlocal compared
        found, size = hashlib.sha256(), 0
        with subprocess.Popen(
            [*peer.command, "logs", "talker"], env=peer.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(1 << 20):
                size += len(chunk)
                if not compared:
                    found.update(chunk)
        if size != SIZE or not (compared or found.hexdigest() == digest):
            raise RuntimeError(
                f"{peer.name} logs gave other bytes than the container wrote ({size} of {SIZE})"
            )
        compared = True

    return lambda: _rate(logs)


def _tail(peer: Peer) -> Callable[[], float]:
    def sample() -> float:
        shown = ""

        def tail() -> None:
            nonlocal shown
            shown = peer("logs", "--tail", "10", "talker")

        figure = timed(tail)
        if [int(line.split()[0]) for line in shown.splitlines()] != list(range(LINES - 10, LINES)):
            raise RuntimeError(f"{peer.name} logs --tail 10 gave something else: {shown[:200]}")
        return figure

    return sample


def _pipe_to_file(writer: tuple[str, ...], target: Path) -> None:
    with subprocess.Popen(writer, stdout=subprocess.PIPE) as process, target.open("wb") as file:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 16):
            file.write(chunk)
