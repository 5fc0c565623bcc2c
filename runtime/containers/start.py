"""start: from a row and a directory to a running process."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.containers import apparmor, seccomp, spec
from runtime.containers import plan as plans
from runtime.containers.cgroup_path import cgroup_path
from runtime.containers.control import monitor_pid, turn
from runtime.containers.launch import Launch, compress_command, settle_command
from runtime.containers.session import AttachSession, Session
from runtime.context import Context
from runtime.errors import Conflict, EngineError, NotFound
from runtime.kernel.tree import remove_tree
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Endpoint,
    HealthCheck,
    Mount,
    MountType,
)
from runtime.model.volume import Filesystem, ImageTree
from runtime.store import containers as store
from runtime.store.database import Transaction

__all__ = ["start", "start_container"]


def start(
    ctx: Context, reference: str, *, attach: bool = False, attach_stdin: bool = False
) -> Session | None:
    """One that runs is left alone. Raises Conflict, CommandNotFound, CommandNotRunnable, Failed."""
    container = store.find(ctx.db, reference)
    with turn(ctx, container.id):
        container = store.find(ctx.db, container.id)
        if monitor_pid(ctx, container.id):
            if container.state.status is ContainerStatus.PAUSED:
                raise Conflict(
                    f"cannot start a paused container, try unpause instead: {container.name}",
                    hint=f"tuidock unpause {container.name}",
                    subject=container.name,
                )
            if container.state.status.alive:
                if attach:
                    from runtime.containers.attach import attach as attach_to

                    return attach_to(ctx, container.id, stdin=attach_stdin)
                return None
            _wait_for_monitor(ctx, container)
        elif container.state.status.alive:
            from runtime.containers.reconcile import settle

            settle(ctx, container)
        return start_container(ctx, container, attach=attach, attach_stdin=attach_stdin)


def _wait_for_monitor(ctx: Context, container: Container) -> None:
    """Its last run is over in the database; the monitor is about to end."""
    deadline = time.monotonic() + 10
    while monitor_pid(ctx, container.id):
        if time.monotonic() > deadline:
            raise Conflict(f"container {container.name} is still ending", subject=container.name)
        time.sleep(0.005)


def start_container(
    ctx: Context,
    container: Container,
    *,
    attach: bool,
    attach_stdin: bool,
    secret_env: Sequence[str] = (),
) -> AttachSession | None:
    """The start itself; the caller holds the container's turn and knows that nothing runs. ``secret_env`` is
    added to the environment and not kept."""
    config = container.config
    plan = make_plan(ctx, container)
    plan["env"] += secret_env
    plan["attach"], plan["attach_stdin"] = attach, attach_stdin and config.open_stdin
    # A trace of this start for whoever finds us dead (reconcile.repair), before anything can be left over.
    ctx.paths.container_run(container.id).mkdir(mode=0o700, exist_ok=True)
    launch: Launch | None = None
    try:
        places = _allocate(ctx, container, plan) if config.networks else []
        launch = Launch(plan)
        if places:
            from runtime.network import endpoints

            netns = launch.network_namespace()
            try:
                endpoints.connect(ctx, container.id, places, netns)
                if plan["ports"]:
                    endpoints.publish(ctx, container.id)
            finally:
                os.close(netns)
        launch.ready()
        _running(ctx, container, launch, attach)
        launch.go()
    except BaseException as error:
        if launch is not None:
            launch.abandon()
        _failed(ctx, container, error)
        raise
    if attach:
        return AttachSession(launch.sock, config.tty, launch.buffer)
    launch.sock.close()
    return None


def _running(ctx: Context, container: Container, launch: Launch, attach: bool) -> None:
    state = ContainerState(
        status=ContainerStatus.RUNNING,
        pid=launch.pid,
        started_at=time.time_ns(),
        finished_at=container.state.finished_at,
        warnings=(*apparmor.warnings(container.config), *launch.warnings),
    )
    if container.config.healthcheck and container.config.healthcheck.test[:1] != ("NONE",):
        from runtime.model.container import HealthState

        state = replace(state, health=HealthState("starting"))
    with ctx.db.write(lasting=False) as tx:
        store.set_state(tx, container.id, state)
        if not container.config.internal:
            known = {"name": container.name, "image": container.config.image}
            if attach:
                tx.event("container", "attach", container.id, **known)
            for network_id, name, driver in (launch.nowhere,) if launch.nowhere else ():
                tx.event("network", "connect", network_id, container=container.id, name=name, type=driver)
            for mount in container.config.mounts:
                if mount.type is MountType.VOLUME:
                    _mounted(tx, container.id, mount)
            tx.event("container", "start", container.id, **known)


def _mounted(tx: Transaction, container_id: str, mount: Mount) -> None:
    """docker's event of a volume that a container begins to use; the monitor tells of its end."""
    attributes = {
        "container": container_id,
        "destination": mount.target,
        "driver": "local",
        "propagation": "",
        "read/write": "false" if mount.read_only else "true",
    }
    tx.event("volume", "mount", mount.source, **attributes)


