"""WORKDIR: sets the directory, and makes it (a layer) when the image has none there."""

from __future__ import annotations

import posixpath
from pathlib import Path

from runtime.build.cache import CachedLayer
from runtime.build.instructions import Workdir
from runtime.build.layer_writer import LayerWriter, Owner, WriteRefused
from runtime.build.ownership import OwnershipError, resolve_owner
from runtime.build.state import StageState
from runtime.build.steps import Step
from runtime.build.workspace import Workspace
from runtime.images.layer_index import layer_paths
from runtime.images.layer_view import LayerView

__all__ = ["change_directory"]


def change_directory(
    work: Workspace, state: StageState, instruction: Workdir, step: Step, *, cached: bool
) -> None:
    """Raises WriteRefused when something that is no directory is there."""
    path = posixpath.normpath(posixpath.join(state.working_dir, work.expander(state)(instruction.path)))
    path = "/" + path.lstrip("/")
    state.set(working_dir=path)
    created_by = f"WORKDIR {path}"
    existing = LayerView(layer_paths(work.ctx, state.layers)).lookup(path)
    if path == "/" or existing is not None:
        if existing is not None and not existing.is_directory:
            raise WriteRefused(f"{path} is no directory")
        step.cached = True
        state.record(created_by)
        return
    key = work.key(state.layers, ["workdir", path, state.config.user])
    found = work.cache.find(key, enabled=cached)
    if found is None:
        with work.cache.turn(key):
            found = work.cache.find(key, enabled=cached)
            if found is None:
                made = _make(work, state, path, key, created_by)
                state.record(created_by, layer=made.layer, created_at=made.created_at)
                return
    step.cached = True
    state.record(created_by, layer=found.layer, created_at=found.created_at)


def _make(work: Workspace, state: StageState, path: str, key: str, created_by: str) -> CachedLayer:
    writer = LayerWriter(
        layer_paths(work.ctx, state.layers), work.new_path("workdir"), timestamp=work.timestamp
    )
    writer.make_directory(writer.resolve(path), owner=_owner(state, writer.view))
    writer.close()
    layer = work.adopt(Path(writer.directory))
    return work.cache.store(
        key,
        layer.diff_id,
        parent=state.layers[-1] if state.layers else "",
        description=created_by,
        size=layer.size,
        created_at=work.now(),
    )


def _owner(state: StageState, view: LayerView) -> Owner:
    """The stage's USER, as BuildKit has it; root when the image does not know the user yet."""
    try:
        return resolve_owner(state.config.user, view)
    except OwnershipError:
        return Owner()
