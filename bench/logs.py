"""How fast the output of a container is stored, and read back: 64-byte lines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

MEGABYTES = 50
LINE = "x" * 63
WRITER = f"yes {LINE} | head -c {MEGABYTES * 1_000_000 // 64 * 64}"


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    runs = min(runs, 3)
    stored: dict[str, Callable[[], float]] = {name: _store(peer) for name, peer in peers.items()}
    stored["floor"] = lambda: _rate(lambda: _pipe_to_file(scratch / "output"))
    rows = [Row("log lines stored", "MB/s", interleave(stored, runs), better="more", note=f"{MEGABYTES} MB")]
    for peer in peers.values():
        peer.run("--name", "talker", "-d", "--network", "none", IMAGE, "sh", "-c", WRITER)
        peer("wait", "talker")
    try:
        read: dict[str, Callable[[], float]] = {name: _read(peer) for name, peer in peers.items()}
        figures = interleave(read, runs)
    finally:
        for peer in peers.values():
            peer("rm", "-f", "talker")
    return [*rows, Row("the same read back with `logs`", "MB/s", figures, better="more")]


def _rate(action: Callable[[], object]) -> float:
    return MEGABYTES / (timed(action) / 1000)


def _store(peer: Peer) -> Callable[[], float]:
    def sample() -> float:
        def run() -> None:
            peer.run("--name", "talker", "-d", "--network", "none", IMAGE, "sh", "-c", WRITER)
            peer("wait", "talker")

        figure = _rate(run)
        peer("rm", "-f", "talker")
        return figure

    return sample


def _read(peer: Peer) -> Callable[[], float]:
    def logs() -> None:
        with subprocess.Popen(
            [*peer.command, "logs", "talker"], env=peer.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            size = 0
            while chunk := process.stdout.read(1 << 20):
                size += len(chunk)
        if size != MEGABYTES * 1_000_000 // 64 * 64:
            raise RuntimeError(f"{peer.name} logs gave {size} bytes of {MEGABYTES} MB")

    return lambda: _rate(logs)


def _pipe_to_file(target: Path) -> None:
    with (
        subprocess.Popen(["/bin/busybox", "sh", "-c", WRITER], stdout=subprocess.PIPE) as writer,
        target.open("wb") as file,
    ):
        assert writer.stdout is not None
        while chunk := writer.stdout.read(1 << 16):
            file.write(chunk)
