"""From the call to the container's first instruction, inside a process that is warm; for the peers from the
start of their command, since they have no library in our process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Row, interleave
from bench.peers import IMAGE, Peer

__all__ = ["measure"]

SCRIPT = "echo > /bench/fifo"


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    from runtime.engine import Engine
    from runtime.model.container import ContainerConfig, Mount, MountType

    shared = scratch / "fifo"
    shared.mkdir()
    os.mkfifo(shared / "fifo")
    mount = Mount(MountType.BIND, str(shared), "/bench")
    config = ContainerConfig(
        image=IMAGE, cmd=("/bin/busybox", "sh", "-c", SCRIPT), mounts=(mount,), auto_remove=True
    )
    engine = Engine(peers["tuidock"].env["TUIDOCK_ROOT"])
    engine.warm()

    def command(peer: Peer) -> Callable[[], float]:
        options = ("-d", "--rm", "-v", f"{shared}:/bench")
        return lambda: _until_written(shared / "fifo", lambda: peer.run(*options, IMAGE, "sh", "-c", SCRIPT))

    samplers = {name: command(peer) for name, peer in peers.items() if name != "tuidock"}
    samplers["tuidock"] = lambda: _until_written(shared / "fifo", lambda: engine.containers.run(config))
    try:
        figures = interleave(samplers, runs)
    finally:
        engine.close()
    return [Row("`Engine.containers.run` to the first instruction, bridge, warm", "ms", figures)]


def _until_written(fifo: Path, start: Callable[[], object]) -> float:
    """Milliseconds until the container's shell has opened the pipe for writing."""
    arrived: list[float] = []

    def read() -> None:
        with fifo.open("rb") as pipe:
            pipe.read(1)
            arrived.append(time.perf_counter())

    reader = threading.Thread(target=read)
    reader.start()
    started = time.perf_counter()
    start()
    reader.join(30)
    if not arrived:
        raise RuntimeError("the container did not run within 30 s")
    return (arrived[0] - started) * 1000
