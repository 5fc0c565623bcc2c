"""``exec``: another process in a container, with the container's namespaces, group and filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import Conflict, InvalidInput
from runtime.kernel import capabilities, idmap, namespaces
from runtime.oci import document, forking, plan, process
from runtime.oci.state import Record

__all__ = ["ExecOptions", "execute", "process_of"]


@dataclass(frozen=True)
class ExecOptions:
    """What changes in the container's own ``process``. ``user`` is "UID[:GID]"."""

    argv: Sequence[str] = ()
    cwd: str = ""
    env: Sequence[str] = ()
    user: str = ""
    additional_gids: Sequence[int] = ()
    capabilities: Sequence[str] = ()
    no_new_privileges: bool = False
    tty: bool = False


def process_of(record: Record, options: ExecOptions) -> dict[str, Any]:
    """The ``process`` document that the options make. Raises InvalidInput."""
    made: dict[str, Any] = deepcopy(record.fields["config"]["process"])
    made.update(args=list(options.argv), terminal=options.tty)
    if options.cwd:
        made["cwd"] = options.cwd
    made["env"] = [*(made.get("env") or []), *options.env]
    user = made.setdefault("user", {})
    if options.user:
        uid, separator, gid = options.user.partition(":")
        if not uid.isdecimal() or (separator and not gid.isdecimal()):
            raise InvalidInput(f"--user {options.user}: must be UID[:GID], in numbers")
        user["uid"] = int(uid)
        if separator:
            user["gid"] = int(gid)
    if options.additional_gids:
        user["additionalGids"] = [*(user.get("additionalGids") or []), *options.additional_gids]
    if options.no_new_privileges:
        made["noNewPrivileges"] = True
    if options.capabilities:
        sets = made.setdefault("capabilities", {})
        for name in ("bounding", "effective", "permitted"):
            sets[name] = sorted({*(sets.get(name) or []), *options.capabilities})
    document.check_process(made)
    return made


def execute(
    record: Record,
    wanted: dict[str, Any],
    *,
    pid_file: Path | None = None,
    console_socket: Path | None = None,
    console: int = -1,
    preserve_fds: int = 0,
    warn: Callable[[str], None] = lambda text: None,
) -> int:
    """Start ``wanted`` (a ``process`` document) and return its pid: a child of ours. Raises EngineError."""
    document.check_process(wanted)
    status = record.status()
    if status not in ("running", "created"):
        raise Conflict(f"cannot exec in a {status} container", subject=record.id)
    part = plan.process_part(wanted)
    linux = record.fields["config"].get("linux") or {}
    planned = {**part, "seccomp": plan.seccomp_program(linux, wanted), "cgroup": record.cgroup}
    planned["userns"] = plan.id_maps(linux)
    if planned[
        "userns"
    ]:  # as the kernel has them: those of a namespace that was joined are not in the document
        for kind in ("uid", "gid"):
            planned["userns"][f"{kind}s"] = idmap.read_map(record.pid, f"{kind}_map")
    forking.check_console(planned["tty"], console_socket, console)
    streams = process.Streams(forking.connect_console(console_socket, console), preserve_fds)
    names = record.fields["plan"]["namespaces"]
    capabilities.last_cap()  # read from /proc now, not from the container's
    fds = namespaces.namespace_fds(record.pid, [name for name in names if name != "pid"])

    def child(sync: forking.Sync) -> None:
        process.enter_and_run(planned, sync, streams, fds)

    pidns = f"/proc/{record.pid}/ns/pid" if "pid" in names else None
    pid, sync = forking.fork_into(pidns, child)
    forking.hear(sync, warn)
    if pid_file is not None:
        forking.write_pid_file(pid_file, pid)
    return pid
