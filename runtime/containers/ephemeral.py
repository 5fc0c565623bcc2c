"""A container for one build step: on given layers, its writes kept as an overlayfs directory."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.containers import create
from runtime.containers.control import turn
from runtime.containers.remove import erase
from runtime.containers.session import AttachSession, Session
from runtime.containers.start import start_container
from runtime.context import Context
from runtime.errors import Cancelled
from runtime.model.container import Container, ContainerConfig, Mount, Resources
from runtime.model.event import CancelEvent
from runtime.store import containers as store

__all__ = ["run_ephemeral"]


def run_ephemeral(
    ctx: Context,
    *,
    layers: Sequence[str],
    argv: Sequence[str],
    upperdir_to: Path,
    env: Sequence[str] = (),
    secret_env: Sequence[str] = (),
    working_dir: str = "/",
    user: str = "",
    network: str = "bridge",
    mounts: Sequence[Mount] = (),
    hostname: str = "buildkitsandbox",
    extra_hosts: Sequence[str] = (),
    shm_size: int = 64 << 20,
    resources: Resources | None = None,
    ulimits: Sequence[str] = (),
    cgroup_parent: str = "",
    interact: Callable[[Session], object] | None = None,
    on_output: Callable[[int, bytes], None] | None = None,
    cancel: CancelEvent | None = None,
) -> int:
    """The exit code. ``upperdir_to`` must not exist and lie on the file system of the state directory; it is
    made also when the command failed. Raises CommandNotFound, CommandNotRunnable, Cancelled.

    With ``interact`` the process has a terminal, which that function gets; when it returns, it ends.

    ``secret_env`` goes to the process alone and is written nowhere. The container is a row like any other,
    hidden; it names us as its owner, so that whoever finds us dead removes it.
    """
    config = ContainerConfig(
        image="",
        cmd=tuple(argv),
        env=tuple(env),
        working_dir=working_dir,
        user=user,
        hostname=hostname,
        network_mode=network,
        mounts=tuple(mounts),
        extra_hosts=tuple(extra_hosts),
        shm_size=shm_size,
        resources=resources or Resources(),
        ulimits=tuple(ulimits),
        cgroup_parent=cgroup_parent,
        tty=interact is not None,
        open_stdin=interact is not None,
        log_options={"driver": "none"},
        internal=True,
    )
    owners: list[int] = []

    def own(directory: Path) -> None:
        owners.append(os.open(directory / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        fcntl.flock(owners[0], fcntl.LOCK_EX)

    container = create.insert(ctx, config, image_id="", layers=tuple(layers), prepare=own)
    directory = ctx.paths.container(container.id)
    try:
        with turn(ctx, container.id):
            session = start_container(
                ctx, container, attach=True, attach_stdin=interact is not None, secret_env=secret_env
            )
        assert session is not None
        if interact is not None:
            interact(session)
            session.detach()
            return 0
        code = _follow(ctx, container, session, on_output, cancel)
        _until_idle(ctx, container.id)
        (directory / "upper").rename(upperdir_to)
        return code
    finally:
        current = store.get(ctx.db, container.id)
        if current is not None:
            if current.state.status.alive:
                from runtime.containers.remove import remove

                remove(ctx, container.id, force=True, volumes=True)
            else:
                _until_idle(ctx, container.id)
                erase(ctx, current, volumes=True)
        os.close(owners[0])


def _follow(
    ctx: Context,
    container: Container,
    session: AttachSession,
    on_output: Callable[[int, bytes], None] | None,
    cancel: CancelEvent | None,
) -> int:
    while True:
        if cancel is not None and cancel.is_set():
            from runtime.containers.kill import kill

            session.detach()
            kill(ctx, container.id)
            raise Cancelled("the build was cancelled")
        if cancel is not None and not session.buffered and not select.select([session], [], [], 0.2)[0]:
            continue
        chunk = session.read()
        if chunk is None:
            break
        if on_output is not None:
            on_output(*chunk)
    code = session.wait()
    session.detach()
    return code


def _until_idle(ctx: Context, container_id: str) -> None:
    """The monitor lets go of the lock just after it told the exit code."""
    from runtime.containers.control import monitor_pid

    deadline = time.monotonic() + 10
    while monitor_pid(ctx, container_id) and time.monotonic() < deadline:
        time.sleep(0.002)
