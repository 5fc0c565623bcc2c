"""create: check everything, then make the row and the directory; nothing of the kernel's yet."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime.config import Config
from runtime.containers import checks, names, seccomp, spec, userns
from runtime.containers.capability_names import capability_names
from runtime.containers.trace import tracing
from runtime.context import Context
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.kernel.tree import remove_tree
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    HealthCheck,
    Mount,
    MountType,
    NetworkAttachment,
    RestartPolicyName,
)
from runtime.model.image import ImageConfig
from runtime.store import containers as store
from runtime.store.database import Transaction

__all__ = ["create", "insert", "merge"]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def create(ctx: Context, config: ContainerConfig, *, name: str | None = None) -> Container:
    """Raises NotFound (image, network), Conflict (name), InvalidInput."""
    from runtime.images.leases import lease
    from runtime.images.list import get_image

    with lease(ctx):  # the image's layers are not collected until our row names them
        image = get_image(ctx, config.image)
        merged = merge(with_settings(checks.inherit_volumes(ctx, config), ctx.config), image.config)
        return insert(ctx, merged, image_id=image.id, layers=image.layers, name=name)


def insert(
    ctx: Context,
    config: ContainerConfig,
    *,
    image_id: str,
    layers: tuple[str, ...],
    name: str | None = None,
    prepare: Callable[[Path], None] | None = None,
) -> Container:
    """The checked container's row and directory; ``config`` is complete. ``prepare`` is called with the
    directory before there is a row."""
    container_id = os.urandom(32).hex()
    config = _checked(ctx, config, container_id)
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidInput(
            f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", subject=name
        )
    with tracing(ctx, container_id):
        return _insert(ctx, config, container_id, image_id, layers, name, prepare)


def _insert(
    ctx: Context,
    config: ContainerConfig,
    container_id: str,
    image_id: str,
    layers: tuple[str, ...],
    name: str | None,
    prepare: Callable[[Path], None] | None,
) -> Container:
    taken = userns.in_use(ctx, config)
    directory = ctx.paths.container(container_id)
    directory.mkdir(mode=0o700)
    try:
        for part in ("upper", "work", "rootfs"):
            (directory / part).mkdir(mode=0o755)
        if prepare is not None:
            prepare(directory)
        while True:
            container = Container(
                id=container_id,
                name=name or names.invent(),
                image_id=image_id,
                created_at=time.time_ns(),
                config=config,
                layers=layers,
                state=ContainerState(),
            )
            try:
                with ctx.db.write(lasting=not config.auto_remove) as tx:
                    _volumes(ctx, tx, config)
                    mapped = userns.allocate(ctx, tx, container_id, config, taken)
                    container = replace(container, config=mapped)
                    store.insert(tx, container)
                    if not config.internal:
                        tx.event("container", "create", container.id, name=container.name, image=config.image)
                return container
            except sqlite3.IntegrityError as error:
                if name is not None:
                    raise _taken(ctx, name) from error
    except BaseException:
        remove_tree(str(directory))
        with suppress(OSError):
            ctx.paths.container_run(container_id).rmdir()  # the trace: nothing is left to be found by it
        raise


def _taken(ctx: Context, name: str) -> Conflict:
    try:
        other = store.find(ctx.db, name).id
    except NotFound:
        other = "another container"
    return Conflict(
        f'the container name "/{name}" is already in use by container {other[:12]}',
        hint=f"remove it (tuidock rm {name}), rename it, or choose another name",
        subject=name,
    )


def _volumes(ctx: Context, tx: Transaction, config: ContainerConfig) -> None:
    for mount in config.mounts:
        if mount.type is MountType.VOLUME:
            from runtime.volumes import volumes

            volumes.ensure(
                ctx,
                tx,
                mount.source,
                labels=_pairs(mount.volume_labels),
                options=_pairs(mount.driver_options),
            )


def _pairs(items: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in items)}


def with_settings(config: ContainerConfig, settings: Config) -> ContainerConfig:
    """The machine's settings where the container says nothing of its own (or what is the default anyway)."""
    named = {text.partition("=")[0] for text in config.ulimits}
    ulimits = tuple(text for text in settings.default_ulimits if text.partition("=")[0] not in named)
    unset = ContainerConfig(image="")
    return replace(
        config,
        # The settings are for the driver that nobody has to name (daemon.json: log-driver, log-opts).
        log_options=config.log_options
        if config.log_options.get("driver", "json-file") != "json-file"
        else {**settings.log_opts, **config.log_options},
        ulimits=config.ulimits + ulimits,
        shm_size=settings.default_shm_size if config.shm_size == unset.shm_size else config.shm_size,
        stop_timeout=settings.shutdown_timeout
        if config.stop_timeout == unset.stop_timeout
        else config.stop_timeout,
    )


def merge(config: ContainerConfig, image: ImageConfig) -> ContainerConfig:
    """The image's defaults under what was asked for, as docker merges them."""
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        entrypoint = image.entrypoint or ()
        if not cmd:
            cmd = image.cmd or ()
    elif entrypoint == ("",):
        entrypoint = ()
    given = {item.partition("=")[0] for item in config.env}
    env = tuple(item for item in image.env if item.partition("=")[0] not in given)
    wanted = {mount.target for mount in config.mounts}
    volumes = tuple(
        Mount(MountType.VOLUME, "", _clean(target))
        for target in image.volumes
        if _clean(target) not in wanted
    )
    return replace(
        config,
        entrypoint=entrypoint,
        cmd=cmd,
        env=env + tuple(item for item in config.env if "=" in item),
        working_dir=config.working_dir or image.working_dir,
        user=config.user or image.user,
        labels={**image.labels, **config.labels},
        mounts=config.mounts + volumes,
        exposed_ports=tuple(dict.fromkeys((*image.exposed_ports, *config.exposed_ports))),
        stop_signal=config.stop_signal if config.stop_signal != "SIGTERM" else image.stop_signal or "SIGTERM",
        healthcheck=_health(config.healthcheck, image.healthcheck),
    )


