"""What the look for leftovers adds to commands that find none: repair, and the sweeps of images, networks and
volumes. Measured in this process, with all modules loaded.

Run as root: ``python -m bench.repair [CONTAINERS]``.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from bench import rootfs
from runtime.config import Config
from runtime.engine import Engine
from runtime.model.container import ContainerConfig

ROUNDS = 300


def measure(name: str, look: Callable[[], object]) -> None:
    look()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        look()
        times.append((time.perf_counter_ns() - began) / 1e6)
    times.sort()
    print(f"{name:34} {times[0]:7.3f} {statistics.median(times):7.3f} {times[ROUNDS * 9 // 10]:7.3f}")


def main(containers: int) -> None:
    """Prints milliseconds: least, median, 90 %."""
    from runtime.containers.reconcile import repair
    from runtime.images import sweep as images
    from runtime.network import sweep as networks
    from runtime.volumes import sweep as volumes

    with tempfile.TemporaryDirectory(prefix="td-bench-", dir="/tmp") as root:
        engine = Engine(root, config=Config())
        ctx = engine.context
        try:
            engine.images.import_(io.BytesIO(rootfs.busybox_tar()), "busybox", changes=("ENV PATH=/bin",))
            for number in range(containers):
                config = ContainerConfig(image="busybox", cmd=("sleep", "1000"), stop_timeout=0)
                engine.containers.run(config, name=f"bench-{number}")
                engine.volumes.create(f"bench-{number}")
            print(f"{f'{containers} containers and volumes':34} {'least':>7} {'median':>7} {'90 %':>7}  ms")
            measure("ps: repair", lambda: repair(ctx))
            measure("images: images.sweep", lambda: images.sweep(ctx))
            measure("network ls: network.mend", lambda: networks.mend(ctx))
            measure("volume ls: volumes.sweep", lambda: volumes.sweep(ctx))
        finally:
            engine.system.purge()
            engine.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
