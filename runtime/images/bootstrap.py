"""The base image, assembled out of the machine's own files, with no network.

The same inputs give the same image: files are sorted, owned by root, all of one time. What was made of which
inputs is noted, so that doing it again costs a look at the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, EngineError, Failed
from runtime.images import base_files
from runtime.images.base_plan import BasePlan, PlannedFile
from runtime.images.base_python import MTIME, add_pip, add_python, new_prefix, pip_configuration
from runtime.images.create import create_image, set_reference
from runtime.images.layers import adopt_layer, temporary_directory
from runtime.images.leases import lease
from runtime.images.reference import Reference
from runtime.kernel.tree import remove_tree
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.model.image import HistoryEntry, ImageConfig
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["bootstrap", "plan_base"]

_STEP = "base"
_RECIPE = 1
"""Raise it when the same inputs shall give another image."""


def bootstrap(
    ctx: Context,
    name: str = "base:latest",
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> str:
    """Make the image, name it; returns its id.

    Raises InvalidInput for the name, Unavailable when shell, Python or pip are missing, Failed, Cancelled.
    """
    reference = Reference.parse(name)
    report = _Report(progress, cancel)
    report("collecting files")
    files = plan_base()
    fingerprint = _fingerprint(files)
    with lease(ctx):
        image_id = _made_before(ctx, fingerprint)
        if image_id is None:
            image_id = _make(ctx, files, report)
            with ctx.db.write() as tx:
                tx.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"bootstrap:{fingerprint}", image_id)
                )
        with ctx.db.write() as tx:
            set_reference(tx, reference, image_id)
    report("done", done=True)
    return image_id


def plan_base() -> list[PlannedFile]:
    """What the image consists of. Raises Unavailable."""
    plan = BasePlan(Path(sys.base_prefix), new_prefix())
    base_files.add_tools(plan)
    add_python(plan)
    add_pip(plan)
    base_files.add_etc(plan, pip_configuration(base_files.CERTIFICATES))
    base_files.add_terminals(plan)
    base_files.add_directories(plan)
    return plan.sorted()


def _fingerprint(files: Sequence[PlannedFile]) -> str:
    """Of the plan and of every source's size, time and inode, not of its content."""
    digest = hashlib.sha256(f"{_RECIPE}\n".encode())
    for item in files:
        line: list[object] = [item.target, item.mode, item.link]
        if item.source is not None:
            info = item.source.stat()
            line += [str(item.source), info.st_size, info.st_mtime_ns, info.st_ino]
        digest.update(json.dumps(line).encode())
        if item.data is not None:
            digest.update(item.data)
    return digest.hexdigest()


def _made_before(ctx: Context, fingerprint: str) -> str | None:
    row = ctx.db.row("SELECT value FROM meta WHERE key = ?", (f"bootstrap:{fingerprint}",))
    return str(row[0]) if row is not None and rows.get_image(ctx.db, str(row[0])) is not None else None


def _make(ctx: Context, files: Sequence[PlannedFile], report: _Report) -> str:
    root = temporary_directory(ctx)
    try:
        _write(root, files, report)
        report("making the layer")
        layer = adopt_layer(ctx, root, cancel=report.cancel)
    except EngineError:
        raise
    except OSError as error:
        raise Failed(f"cannot assemble the base image: {error.filename or ''}: {error.strerror}") from error
    finally:
        remove_tree(root)
    shell = base_files.shell()
    created = MTIME * 1_000_000_000
    image = create_image(
        ctx,
        config=ImageConfig(env=base_files.environment(), cmd=(shell,)),
        layers=[layer.diff_id],
        history=[
            HistoryEntry(
                created_at=created, created_by="tuidock image bootstrap", comment="the machine's own files"
            ),
            HistoryEntry(created_at=created, created_by=f'CMD ["{shell}"]', empty_layer=True),
        ],
        created_at=created,
    )
    return image.id


def _write(root: Path, files: Sequence[PlannedFile], report: _Report) -> None:
    """Below a directory that is ours alone, so by path; directories' times last."""
    total = len(files)
    for count, item in enumerate(files):
        if count % 100 == 0:
            report("copying files", count, total)
        path = f"{root}{item.target}"
        if item.link:
            Path(path).symlink_to(item.link)
        elif item.is_directory:
            Path(path).mkdir()
            Path(path).chmod(item.mode)
        else:
            _write_file(path, item)
        if not item.is_directory:
            os.utime(path, (MTIME, MTIME), follow_symlinks=False)
    for item in files:
        if item.is_directory:
            os.utime(f"{root}{item.target}", (MTIME, MTIME))
    os.utime(root, (MTIME, MTIME))
    report("copying files", total, total)


def _write_file(path: str, item: PlannedFile) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if item.data is not None:
            _write_all(fd, item.data)
        elif item.source is not None:
            if item.transform is not None:
                _write_all(fd, item.transform(item.source.read_bytes()))
            else:
                _copy(item.source, fd)
        os.fchmod(fd, item.mode)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _copy(source: Path, fd: int) -> None:
    """In the kernel where it can; copy_file_range refuses to cross some file systems (copy_file_range(2))."""
    origin = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while os.sendfile(fd, origin, None, 1 << 30):
            pass
    finally:
        os.close(origin)


class _Report:
    """Progress, and the place where a cancel is seen."""

    def __init__(self, progress: ProgressCallback | None, cancel: CancelEvent | None) -> None:
        self._progress = progress
        self.cancel = cancel

    def __call__(
        self, stage: str, current: int | None = None, total: int | None = None, *, done: bool = False
    ) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("cancelled")
        if self._progress is not None:
            self._progress(Progress(_STEP, stage, current, total, unit="files", done=done))
