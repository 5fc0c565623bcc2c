"""``run --rm IMAGE true`` on the bridge: the whole command, from the shell's point of view."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer
from bench.rootfs import busybox_tar

__all__ = ["measure"]

FLOOR = Path(__file__).with_name("floor.py")


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    rows = []
    for what, options in (("bridge", ()), ("no network", ("--network", "none"))):
        samplers: dict[str, Callable[[], float]] = {
            name: lambda peer=peer, options=options: timed(  # type: ignore[misc]  # defaults bind the loop's values
                lambda: peer.run("--rm", *options, IMAGE, "true")
            )
            for name, peer in peers.items()
        }
        if what == "bridge":
            samplers["floor"] = _floor(scratch)
        rows.append(
            Row(f"`run --rm` of `true`, {what}", "ms", interleave(samplers, runs), note="whole command")
        )
    return rows


def _floor(scratch: Path) -> Callable[[], float]:
    directory = scratch / "floor"
    for name in ("lower", "upper", "work", "merged"):
        (directory / name).mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_tar())) as archive:
        archive.extractall(directory / "lower", filter="fully_trusted")
    python = os.path.realpath(sys.executable)
    return lambda: timed(lambda: subprocess.run([python, "-I", "-S", FLOOR, directory], check=True))
