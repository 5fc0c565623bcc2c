"""Proportional memory (PSS, proc_pid_smaps(5)) of what stays beside each idle container, over twenty of them;
and of what is there without any. The containers' own processes do not count."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.measure import Row
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

COUNT = 20


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    each: dict[str, float] = {}
    daemons: dict[str, float] = {}
    for name, peer in peers.items():
        names = [f"idle{number}" for number in range(COUNT)]
        for container in names:
            peer.run("-d", "--name", container, IMAGE, "sleep", "1000")
        time.sleep(2)
        keepers = _keepers(peer)
        each[name] = _megabytes(keepers) / COUNT
        daemons[name] = _megabytes(peer.daemons)
        peer("rm", "-f", *names)
    rows = [Row("memory beside an idle container, PSS", "MB", each, note=f"of {COUNT}, on the bridge")]
    warm = _warm(peers["tuidock"])
    rows.append(Row("the same, started by one warm program", "MB", {"tuidock": warm}))
    rows.append(Row("memory of the daemons, PSS", "MB", daemons))
    return rows


def _warm(peer: Peer) -> float:
    from runtime.engine import Engine
    from runtime.model.container import ContainerConfig

    engine = Engine(peer.env["TUIDOCK_ROOT"])
    engine.warm()
    config = ContainerConfig(image=IMAGE, cmd=("sleep", "1000"))
    ids = [engine.containers.run(config).id for _ in range(COUNT)]
    time.sleep(2)
    figure = _megabytes(_keepers(peer)) / COUNT
    for container in ids:
        engine.containers.remove(container, force=True)
    engine.close()
    return figure


def _keepers(peer: Peer) -> list[int]:
    """The processes whose command line holds each of the peer's words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (os.getpid(), *peer.daemons):
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                name = (entry / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            starter = "--starter" in line and name != "tuidock-monitor"
            if all(word in line for word in peer.keepers) and not starter:
                found.append(int(entry.name))
    return found


def _megabytes(pids: Iterable[int]) -> float:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6