def _failed(ctx: Context, container: Container, error: BaseException) -> None:
    """Addresses, ports, rules and a cgroup that a killed monitor left go back; the status says why. The
    trace of the start goes last: where the database cannot be written it stays, for reconcile to find."""
    from runtime.containers.reconcile import end_group

    try:
        end_group(ctx, container.id)
        had_ports = _give_up(ctx, container, error)
    except (OSError, EngineError, sqlite3.Error) as failure:
        error.add_note(f"not all could be undone: {failure}")
        return
    if had_ports:
        from runtime.network import endpoints

        with suppress(Exception):  # the cause is on its way; reconcile mends the rules
            endpoints.unpublish(ctx, container.id)
    remove_tree(str(ctx.paths.container_run(container.id)))


def _give_up(ctx: Context, container: Container, error: BaseException) -> bool:
    """The rows of a start that failed. Had it ports?"""
    from runtime.network import endpoints

    code = error.exit_code if isinstance(error, EngineError) else 128
    with ctx.db.write() as tx:
        current = store.get(tx, container.id)
        if current is None:
            return False
        endpoints.release(tx, ctx, container.id)
        before = container.state.status
        state = replace(
            container.state,
            status=before if before is ContainerStatus.CREATED else ContainerStatus.EXITED,
            pid=0,
            exit_code=code,
            error=str(error),
        )
        store.set_state(tx, container.id, state)
    return bool(current.ports)


def _allocate(ctx: Context, container: Container, plan: dict[str, Any]) -> list[Endpoint]:
    """Addresses and ports, in the database; then the files that name them."""
    from runtime.network import endpoints, resolv
    from runtime.network.stub import resolver_command

    config = container.config
    with ctx.db.write(lasting=False) as tx:
        endpoints.release(tx, ctx, container.id)
        found = endpoints.allocate(
            tx, ctx, container.id, config.networks, container_name=container.name, short_id=container.short_id
        )
        ports = endpoints.allocate_ports(tx, ctx, container.id, config.ports, found) if config.ports else []
    plan["connect"] = True
    if endpoints.has_names(found):
        upstreams = endpoints.upstreams(ctx, config, found)
        plan["names"] = resolver_command(str(ctx.paths.state), container.id, upstreams)
        contents = resolv.resolv_conf(config, ctx.config, embedded=True)
        (ctx.paths.container(container.id) / "resolv.conf").write_text(contents)
    plan["ports"] = [(port.host_ip, port.host_port, port.protocol) for port in ports]
    directory = ctx.paths.container(container.id)
    (directory / "hosts").write_text(
        resolv.hosts_file(
            config.hostname, config.domainname, found, (*config.extra_hosts, *_linked(ctx, config, found))
        )
    )
    return found


def _linked(ctx: Context, config: ContainerConfig, endpoints: list[Endpoint]) -> list[str]:
    """ "NAME:ADDRESS" of the containers that ``--link`` names.

    Raises Conflict unless they run on a common network."""
    networks = {endpoint.network_id for endpoint in endpoints}
    found: list[str] = []
    for text in config.links:
        reference, _, alias = text.partition(":")
        other = store.find(ctx.db, reference)
        address = next((e.ipv4_address for e in other.endpoints if e.network_id in networks), None)
        if not other.state.status.alive or address is None:
            why = "it shares no network" if other.state.status.alive else "it is not running"
            raise Conflict(f"cannot link to {other.name} as {alias}: {why}", subject=other.name)
        found += [f"{name}:{address}" for name in dict.fromkeys((alias, other.name, other.short_id))]
    return found


