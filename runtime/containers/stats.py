"""stats: one sample of the cgroup's counters and the link's, a handful of small reads a container."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from runtime import cgroups
from runtime.containers.cgroup_path import cgroup_path
from runtime.context import Context
from runtime.model.container import Container, ContainerStatus
from runtime.model.stats import ContainerStats
from runtime.store import containers as store

__all__ = ["stats"]


@cache
def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def _processors() -> int:
    return os.cpu_count() or 1


def stats(ctx: Context, references: Iterable[str] | None = None) -> list[ContainerStats]:
    """Of those that run; a container that ends meanwhile is left out. Raises NotFound for a wrong name."""
    if references is None:
        containers = store.all_containers(ctx.db, alive_only=True)
    else:
        containers = [store.find(ctx.db, reference) for reference in references]
    out = []
    for container in containers:
        if container.state.status in (ContainerStatus.RUNNING, ContainerStatus.PAUSED):
            sample = _sample(ctx, container)
            if sample is not None:
                out.append(sample)
    return out


def _sample(ctx: Context, container: Container) -> ContainerStats | None:
    try:
        figures = cgroups.detect().stats(cgroup_path(ctx, container.id, container.config))
    except OSError:
        return None
    received = transmitted = 0
    for endpoint in container.endpoints:
        base = f"/sys/class/net/{endpoint.host_interface}/statistics"
        try:
            # The host's end of the pair sees it the other way round.
            transmitted += int(Path(f"{base}/rx_bytes").read_bytes())
            received += int(Path(f"{base}/tx_bytes").read_bytes())
        except (OSError, ValueError):
            continue
    return ContainerStats(
        container_id=container.id,
        time=time.time_ns(),
        cpu_usage=figures["cpu_usage"],
        online_cpus=_processors(),
        memory_usage=figures["memory_usage"],
        memory_limit=figures["memory_limit"] or _machine_memory(),
        memory_cache=figures["memory_cache"],
        pids=figures["pids"],
        pids_limit=figures["pids_limit"],
        network_rx=received,
        network_tx=transmitted,
        block_read=figures["block_read"],
        block_write=figures["block_write"],
        cpu_throttled=figures["cpu_throttled"],
        oom_kills=figures["oom_kills"],
    )
