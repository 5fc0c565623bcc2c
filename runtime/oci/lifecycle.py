"""The verbs of the runtime-spec (runtime.md, "Operations" and "Lifecycle"), and pause, resume, update.

``create`` forks the container's process and leaves: the process waits at a FIFO and belongs to whoever is the
caller's subreaper. ``start`` lets it go on and hears, until it has become the program, whether it could.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime import cgroups
from runtime.errors import Conflict, EngineError, Failed, Unavailable
from runtime.kernel import capabilities, pidfd, syscalls
from runtime.oci import document, forking, hooks, plan, process, state
from runtime.oci.state import Record

__all__ = ["Forwarding", "create", "delete", "kill", "pause", "resume", "start", "update", "wait"]

Warn = Callable[[str], None]
_END_SECONDS = 10.0


def create(
    root: Path,
    container_id: str,
    bundle: Path,
    *,
    pid_file: Path | None = None,
    console_socket: Path | None = None,
    console: int = -1,
    preserve_fds: int = 0,
    warn: Warn = lambda text: None,
) -> Record:
    """The container's process exists and waits. On failure nothing is left; what a killed ``create`` leaves
    is found by :func:`settle`. ``console`` is a connected socket in ``console_socket``'s place. Raises
    EngineError."""
    bundle = bundle.absolute()
    config = document.load(bundle)
    planned = plan.make_plan(config, bundle, container_id)
    forking.check_console(planned["tty"], console_socket, console)
    shown = {key: value for key, value in planned.items() if key in ("cgroup", "rootfs", "namespaces")}
    fields = {
        "creating": True, "pid": 0, "start_time": 0, "bundle": str(bundle), "config": config, "plan": shown,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip
    settle(root, container_id, warn)
    with state.reserved(root, container_id, fields) as (record, lock):
        try:
            _make_group(record, planned, warn)
            streams = process.Streams(forking.connect_console(console_socket, console), preserve_fds)
            _fork_and_hear(record, planned, streams, lock, warn)
            if pid_file is not None:
                forking.write_pid_file(pid_file, record.pid)
            del record.fields["creating"]
            record.save()
        except BaseException as error:
            _take_away(record, warn)
            if isinstance(error, OSError):
                raise Failed(str(error)) from error
            raise
    return record


def settle(root: Path, container_id: str, warn: Warn = lambda text: None) -> None:
    """Take away what a ``create`` that was killed has left: a record that says ``creating``, or none yet, in
    a directory that nobody has locked. Every verb does this first for the container that it is about."""
    with state.unowned(root, container_id) as record:
        if record is None:
            return
        try:
            if record.fields:
                _take_away(record, warn)
            else:
                record.remove_unsaved()
        except OSError as error:
            warn(f"container {container_id} was half created and cannot be taken away: {error}")


def find(root: Path, container_id: str, warn: Warn = lambda text: None) -> Record:
    """What a verb works on. Raises NotFound."""
    state.check_id(container_id)
    settle(root, container_id, warn)
    return state.open_record(root, container_id)


def find_all(root: Path, warn: Warn = lambda text: None) -> list[Record]:
    """All containers of a root, by id."""
    for name in state.names(root):
        settle(root, name, warn)
    return state.containers(root)


def _make_group(record: Record, planned: dict[str, Any], warn: Warn) -> None:
    backend = cgroups.detect()
    if backend.pids(planned["cgroup"]):
        raise Conflict(f"container's cgroup is not empty: {planned['cgroup']}")
    record.fields["plan"]["cgroup_made"] = True
    record.save()
    for warning in backend.create(planned["cgroup"], planned["resources"], planned["device_rules"]):
        warn(warning)


def _fork_and_hear(
    record: Record, planned: dict[str, Any], streams: process.Streams, lock: int, warn: Warn
) -> None:
    waiting = _waiting_place(record.directory)
    capabilities.last_cap()  # read from /proc now, not from the container's
    base = record.document("creating", 0)
    pidns = forking.pid_namespace(planned["namespaces"], planned["join"])

    founded = _found(planned)

    def child(sync: forking.Sync) -> None:
        os.close(lock)  # or it would be held for as long as the process waits (flock(2))
        process.set_up_and_wait(planned, sync, streams, waiting, base, founded)

    pid, sync = forking.fork_into(pidns, child)
    for fd in (*waiting, streams.console, *founded.values()):
        if fd >= 0:
            os.close(fd)
    record.fields.update(pid=pid, start_time=pidfd.start_time(pid))
    record.save()

    def run_hooks() -> None:
        for point in ("prestart", "createRuntime"):
            hooks.run(planned["hooks"], point, record.document("creating"))

    forking.hear(sync, warn, run_hooks)


def _found(planned: dict[str, Any]) -> dict[str, int]:
    """The user namespace and what belongs to it; nothing without one."""
    if planned["userns"] is None:
        return {}
    from runtime.kernel import idmap
    from runtime.monitor import userns

    founded = userns.found(planned, -1, -1)
    for item in planned["mounts"]:
        if item["extra"].get("idmap"):
            item["extra"]["idmap"] = founded["user"]
        item["data"] = userns.host_owners(planned, item["data"])
        if item["type"] == "devpts":
            item["data"] = idmap.owners_for_devpts(item["data"])
    uids, gids = planned["userns"]["uids"], planned["userns"]["gids"]
    planned["device_owners"] = [
        (path, idmap.to_host(uids, uid), idmap.to_host(gids, gid))
        for path, uid, gid in planned["device_owners"]
    ]
    return founded


def _waiting_place(directory: Path) -> tuple[int, int]:
    """The two FIFOs of :mod:`runtime.oci.state`: (start to read from, outcome to write to)."""
    for name in ("start", "outcome"):
        os.mkfifo(directory / name, 0o600)
    # Open for both: a FIFO without a writer would be at its end at once (fifo(7)).
    start_fd = os.open(directory / "start", os.O_RDWR | os.O_CLOEXEC)
    both = os.open(directory / "outcome", os.O_RDWR | os.O_CLOEXEC)  # so that the next one does not block
    outcome_fd = os.open(directory / "outcome", os.O_WRONLY | os.O_CLOEXEC)
    os.close(both)
    return start_fd, outcome_fd


def start(record: Record) -> None:
    """The program runs. Raises Conflict in another state than created; Failed when it cannot be executed."""
    with record.locked():
        status = record.status()
        if status != "created":
            raise Conflict(f"cannot start a container that is {status}", subject=record.id)
        outcome = os.open(record.directory / "outcome", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            go = os.open(record.directory / "start", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(go, b"G")
            os.close(go)
            (record.directory / "start").unlink()
            os.set_blocking(outcome, True)
            said = b""
            while piece := os.read(outcome, 4096):
                said += piece
        except OSError as error:
            raise Failed(f"container {record.id}: its process is gone") from error
        finally:
            os.close(outcome)
        if said:
            raise Failed(said.decode(errors="replace"))
        try:
            hooks.run(record.fields["config"].get("hooks") or {}, "poststart", record.document("running"))
        except EngineError:
            _kill_all(record)
            raise


def kill(record: Record, number: int, *, everything: bool = False) -> None:
    """Raises Conflict when it has stopped (unless ``everything``)."""
    backend = cgroups.detect()
    if everything:
        for pid in backend.pids(record.cgroup):
            _signal(pid, number)
    else:
        if not record.alive():
            raise Conflict("container not running", subject=record.id)
        _signal(record.pid, number)
    if number == signal.SIGKILL and backend.frozen(record.cgroup):
        backend.thaw(record.cgroup)


def _signal(pid: int, number: int) -> None:
    try:
        fd = pidfd.open_pidfd(pid)
    except ProcessLookupError:
        return
    try:
        pidfd.send(fd, number)
    except syscalls.SyscallError as error:
        if error.errno != 3:  # ESRCH
            raise
    finally:
        os.close(fd)


def _kill_all(record: Record) -> None:
    if record.fields["plan"].get("cgroup_made"):
        cgroups.detect().kill(record.cgroup)
    if record.alive():
        _signal(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_SECONDS
    while record.alive() and time.monotonic() < deadline:
        time.sleep(0.002)


def delete(record: Record, *, force: bool = False, warn: Warn = lambda text: None) -> None:
    """Raises Conflict for a container that is running or paused, unless ``force``."""
    with record.locked():
        status = record.status()
        if status in ("running", "paused", "creating") and not force:
            raise Conflict(f"cannot delete container {record.id} that is not stopped: {status}")
        _take_away(record, warn)


def _take_away(record: Record, warn: Warn) -> None:
    _kill_all(record)
    if record.fields["plan"].get("cgroup_made"):
        backend = cgroups.detect()
        backend.remove(record.cgroup)
        if record.cgroup.startswith("/tuidock/oci/"):
            backend.remove_empty_parents(record.cgroup)
    if record.pid:
        try:
            hooks.run(record.fields["config"].get("hooks") or {}, "poststop", record.document("stopped"))
        except EngineError as error:
            warn(error.message)  # runtime.md: the lifecycle goes on
    record.remove()


def pause(record: Record) -> None:
    """Raises Conflict unless it is running or created."""
    status = record.status()
    if status not in ("running", "created"):
        raise Conflict(f"container not running or created: {status}")
    cgroups.detect().freeze(record.cgroup)


def resume(record: Record) -> None:
    """Raises Conflict unless it is paused."""
    if record.status() != "paused":
        raise Conflict("container not paused")
    cgroups.detect().thaw(record.cgroup)


def update(record: Record, resources: dict[str, Any]) -> None:
    """``resources`` as ``linux.resources``; what is not in it stays. Raises InvalidInput, Unavailable."""
    document.check_resources(resources)
    warnings = cgroups.detect().update(record.cgroup, resources)
    if warnings:
        raise Unavailable("; ".join(warnings))


class Forwarding:
    """Passes the signals that this process gets on to another. Made before that one is seen to run, so that
    none is missed: what comes before :meth:`to` is kept until then."""

    _SIGNALS = (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    )

    def __init__(self) -> None:
        self._pid = 0
        self._kept: list[int] = []
        for number in self._SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: object) -> None:
        if self._pid:
            _signal(self._pid, number)
        else:
            self._kept.append(number)

    def to(self, pid: int) -> None:
        """From now on to ``pid``."""
        self._pid = pid
        while self._kept:
            _signal(pid, self._kept.pop(0))


def wait(pid: int, serve: Callable[[], None] | None = None) -> int:
    """Our own child's exit code. ``serve`` copies its terminal until that ends."""
    if serve is not None:
        serve()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
