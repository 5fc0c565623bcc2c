"""Proportional memory (PSS, proc_pid_smaps(5)) of what stays beside each idle container, over fifty, each
started by a command of its own, and what it is made of; and of what is there without any container. The
containers' own processes do not count."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.measure import Row
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

COUNT = 50


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    each: dict[str, float] = {}
    daemons: dict[str, float] = {}
    parts: list[Row] = []
    for name, peer in peers.items():
        names = [f"idle{number}" for number in range(COUNT)]
        for container in names:
            peer.run("-d", "--name", container, IMAGE, "sleep", "1000")
        time.sleep(2)
        keepers = _keepers(peer)
        each[name] = _megabytes(keepers) / COUNT
        if name == "tuidock":
            parts = _made_up_of(keepers)
        daemons[name] = _megabytes(peer.daemons)
        peer("rm", "-f", *names)
    rows = [Row("memory beside an idle container, PSS", "MB", each, note=f"of {COUNT}, on the bridge")]
    warm = _warm(peers["tuidock"])
    rows.append(Row("the same, started by one warm program", "MB", {"tuidock": warm}))
    rows.extend(parts)
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


def _part(name: str, private: bool) -> str:
    """The part of the figure that pages belong to: of the mapping ``name``, ``private`` or shared."""
    if not private:
        return "a share of the programs' unchanged pages"
    if name in ("", "[heap]", "[stack]"):
        return "objects and code"
    interpreter = name.startswith(("python", "libpython"))
    return "data of the interpreter" if interpreter else "data of other libraries"


def _made_up_of(pids: list[int]) -> list[Row]:
    """Our figure in its parts: each mapping's private pages, and its share of those of files."""
    totals: dict[str, float] = {}
    for pid in pids:
        name, proportional = "", 0.0
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            fields = line.split()
            if not fields[0].endswith(":"):
                name = fields[5].rpartition("/")[2] if len(fields) > 5 else ""
            elif fields[0] == "Pss:":
                proportional = float(fields[1])
            elif fields[0] == "Anonymous:":
                for private, size in ((True, float(fields[1])), (False, proportional - float(fields[1]))):
                    part = _part(name, private)
                    totals[part] = totals.get(part, 0.0) + size * 1024
    return [Row(f"of it, {part}", "MB", {"tuidock": size / len(pids) / 1e6}) for part, size in totals.items()]


def _megabytes(pids: Iterable[int]) -> float:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6
