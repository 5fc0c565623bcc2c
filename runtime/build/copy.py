"""COPY and ADD."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.build.cache import CachedLayer
from runtime.build.context_files import VANISHED, Selection, SourceTree, digest, select, unlike
from runtime.build.instructions import Add, Copy
from runtime.build.layer_writer import LayerWriter, Owner
from runtime.build.options import BuildWarning
from runtime.build.ownership import mode_change, resolve_owner
from runtime.build.state import StageState
from runtime.build.steps import Step
from runtime.build.substitution import expand
from runtime.build.transfer import Target, transfer, transfer_content
from runtime.build.workspace import Workspace
from runtime.images.layer_index import layer_paths

__all__ = ["copy_files"]

if TYPE_CHECKING:
    from runtime.build.add_remote import RemoteSource

Expand = Callable[[str], str]

_ATTEMPTS = 3


class _Plan:
    """An instruction with its variables filled in and its sources found."""

    def __init__(
        self, work: Workspace, stage: int, state: StageState, instruction: Copy, expand_: Expand
    ) -> None:
        self.work = work
        self.instruction = instruction
        self.sources = [expand_(source) for source in instruction.sources]
        self.exclude = [expand_(pattern) for pattern in instruction.exclude]
        self.chown = expand_(instruction.chown)
        self.chmod = expand_(instruction.chmod)
        destination = expand_(instruction.destination)
        self.destination = posixpath.join(state.working_dir, destination)
        self.shown_destination = destination
        self.tree: SourceTree = work.tree(instruction.from_, stage)
        self.heredocs = [
            (
                heredoc.name,
                expand(heredoc.content, state.variables(), work.dockerfile.escape, raw=True)
                if heredoc.expand
                else heredoc.content,
            )
            for heredoc in instruction.heredocs
        ]
        self.local: list[Selection] = []
        self.digest = ""
        self.remote: list[RemoteSource] = []
        for source in self.sources:
            found = self._remote(source) if isinstance(instruction, Add) else None
            if found is not None:
                self.remote.append(found)
            else:
                self.local += select(self.tree, source, self.exclude)
        self.digest = digest(self.local)

    def _remote(self, source: str) -> RemoteSource | None:
        """A source of ADD that is not a file of the context."""
        if "://" not in source and not source.startswith("git@"):
            return None
        from runtime.build.add_remote import remote_source

        assert isinstance(self.instruction, Add)
        return remote_source(self.work, self.instruction, source)

    @property
    def into_directory(self) -> bool:
        return (
            self.destination.endswith(("/", "/.", "/.."))
            or self.destination in (".", "..")
            or len(self.sources) + len(self.heredocs) > 1
        )

    def key(self, layers: list[str]) -> str:
        definition = [
            "add" if isinstance(self.instruction, Add) else "copy",
            posixpath.normpath(self.destination),
            self.into_directory,
            self.chown,
            self.chmod,
            self.instruction.parents,
            self.digest,
            [item.place if self.instruction.parents else item.name for item in self.local],
            self.heredocs,
            [source.identity for source in self.remote],
            self.instruction.unpack if isinstance(self.instruction, Add) else None,
        ]
        return self.work.key(layers, definition)

    def created_by(self) -> str:
        parts = [self.instruction.keyword]
        parts += ["--parents"] if self.instruction.parents else []
        parts += [f"--chown={self.chown}"] if self.chown else []
        parts += [f"--chmod={self.chmod}"] if self.chmod else []
        parts += [*self.sources, *(f"<<{name}" for name, _ in self.heredocs), self.shown_destination]
        return " ".join(parts) + " # buildkit"

    def write(self, writer: LayerWriter) -> None:
        owner: Owner | None = None if not self.tree.mapped else Owner()
        if self.chown:
            owner = resolve_owner(self.chown, writer.view)
        change = mode_change(self.chmod) if self.chmod else None
        target = Target(self.destination, self.into_directory, owner, change, self.instruction.parents)
        unpacks = isinstance(self.instruction, Add) and self.instruction.unpack is not False
        for selection in self.local:
            if unpacks and not selection.is_directory and self._unpack(writer, selection, target):
                continue
            transfer(writer, [selection], target)
        for source in self.remote:
            source.write(writer, target, self.exclude)
        for name, content in self.heredocs:
            transfer_content(writer, name, content.encode(errors="surrogateescape"), target)

    def _unpack(self, writer: LayerWriter, selection: Selection, target: Target) -> bool:
        """True when the file was an archive, known by its content; it keeps its owners."""
        from runtime.build.archives import unpack_archive

        scratch = self.work.new_path("archive")
        if not unpack_archive(selection.entries[0][1], scratch):
            return False
        owner = target.owner if self.chown else None
        tree = self.work.plain_tree(selection.name, scratch, mapped=False)
        transfer(writer, select(tree, "."), Target(target.path, True, owner, target.change_mode))
        return True


def copy_files(
    work: Workspace, stage: int, state: StageState, instruction: Copy, step: Step, *, cached: bool
) -> None:
    """Add the instruction's layer to the state. ``cached`` False does not look into the cache."""
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        try:
            layer, created_by = _layer(work, stage, state, instruction, step, cached)
        except OSError as error:
            # A file of the context went away, or became another kind, after it was listed: once more.
            if attempts and error.errno in VANISHED:
                continue
            raise
        state.record(created_by, layer=layer.layer, created_at=layer.created_at)
        return


def _layer(
    work: Workspace, stage: int, state: StageState, instruction: Copy, step: Step, cached: bool
) -> tuple[CachedLayer, str]:
    """The layer, found or made, and its history."""
    plan = _Plan(work, stage, state, instruction, work.expander(state))
    key = plan.key(state.layers)
    found = work.cache.find(key, enabled=cached)
    if found is None:
        with work.cache.turn(key):
            found = work.cache.find(key, enabled=cached)
            if found is None:
                return _make(work, state, plan, key), plan.created_by()
    step.cached = True
    return found, plan.created_by()


def _make(work: Workspace, state: StageState, plan: _Plan, key: str) -> CachedLayer:
    directory = work.new_path("copy")
    writer = LayerWriter(layer_paths(work.ctx, state.layers), directory, timestamp=work.timestamp)
    plan.write(writer)
    writer.close()
    changed = unlike(plan.tree, plan.local, plan.digest)
    layer = work.adopt(directory)
    if changed is not None:
        # What was copied is not what the key tells of: good for this build, as it would be with docker.
        work.report.warn(
            BuildWarning(f"{changed} changed while it was copied: {plan.created_by()} is not cached")
        )
        return CachedLayer(layer.diff_id, work.now())
    return work.cache.store(
        key,
        layer.diff_id,
        parent=state.layers[-1] if state.layers else "",
        description=plan.created_by(),
        size=layer.size,
        created_at=work.now(),
    )
