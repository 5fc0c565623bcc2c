"""``exec NAME true`` in a container that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.measure import Row, interleave, timed
from bench.peers import IMAGE, Peer

__all__ = ["measure"]


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    for peer in peers.values():
        peer.run("-d", "--name", "target", "--network", "none", IMAGE, "sleep", "1000")
    try:
        samplers = {
            name: lambda peer=peer: timed(lambda: peer("exec", "target", "true"))
            for name, peer in peers.items()
        }
        figures = interleave(samplers, runs)
    finally:
        for peer in peers.values():
            peer("rm", "-f", "target")
    return [Row("`exec` of `true`", "ms", figures, note="whole command")]
