"""A context of 60,000 files and 2 GB, built again with everything cached: what remains is looking at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

FILES = 60_000
PER_DIRECTORY = 200
SIZE = 36_000
DOCKERFILE = f"FROM {IMAGE}\nCOPY . /context\n"


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    context = scratch / "large"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    block = os.urandom(SIZE)
    for number in range(FILES):
        directory = context / f"d{number // PER_DIRECTORY}"
        directory.mkdir(exist_ok=True)
        # Each file its own content: nothing is to be won by seeing one twice.
        (directory / f"f{number}").write_bytes(b"%08d" % number + block)

    def build(peer: Peer) -> Callable[[], float]:
        made = peer
        if peer.name == "docker":
            # BuildKit, which sends only what has changed, is the one to beat: Debian's client has it.
            debian = Path("/usr/bin/docker")
            command = (str(debian),) if debian.exists() else peer.command
            made = replace(peer, command=command, env={**peer.env, "DOCKER_BUILDKIT": "1"})
        arguments = ("build", *peer.build_options, "-q", "-t", "bench-large", str(context))
        return lambda: timed(lambda: made(*arguments))

    figures = interleave({name: build(peer) for name, peer in peers.items()}, min(runs, 5))
    return [Row(f"`build`, {FILES:,} files, 2 GB, all cached", "ms", figures)]
