"""commit: an image out of a container's changes."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from runtime.containers.control import MonitorGone, connect, read_reply, send, turn
from runtime.containers.tree_tar import Packing, tree_tar
from runtime.containers.upper import is_mount_point, open_upper
from runtime.context import Context
from runtime.errors import Cancelled, Conflict, Failed, NotFound
from runtime.images.changes import apply_changes
from runtime.images.create import create_image
from runtime.images.layer_view import LayerView
from runtime.images.layers import LayerInfo, adopt_layer, layer_paths, temporary_directory
from runtime.images.leases import lease
from runtime.images.list import get_image
from runtime.images.pack import TarStream
from runtime.images.reference import Reference
from runtime.images.tar_reader import TarReader
from runtime.images.trees import OPAQUE
from runtime.images.unpack import unpack
from runtime.kernel.tree import remove_tree
from runtime.model.container import Container, ContainerStatus, MountType
from runtime.model.event import CancelEvent
from runtime.model.image import HistoryEntry, Image, ImageConfig
from runtime.monitor import wire
from runtime.store import containers as store

__all__ = ["commit"]

_PARENTS = ("/dev", "/etc", "/sys", "/sys/fs")
"""Directories of the places that we mount on."""


def commit(
    ctx: Context,
    reference: str,
    target: str | None = None,
    *,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    pause: bool = True,
    cancel: CancelEvent | None = None,
) -> str:
    """The new image's id. What is mounted (volumes, binds, tmpfs) is not part of it.

    A running container is paused meanwhile unless ``pause`` is False. Raises NotFound, InvalidInput (the name
    or a change), Failed, Cancelled.
    """
    refs = [str(Reference.parse(target))] if target else []
    container = store.find(ctx.db, reference)
    image = _image(ctx, container)
    config = apply_changes(_config(container, image), changes)
    with lease(ctx), turn(ctx, container.id):
        with _still(ctx, container, pause):
            scratch = _copy(ctx, container, cancel)
        layer = _adopt(ctx, scratch, cancel)
        layers, history = _stack(container, image, layer)
        now = time.time_ns()
        history.append(
            HistoryEntry(
                created_at=now,
                created_by=" ".join(container.config.cmd),
                author=author,
                comment=message,
                empty_layer=len(layers) == len(container.layers),
            )
        )
        made = create_image(
            ctx,
            config=config,
            layers=layers,
            history=history,
            refs=refs,
            parent=container.image_id if image is not None else "",
            created_at=now,
            author=author,
            event="create",
        )
    with ctx.db.write() as tx:
        attributes = {"comment": message, "imageID": made.id, "imageRef": refs[0] if refs else ""}
        tx.event(
            "container",
            "commit",
            container.id,
            name=container.name,
            image=container.config.image,
            **attributes,
        )
    return made.id


def _image(ctx: Context, container: Container) -> Image | None:
    """None when it was removed by force meanwhile."""
    try:
        return get_image(ctx, container.image_id)
    except NotFound:
        return None


def _config(container: Container, image: Image | None) -> ImageConfig:
    """The container's own, which has the image's merged in; what only an image can have comes from there."""
    config = container.config
    base = image.config if image is not None else ImageConfig()
    ports = [f"{port.container_port}/{port.protocol}" for port in config.ports]
    exposed = [text if "/" in text else f"{text}/tcp" for text in config.exposed_ports]
    anonymous = [
        mount.target for mount in config.mounts if mount.type is MountType.VOLUME and len(mount.source) == 64
    ]
    return replace(
        base,
        user=config.user,
        exposed_ports=tuple(dict.fromkeys([*base.exposed_ports, *exposed, *ports])),
        env=config.env,
        entrypoint=config.entrypoint or None,
        cmd=config.cmd or None,
        volumes=tuple(dict.fromkeys([*base.volumes, *anonymous])),
        working_dir=config.working_dir,
        labels=dict(config.labels),
        stop_signal=config.stop_signal if config.stop_signal != "SIGTERM" else base.stop_signal,
        healthcheck=config.healthcheck,
    )


@contextmanager
def _still(ctx: Context, container: Container, wanted: bool) -> Iterator[None]:
    """Paused, if it runs and that is wanted, and as before afterwards, also when we are killed: the monitor
    holds it for as long as we stay connected."""
    if not wanted or container.state.status is not ContainerStatus.RUNNING:
        yield
        return
    try:
        sock = connect(ctx, container)
    except Conflict:  # it has just ended
        yield
        return
    buffer = wire.FrameBuffer()
    try:
        send(sock, {"op": "pause", "hold": True})
        try:
            reply = read_reply(sock, buffer)
        except MonitorGone:  # it has just ended
            reply = {}
        if "error" in reply:
            raise Failed(f"cannot pause container {container.name}: {reply['error']}", subject=container.name)
        yield
        send(sock, {"op": "unpause"})
        with suppress(Failed):  # it ended meanwhile, and is not paused any more
            read_reply(sock, buffer)
    finally:
        sock.close()


def _copy(ctx: Context, container: Container, cancel: CancelEvent | None) -> Path:
    """The upper directory once more, without the places that we mount on; the caller owns the copy."""

    def check() -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("cancelled")

    scratch = temporary_directory(ctx)
    upper = open_upper(ctx, container)
    try:
        unpack(TarReader(TarStream(tree_tar(upper, b"", Packing(layer=True, check=check)))), scratch)
        _drop_mount_points(scratch, "", LayerView(layer_paths(ctx, container.layers)))
    except OSError as error:
        remove_tree(str(scratch))
        raise Failed(f"cannot read the changes of container {container.name}: {error}") from error
    except BaseException:
        remove_tree(str(scratch))
        raise
    finally:
        os.close(upper)
    return scratch


def _drop_mount_points(directory: Path, path: str, lower: LayerView) -> None:
    """In the private copy, which nobody else changes. A directory that is there for them alone goes too; one
    that stays keeps its time."""
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    before = directory.stat()
    changed = False
    for name, info in found:
        inside, place = f"{path}/{name}", directory / name
        if stat.S_ISDIR(info.st_mode):
            if inside in _PARENTS:
                _drop_mount_points(place, inside, lower)
            empty = not any(place.iterdir())
            if is_mount_point(inside, info, empty=empty) or (empty and _is_bare(place, inside, lower)):
                place.rmdir()
                changed = True
        elif is_mount_point(inside, info, empty=True):
            place.unlink()
            changed = True
    if changed:
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


def _is_bare(directory: Path, path: str, lower: LayerView) -> bool:
    """An emptied directory that says nothing: the image has it, with the same owner and mode."""
    node = lower.lookup(path, follow=False)
    info = directory.stat()
    if node is None or not node.is_directory or OPAQUE in os.listxattr(directory):
        return False
    kept = (node.stat.st_mode, node.stat.st_uid, node.stat.st_gid)
    return path in _PARENTS and kept == (info.st_mode, info.st_uid, info.st_gid)


def _adopt(ctx: Context, scratch: Path, cancel: CancelEvent | None) -> LayerInfo | None:
    """None when nothing was changed."""
    try:
        if not any(scratch.iterdir()):
            return None
        return adopt_layer(ctx, scratch, cancel=cancel)
    finally:
        remove_tree(str(scratch))


def _stack(
    container: Container, image: Image | None, layer: LayerInfo | None
) -> tuple[list[str], list[HistoryEntry]]:
    """Layers and the history that belongs to them. The same layer twice in a row says nothing more."""
    layers = list(container.layers)
    if layer is not None and layer.diff_id not in layers[-1:]:
        layers.append(layer.diff_id)
    known = image is not None and image.layers == container.layers
    history = list(image.history) if known and image is not None else []
    if sum(1 for entry in history if not entry.empty_layer) != len(container.layers):
        history = [HistoryEntry() for _ in container.layers]
    return layers, [replace(entry, size=0) for entry in history]