def make_plan(ctx: Context, container: Container) -> dict[str, Any]:
    """The OCI document (kept as ``config.json``) and what the monitor needs beside it."""
    from runtime.images.layer_index import layer_path

    config = container.config
    directory = ctx.paths.container(container.id)
    sources = _mount_sources(ctx, container)
    document = spec.make_spec(
        config,
        container_id=container.id,
        rootfs=str(directory / "rootfs"),
        cgroups_path=cgroup_path(ctx, container.id, config),
        mount_sources=sources,
        files=_etc_files(ctx, container),
        joins=_joins(ctx, config),
    )
    (directory / "config.json").write_text(json.dumps(document))
    program = seccomp.program_for(ctx, config, document["process"]["capabilities"]["bounding"])
    anonymous = [
        mount.source
        for mount in config.mounts
        if mount.type is MountType.VOLUME
        and len(mount.source) == 64
        and set(mount.source) <= set("0123456789abcdef")
    ]
    process = plans.process_plan(document, program)
    if process["userns"]:
        process["userns"]["directories"] = [str(ctx.paths.layers), str(directory)]
    return {
        **process,
        "id": container.id,
        "name": container.name,
        "root_state": str(ctx.paths.state),
        "db": str(ctx.paths.database),
        "dir": str(directory),
        "run": str(ctx.paths.container_run(container.id)),
        "rootfs": str(directory / "rootfs"),
        "lowerdirs": [str(layer_path(ctx, diff_id)) for diff_id in reversed(container.layers)],
        "upperdir": str(directory / "upper"),
        "workdir": str(directory / "work"),
        "monitor_cgroup": f"{ctx.cgroup_parent}/monitors",
        "stdin": config.open_stdin,
        "stdin_once": config.stdin_once,
        "init": config.init,
        "window": (0, 0),
        "attach": False,
        "attach_stdin": False,
        "connect": False,
        "ports": [],
        "names": [],
        "nowhere": _nowhere(ctx, config),
        "settle": settle_command(ctx),
        "restart": (config.restart.name.value, config.restart.max_retries),
        "health": _health(config.healthcheck, document, program) if config.healthcheck else None,
        "auto_remove": config.auto_remove,
        "anonymous_volumes": anonymous if config.auto_remove else [],
        "volumes": str(ctx.paths.volumes),
        "log": _log(config, directory),
    }


def _nowhere(ctx: Context, config: ContainerConfig) -> tuple[str, ...]:
    """(id, name, driver) of the built-in network without a link: docker tells of it as of any other."""
    if config.network_mode not in ("none", "host") or config.internal:
        return ()
    from runtime.network.list import get_network

    network = get_network(ctx, config.network_mode)
    return network.id, network.name, network.driver


def _log(config: ContainerConfig, directory: Path) -> dict[str, Any]:
    from runtime.model.log_options import log_files

    path = str(directory / "log")
    files = log_files(config.log_options)
    return {
        "driver": config.log_options.get("driver", "json-file"),
        "path": path,
        "max_size": files.max_size,
        "max_file": files.max_file,
        "wait": files.wait,
        "buffer": files.buffer,
        "compress": compress_command(path, files.max_file) if files.compress else [],
    }


def _health(check: HealthCheck, document: dict[str, Any], program: bytes) -> dict[str, Any] | None:
    if not check.test or check.test[0] == "NONE":
        return None
    argv = ["/bin/sh", "-c", check.test[1]] if check.test[0] == "CMD-SHELL" else list(check.test[1:])
    base = plans.process_plan(document, program)
    keys = ("caps", "seccomp", "apparmor", "user", "groups", "env", "cwd")
    return {
        "request": {**{key: base[key] for key in keys}, "argv": argv, "tty": False, "window": (0, 0)},
        "interval": (check.interval or 30_000_000_000) / 1e9,
        "timeout": (check.timeout or 30_000_000_000) / 1e9,
        "start_period": check.start_period / 1e9,
        "start_interval": (check.start_interval or 5_000_000_000) / 1e9,
        "retries": check.retries or 3,
    }


