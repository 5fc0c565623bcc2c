"""Control groups: one interface, two backends, for the version that the machine has.

:func:`detect` gives the backend: pure v2 when /sys/fs/cgroup is a cgroup2 mount, else v1 (legacy and hybrid).
A group is named by a path such as ``/tuidock/ab12cd/<container id>``, below the root of every hierarchy.
Both backends have:

``version``, ``controllers()``
    1 or 2; the names of what can be limited and counted: cpu, memory, pids, cpuset, blkio, devices, freezer.
``create(path, resources, devices) -> warnings``
    Makes the group and its parents. ``resources`` is the OCI's ``linux.resources``; a limit that this machine
    cannot apply is a warning in words, a wrong value raises. ``devices`` are OCI rules, in order, after a
    deny-all; None leaves devices alone.
``update(path, resources) -> warnings``
    The limits given, others stay.
``enter(path)``, ``attach(path, pid)``
    Moves the calling process, which must have one thread; moves another one.
``entrances(path) -> descriptors``
    Open files of the group: whoever writes "0" to each of them moves. For a process with one thread that does
    not load this package.
``stats(path) -> dict``
    Integers: cpu_usage and cpu_throttled (ns), memory_usage (without reclaimable file cache, as docker),
    memory_cache, memory_limit (0: none), pids, pids_limit (0: none), block_read, block_write (bytes),
    oom_kills. Raises SyscallError when there is no such group.
``oom_kills(path)``, ``pids(path)``, ``children(path)``, ``exists(path)``
    The counter alone; every process in the group and below it; names of the groups right below it.
``freeze(path)``, ``thaw(path)``, ``frozen(path)``
    Freezing waits until all have stopped, a second at most.
``kill(path)``
    SIGKILL to all in it and below it, frozen or not, and waits until it is empty, five seconds at most.
``remove(path)``, ``remove_empty_parents(path)``
    The group and those below it; missing is fine. The groups above it, as long as they are empty.

Errors are SyscallError. Never more than our own groups is touched; systemd is never asked.
"""

from __future__ import annotations

from runtime.cgroups.detect import detect

__all__ = ["detect"]
