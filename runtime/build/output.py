"""What becomes of the last stage: an image in the store, and copies of it or of its files elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from runtime.build.options import BuildOptions, Output
from runtime.build.state import StageState
from runtime.build.steps import Step
from runtime.build.workspace import Workspace
from runtime.errors import Failed, InvalidInput
from runtime.images.compression import Readable
from runtime.images.create import create_image
from runtime.images.layers import layer_paths
from runtime.images.pack import TarStream
from runtime.images.reference import Reference
from runtime.images.tar_reader import Entry, TarReader
from runtime.model.event import Progress
from runtime.model.image import Image

__all__ = ["check_outputs", "export"]

_ARCHIVES = ("oci", "docker")
_KINDS = ("image", "local", "tar", *_ARCHIVES, "cacheonly")


def check_outputs(options: BuildOptions) -> None:
    """Before anything is built. Raises InvalidInput."""
    for output in options.outputs:
        if output.type not in _KINDS:
            raise InvalidInput(f"unknown output type {output.type!r}", hint=", ".join(_KINDS))
        if output.type in ("local", "tar", "oci") and not output.destination and output.stream is None:
            raise InvalidInput(f"an output of type {output.type} needs a destination", hint="dest=PATH")
        if output.push and not (options.tags or output.names):
            raise InvalidInput("an image that is pushed needs a name", hint="-t HOST/NAME:TAG")
        place = Path(output.destination or ".")
        wants_directory = output.type == "local" or output.as_directory
        if wants_directory and output.stream is not None:
            raise InvalidInput(f"an output of type {output.type} is a directory: it cannot go to a stream")
        if output.destination and place.exists() and place.is_dir() is not wants_directory:
            what = "is not a directory" if wants_directory else "is a directory"
            raise InvalidInput(f"the output's destination {place} {what}", subject=str(place))


def keeps_image(options: BuildOptions) -> bool:
    """The store gets the image, by its tags."""
    return not options.outputs or any(
        item.type == "image" or (item.type == "docker" and not item.destination and item.stream is None)
        for item in options.outputs
    )


def export(work: Workspace, state: StageState) -> Image | None:
    """The image, when the store keeps it. Raises Failed for a destination that cannot be written."""
    options = work.options
    image = None
    if keeps_image(options):
        with work.report.step("exporting to image", counted=False) as step:
            names = list(options.tags)
            for output in options.outputs:
                names += [name for name in output.names if output.type == "image" and name not in names]
            image = _image(work, state, names)
            step.note(f"writing image {image.id}")
            for name in names:
                step.note(f"naming to {Reference.parse(name)}")
        for name in _pushed(options, names):
            _push(work, name)
    for output in options.outputs:
        if output.type in ("local", "tar"):
            with work.report.step(_TITLES[output.type], counted=False) as step:
                _files(work, state, output, step)
        elif output.type in _ARCHIVES and (output.destination or output.stream is not None):
            with work.report.step(_TITLES[output.type], counted=False) as step:
                image = _archive(work, state, output, step, kept=image)
    return image


def _pushed(options: BuildOptions, names: list[str]) -> list[str]:
    return names if any(output.push for output in options.outputs) else []


def _push(work: Workspace, name: str) -> None:
    from runtime.images.registry.push import push

    reference = Reference.parse(name)
    with work.report.step(f"pushing {reference}", counted=False) as step:

        def tell(event: Progress) -> None:
            if event.done or event.current is None:
                step.note(f"{event.id}: {event.stage}" if event.id else event.stage)

        push(work.ctx, str(reference), progress=tell, cancel=work.cancel)


_TITLES = {
    "local": "exporting to client directory",
    "tar": "exporting to client tarball",
    "oci": "exporting to oci image format",
    "docker": "exporting to docker image format",
}


def _image(work: Workspace, state: StageState, names: list[str]) -> Image:
    config = state.image_config()
    if work.options.labels:
        config = replace(config, labels={**config.labels, **work.options.labels})
    return create_image(
        work.ctx,
        config=config,
        layers=state.layers,
        history=state.history,
        refs=names,
        created_at=work.timestamp if work.timestamp is not None else state.created_at,
        author=state.author,
    )


def _archive(work: Workspace, state: StageState, output: Output, step: Step, *, kept: Image | None) -> Image:
    """An archive needs the image in the store; one that is not to stay has no name and goes again."""
    from runtime.images.remove import remove
    from runtime.images.save import save_as
    from runtime.store.images import all_images

    before = {row.id for row in all_images(work.ctx.db)}
    image = kept or _image(work, state, [])
    names = [Reference.parse(name) for name in (output.names or work.options.tags)]
    try:
        with _target(work, output) as target:
            save_as(work.ctx, image.id, names, target, cancel=work.cancel)
    finally:
        if image.id not in before and kept is None:
            remove(work.ctx, image.id)
    step.note(f"exporting manifest {image.manifest_digest}")
    step.note(f"exporting config {image.id}")
    return image


def _files(work: Workspace, state: StageState, output: Output, step: Step) -> None:
    from runtime.containers.tree_tar import Packing, tree_tar

    with _merged(work, state) as root:
        chunks = tree_tar(root, b"", Packing(check=work.check_cancelled))
        if output.type == "local":
            _unpack(TarStream(chunks), Path(output.destination))
        else:
            with _target(work, output) as target:
                for chunk in chunks:
                    target.write(chunk)
    step.note("copying files done")


def _unpack(archive: Readable, directory: Path) -> None:
    """Into a directory of the caller's, made if need be: files of the same names are replaced, others stay.
    All is the caller's own, as docker does it. Raises Failed."""
    from runtime.images.unpack import unpack

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"cannot make {directory}: {error.strerror}", subject=str(directory)) from error
    unpack(_Owned(archive), directory, plain=True)


class _Owned(TarReader):
    """Entries as if the caller had made them."""

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            entry.uid, entry.gid = os.geteuid(), os.getegid()
            yield entry


@contextmanager
def _merged(work: Workspace, state: StageState) -> Iterator[int]:
    """The stage's files as one tree: a descriptor; nobody else can reach the mount."""
    from runtime.kernel import overlay
    from runtime.kernel.detached import detached_tree

    rootfs, empty = work.new_path("rootfs"), work.new_path("empty")
    rootfs.mkdir()
    empty.mkdir()
    # overlayfs wants two directories when nothing is written: overlayfs.rst, "Multiple lower layers".
    layers = [*(str(path) for path in reversed(layer_paths(work.ctx, state.layers))), str(empty), str(empty)]
    if len(layers) > 2:
        layers = layers[:-1]

    def make() -> str:
        overlay.mount_overlay(layers, None, None, str(rootfs))
        return str(rootfs)

    fd = detached_tree(make) if state.layers else os.open(empty, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _target(work: Workspace, output: Output) -> Iterator[IO[bytes]]:
    """Where an archive is written to: a file that appears whole or not at all, a stream, or a directory that
    it is unpacked into. Raises Failed."""
    if output.stream is not None:
        yield output.stream
        output.stream.flush()
        return
    place = Path(output.destination)
    try:
        if output.as_directory:
            archive = work.new_path("archive")
            with archive.open("w+b") as file:
                yield file
                file.seek(0)
                _unpack(file, place)
            return
        part = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                yield file
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"cannot write the output {place}: {error.strerror}", subject=str(place)) from error
