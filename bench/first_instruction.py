"""From the call to the container's first instruction, inside a process that is warm; for the peers from the
start of their command, since they have no library in our process."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Row, interleave
from bench.peers import IMAGE, Peer

__all__ = ["measure"]


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    from runtime.engine import Engine
    from runtime.model.container import ContainerConfig, Mount, MountType

    shared = scratch / "pipes"
    shared.mkdir()
    numbers = itertools.count()
    mount = Mount(MountType.BIND, str(shared), "/bench")
    engine = Engine(peers["tuidock"].env["TUIDOCK_ROOT"])
    engine.warm()

    def ours(script: str) -> None:
        config = ContainerConfig(image=IMAGE, cmd=("sh", "-c", script), mounts=(mount,), auto_remove=True)
        engine.containers.run(config)

    def theirs(peer: Peer) -> Callable[[str], object]:
        return lambda script: peer.run("-d", "--rm", "-v", f"{shared}:/bench", IMAGE, "sh", "-c", script)

    starters: dict[str, Callable[[str], object]] = {
        name: ours if name == "tuidock" else theirs(peer) for name, peer in peers.items()
    }

    def sampler(start: Callable[[str], object]) -> Callable[[], float]:
        return lambda: _until_written(shared / f"pipe{next(numbers)}", start)

    try:
        figures = interleave({name: sampler(start) for name, start in starters.items()}, runs)
    finally:
        engine.close()
    return [Row("`Engine.containers.run` to the first instruction, bridge, warm", "ms", figures)]


def _until_written(pipe: Path, start: Callable[[str], object]) -> float:
    """Milliseconds until the container's shell has written to a pipe of its own."""
    os.mkfifo(pipe)
    arrived: list[float] = []

    def read() -> None:
        with pipe.open("rb", buffering=0) as file:
            if file.read(1):
                arrived.append(time.perf_counter())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    started = time.perf_counter()
    start(f"echo > /bench/{pipe.name}")
    reader.join(30)
    if not arrived:
        raise RuntimeError("the container did not write within 30 s")
    return (arrived[0] - started) * 1000