def _health(given: HealthCheck | None, image: HealthCheck | None) -> HealthCheck | None:
    """A check without a command changes the times of the image's; 0 is what was not given."""
    if given is None or given.test:
        return given or image
    if image is None or image.test[:1] == ("NONE",):
        return None
    return HealthCheck(
        test=image.test,
        interval=given.interval or image.interval,
        timeout=given.timeout or image.timeout,
        start_period=given.start_period or image.start_period,
        start_interval=given.start_interval or image.start_interval,
        retries=given.retries or image.retries,
    )


def _clean(target: str) -> str:
    """A mount target, made absolute and without ``..`` (an image's VOLUME may be hostile, CVE-2022-23648)."""
    import posixpath

    return posixpath.normpath("/" + target.lstrip("/"))


def _checked(ctx: Context, config: ContainerConfig, container_id: str) -> ContainerConfig:
    """Everything that can be refused before anything is made; defaults that depend on the id filled in."""
    if not config.entrypoint and not config.cmd:
        raise InvalidInput("no command specified", hint="the image has no CMD: name the command to run")
    if config.auto_remove and config.restart.name is not RestartPolicyName.NO:
        raise InvalidInput("conflicting options: cannot specify both --restart and --rm")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidInput(
            f"the working directory {config.working_dir!r} is invalid, it needs to be an absolute path",
            subject=config.working_dir,
        )
    for item in config.env:
        if not item.partition("=")[0] or "\0" in item:
            raise InvalidInput(
                f"invalid environment variable: {item!r}", hint="write NAME=VALUE", subject=item
            )
    config = checks.resolve_references(ctx, checks.check(config))
    config = userns.resolve(ctx, config)
    spec.resources_document(config.resources)
    capabilities = capability_names(config)
    spec.device_nodes(config)
    if any(text.startswith("seccomp={") for text in config.security_opt):
        seccomp.program_for(ctx, config, capabilities)
    for text in config.ulimits:
        spec._rlimit(text)
    mode = config.network_mode
    if config.ports and (mode in ("none",) or mode.startswith("container:")):
        raise InvalidInput(f"conflicting options: ports cannot be published with --network {mode}")
    for text in config.extra_hosts:
        host, _, address = text.replace("=", ":", 1).partition(":")
        if not host or (address != "host-gateway" and not _is_address(address.strip("[]"))):
            raise InvalidInput(f"--add-host {text!r} is wrong", hint="write NAME:ADDRESS", subject=text)
    mounts = tuple(_mount(ctx, mount) for mount in config.mounts)
    targets = [mount.target for mount in mounts]
    for target in targets:
        if targets.count(target) > 1:
            raise InvalidInput(f"duplicate mount point: {target}", subject=target)
    hostname = config.hostname or ("" if mode.startswith("container:") else container_id[:12])
    if (mode == "host" or config.uts_mode == "host") and not config.hostname:
        hostname = os.uname().nodename
    if len(hostname) > 64:
        raise InvalidInput(f"the host name {hostname!r} is longer than 64 characters", subject=hostname)
    return replace(
        config,
        mounts=mounts,
        hostname=hostname,
        networks=_networks(ctx, config),
        network_mode=mode or "bridge",
    )


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _networks(ctx: Context, config: ContainerConfig) -> tuple[NetworkAttachment, ...]:
    mode = config.network_mode
    if mode in ("none", "host"):
        return ()
    if mode.startswith("container:"):
        store.find(ctx.db, mode.removeprefix("container:"))
        return ()
    from runtime.network.list import get_network

    wanted = config.networks or (NetworkAttachment("bridge" if mode in ("", "default") else mode),)
    # An id or its beginning becomes the name, by which connect and disconnect know it.
    return tuple(replace(item, network=get_network(ctx, item.network).name) for item in wanted)


def _mount(ctx: Context, mount: Mount) -> Mount:
    target = _clean(mount.target)
    if target == "/":
        raise InvalidInput("invalid mount: the destination cannot be '/'", subject=mount.target)
    if mount.type is MountType.BIND:
        source = Path(mount.source)
        if not source.is_absolute():
            raise InvalidInput(f"bind source {mount.source!r} must be an absolute path", subject=mount.source)
        if not source.exists():
            if "create" not in mount.options:
                raise InvalidInput(
                    f"invalid mount: bind source path does not exist: {mount.source}",
                    hint="create it first, or use -v, which creates a directory",
                    subject=mount.source,
                )
            source.mkdir(parents=True, exist_ok=True)
    if mount.type is MountType.IMAGE:
        from runtime.images.list import get_image

        image = get_image(ctx, mount.source)
        if not image.layers:
            raise InvalidInput(f"image {mount.source} has no layer to mount", subject=mount.source)
        return replace(mount, target=target, read_only=True, image_id=image.id)
    if mount.type is MountType.VOLUME and not mount.source:
        return replace(mount, target=target, source=os.urandom(32).hex())
    return replace(mount, target=target)
