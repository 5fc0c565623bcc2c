"""A build with a context of 200 files and two RUNs; then the same again, all from the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

FILES = 200
DOCKERFILE = f"""FROM {IMAGE}
WORKDIR /app
COPY . /app
RUN ls /app > /list
RUN wc -l < /list > /count
CMD ["cat", "/count"]
"""


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    context = scratch / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    for number in range(FILES):
        (context / f"file{number}").write_bytes(bytes([number]) * 4096)

    def build(peer: Peer, *options: str) -> Callable[[], float]:
        arguments = ("build", *peer.build_options, "-q", *options, "-t", "bench-app", str(context))
        return lambda: timed(lambda: peer(*arguments))

    rows = []
    for what, options in (("nothing cached", ("--no-cache",)), ("all cached", ())):
        samplers = {name: build(peer, *options) for name, peer in peers.items()}
        figures = interleave(samplers, min(runs, 5))
        rows.append(Row(f"`build`, {FILES} files, 2 RUN, {what}", "ms", figures))
    return rows