def _joins(ctx: Context, config: ContainerConfig) -> dict[str, str]:
    """Namespaces of other containers, by their process's path."""
    joins: dict[str, str] = {}
    for name, mode in (("network", config.network_mode), ("pid", config.pid_mode), ("ipc", config.ipc_mode)):
        if not mode.startswith("container:"):
            continue
        other = _alive(ctx, mode, name)
        joins[name] = f"/proc/{other.state.pid}/ns/{'net' if name == 'network' else name}"
        if name == "ipc":
            joins["shm"] = f"/proc/{other.state.pid}/ns/mnt"
    if config.userns_mode.startswith("container:"):
        joins["user"] = f"/proc/{_alive(ctx, config.userns_mode, 'user').state.pid}/ns/user"
    return joins


def _alive(ctx: Context, mode: str, name: str) -> Container:
    """The container of a mode "container:ID". Raises NotFound, Conflict unless it runs."""
    other = store.find(ctx.db, mode.removeprefix("container:"))
    if not other.state.status.alive or not other.state.pid:
        raise Conflict(f"cannot join {name} of container {other.name}: it is not running", subject=other.name)
    return other


def _mount_sources(ctx: Context, container: Container) -> dict[str, str | Filesystem | ImageTree]:
    """Target to host directory, or to what a volume with driver options is made of; named volumes are filled
    from the image at their first use."""
    sources: dict[str, str | Filesystem | ImageTree] = {}
    for mount in container.config.mounts:
        if mount.type is MountType.BIND:
            if not os.path.lexists(mount.source):
                raise NotFound(f"bind source path does not exist: {mount.source}", subject=mount.source)
            sources[mount.target] = mount.source
        elif mount.type is MountType.IMAGE:
            from runtime.images.layer_index import layer_path
            from runtime.images.list import get_image

            layers = get_image(ctx, mount.image_id).layers
            sources[mount.target] = ImageTree(tuple(str(layer_path(ctx, item)) for item in reversed(layers)))
        elif mount.type is MountType.VOLUME:
            from runtime.volumes import volumes

            directory = ctx.paths.volume(mount.source)
            if not directory.is_dir():
                raise NotFound(f"no such volume: {mount.source}", subject=mount.source)
            made_of = volumes.filesystem(ctx, mount.source)
            if made_of is not None:
                sources[mount.target] = made_of
                continue
            if not mount.no_copy:
                from runtime.containers import volume_fill

                volume_fill.fill(ctx, container, mount.target, directory)
            sources[mount.target] = str(directory)
            if mount.subpath and not (directory / mount.subpath).exists():
                raise NotFound(
                    f"cannot access path {mount.subpath} of volume {mount.source}: no such file or directory",
                    hint="make it in the volume first: volume-subpath must exist",
                    subject=mount.subpath,
                )
    return sources


def _etc_files(ctx: Context, container: Container) -> dict[str, str]:
    """hosts, hostname and resolv.conf of the container, bind mounted over the image's."""
    from runtime.network import resolv

    config = container.config
    directory = ctx.paths.container(container.id)
    if config.network_mode.startswith("container:"):
        other = store.find(ctx.db, config.network_mode.removeprefix("container:"))
        base = ctx.paths.container(other.id)
        names = ("hosts", "hostname", "resolv.conf")
        return {f"/etc/{name}": str(base / name) for name in names if (base / name).exists()}
    on_host = config.network_mode == "host"
    (directory / "hostname").write_text(resolv.hostname_file(config.hostname))
    (directory / "resolv.conf").write_text(resolv.resolv_conf(config, ctx.config, host_network=on_host))
    hosts = directory / "hosts"
    if on_host:
        own = [text.replace("=", ":", 1).partition(":") for text in config.extra_hosts]
        hosts.write_text(
            Path("/etc/hosts").read_text(errors="replace")
            + "".join(
                f"{'127.0.0.1' if address == resolv.HOST_GATEWAY else address}\t{name}\n"
                for name, _, address in own
            )
        )
    elif not hosts.exists():
        known = [text for text in config.extra_hosts if not text.endswith(resolv.HOST_GATEWAY)]
        hosts.write_text(resolv.hosts_file(config.hostname, config.domainname, [], known))
    for name in ("hosts", "hostname", "resolv.conf"):
        (directory / name).chmod(0o644)
    return {f"/etc/{name}": str(directory / name) for name in ("hosts", "hostname", "resolv.conf")}
