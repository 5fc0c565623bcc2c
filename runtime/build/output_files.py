"""A build's result as files or archives outside the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from runtime.build.options import Output
from runtime.build.steps import Step
from runtime.build.workspace import Workspace
from runtime.containers.tree_tar import Packing, tree_tar
from runtime.errors import Failed
from runtime.images.compression import Readable
from runtime.images.layer_index import layer_paths
from runtime.images.pack import TarStream
from runtime.images.reference import Reference
from runtime.images.save import save_as
from runtime.images.tar_reader import Entry, TarReader
from runtime.images.unpack import unpack
from runtime.kernel import overlay
from runtime.kernel.detached import detached_tree
from runtime.model.image import Image

__all__ = ["write_archive", "write_files"]


def write_archive(work: Workspace, image: Image, output: Output, step: Step) -> None:
    """An image of the store. Raises Failed for a destination that cannot be written."""
    names = [Reference.parse(name) for name in (output.names or work.options.tags)]
    with _target(work, output) as target:
        save_as(work.ctx, image.id, names, target, cancel=work.cancel)
    step.note(f"exporting manifest {image.manifest_digest}")
    step.note(f"exporting config {image.id}")


def write_files(work: Workspace, layers: Sequence[str], output: Output, step: Step) -> None:
    """The merged files of ``layers``. Raises Failed for a destination that cannot be written."""
    with _merged(work, layers) as root:
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
def _merged(work: Workspace, diff_ids: Sequence[str]) -> Iterator[int]:
    """The stage's files as one tree: a descriptor; nobody else can reach the mount."""
    rootfs, empty = work.new_path("rootfs"), work.new_path("empty")
    rootfs.mkdir()
    empty.mkdir()
    # overlayfs wants two directories when nothing is written: overlayfs.rst, "Multiple lower layers".
    paths = reversed(layer_paths(work.ctx, list(diff_ids)))
    layers = [*(str(path) for path in paths), str(empty), str(empty)]
    if len(layers) > 2:
        layers = layers[:-1]

    def make() -> str:
        overlay.mount_overlay(layers, None, None, str(rootfs))
        return str(rootfs)

    fd = detached_tree(make) if diff_ids else os.open(empty, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
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
