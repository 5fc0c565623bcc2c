"""exec: another process in a running container."""

from __future__ import annotations

import _socket
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from runtime.containers import seccomp
from runtime.containers.capability_names import capability_names
from runtime.containers.control import check_running, connect, read_reply, send, start_error
from runtime.containers.session import ExecSession
from runtime.context import Context
from runtime.errors import CommandNotRunnable, Conflict, InvalidInput
from runtime.kernel import capabilities
from runtime.model.container import Container, ContainerStatus
from runtime.monitor import wire
from runtime.store import containers as store

__all__ = ["exec_"]


def exec_(
    ctx: Context,
    reference: str,
    argv: Sequence[str],
    *,
    tty: bool = False,
    stdin: bool = False,
    detach: bool = False,
    env: Iterable[str] = (),
    user: str = "",
    working_dir: str = "",
    privileged: bool = False,
) -> ExecSession | None:
    """None when ``detach``. The terminal's master, or the pipes, are the session's own: nothing is relayed.

    Raises NotFound, Conflict (not running, paused), InvalidInput, CommandNotFound, CommandNotRunnable.
    """
    container = store.find(ctx.db, reference)
    if container.state.status is ContainerStatus.PAUSED:
        raise Conflict(
            f"container {container.name} is paused, unpause the container before exec",
            hint=f"tuidock unpause {container.name}",
            subject=container.name,
        )
    check_running(container)
    if not argv:
        raise InvalidInput("exec needs a command to run")
    if working_dir and not working_dir.startswith("/"):
        raise CommandNotRunnable(
            f"the working directory {working_dir!r} must be an absolute path",
            hint=f"write -w /{working_dir}",
            subject=working_dir,
        )
    document = json.loads((ctx.paths.container(container.id) / "config.json").read_text())
    process = document["process"]
    config = replace(container.config, privileged=True) if privileged else container.config
    names = capability_names(config)
    extra = tuple(env)
    given = {item.partition("=")[0] for item in extra}
    merged = [item for item in process["env"] if item.partition("=")[0] not in given]
    if tty and "TERM" not in given and not any(item.startswith("TERM=") for item in merged):
        merged.append("TERM=xterm")
    mask = capabilities.mask_of(names)
    request = {
        "op": "exec",
        "argv": list(argv),
        "env": [*merged, *(item for item in extra if "=" in item)],
        "user": user or process["user"]["username"],
        "groups": list(process["user"]["additionalGroups"]),
        "cwd": working_dir or process["cwd"],
        "tty": tty and not detach,
        "window": (0, 0),
        "caps": {"bounding": mask, "effective": mask, "permitted": mask, "inheritable": 0, "ambient": 0},
        "seccomp": seccomp.program_for(ctx, config, names),
        "apparmor": "" if privileged else process.get("apparmorProfile", ""),
        "exec_id": os.urandom(32).hex(),
    }
    sock = connect(ctx, container)
    _tell(ctx, container, " ".join(argv), str(request["exec_id"]))
    return _converse(sock, request, stdin=stdin, detach=detach)


def _tell(ctx: Context, container: Container, command: str, exec_id: str) -> None:
    """docker's two events, before anything runs, so that the monitor's exec_die comes after them."""
    attributes = {"name": container.name, "image": container.config.image, "execID": exec_id}
    with ctx.db.write(lasting=False) as tx:
        for action in ("exec_create", "exec_start"):
            tx.event("container", f"{action}: {command}", container.id, **attributes)


def _converse(
    sock: _socket.socket, request: dict[str, object], *, stdin: bool, detach: bool
) -> ExecSession | None:
    buffer = wire.FrameBuffer()
    theirs: list[int] = []
    ours = [-1, -1, -1]
    if not request["tty"]:
        theirs, ours = _pipes(stdin and not detach, detach)
    try:
        send(sock, request, theirs)
    finally:
        for fd in theirs:
            os.close(fd)
    try:
        reply = read_reply(sock, buffer)
        if "error" in reply:
            raise start_error(int(reply["code"]), str(reply["error"]))
    except BaseException:
        for fd in ours:
            if fd >= 0:
                os.close(fd)
        sock.close()
        raise
    if detach:
        sock.close()
        return None
    if request["tty"]:
        return ExecSession(sock, buffer, master=buffer.take_fds()[0])
    return ExecSession(sock, buffer, stdin=ours[0], outputs={ours[1]: 1, ours[2]: 2})


def _pipes(stdin: bool, detach: bool) -> tuple[list[int], list[int]]:
    """(the process's ends, ours); the null device where nothing is read or kept."""
    flags = os.O_CLOEXEC
    if detach:
        return [os.open(os.devnull, os.O_RDWR | flags) for _ in range(3)], [-1, -1, -1]
    out, err = os.pipe2(flags), os.pipe2(flags)
    if stdin:
        source, sink = os.pipe2(flags)
    else:
        source, sink = os.open(os.devnull, os.O_RDONLY | flags), -1
    return [source, out[1], err[1]], [sink, out[0], err[0]]
