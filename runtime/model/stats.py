"""Resource figures of one container at one moment, read from its cgroup and network namespace."""

from __future__ import annotations

from runtime.model.record import record

__all__ = ["ContainerStats"]


@record
class ContainerStats:
    """Counters, so that a reader makes rates of two samples: ``cpu_usage`` and ``time`` are nanoseconds,
    memory, network and block figures bytes. ``memory_usage`` leaves out reclaimable file cache as docker
    does; ``memory_limit`` is the machine's memory where there is no limit; ``pids_limit`` 0 is none."""

    container_id: str
    time: int
    cpu_usage: int
    online_cpus: int
    memory_usage: int
    memory_limit: int
    memory_cache: int
    pids: int
    pids_limit: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    cpu_throttled: int = 0
    oom_kills: int = 0
