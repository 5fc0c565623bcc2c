"""What all steps of one build share: options, cache, report, a directory for what is half-made, and the trees
that files are copied from."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from runtime.build.cache import LayerCache, key_of
from runtime.build.context import read_ignore_file
from runtime.build.context_files import SourceTree
from runtime.build.dockerignore import IgnoreRules
from runtime.build.failure import BuildFailed, DockerfileError, excerpt
from runtime.build.instructions import Dockerfile, Instruction
from runtime.build.options import BuildOptions
from runtime.build.stages import stage_reference
from runtime.build.state import StageState
from runtime.build.steps import Report, Step
from runtime.build.substitution import SubstitutionError, expand
from runtime.build.tree_digests import TreeDigests
from runtime.context import Context
from runtime.errors import Cancelled, EngineError
from runtime.images.layer_index import LayerInfo, layer_paths
from runtime.images.layer_view import LayerView
from runtime.images.leases import temporary_name
from runtime.kernel.tree import remove_tree
from runtime.model.event import CancelEvent
from runtime.model.hashing import sha256

if TYPE_CHECKING:
    from runtime.build.cache_transfer import ImportedCache

__all__ = ["Workspace"]

_SHOWN_COMMAND = 200


class Workspace:
    """A context manager: the directory goes away at its end, and with :func:`runtime.build.sweep.sweep` when
    the process was killed. ``results`` are the states of the stages that are done, by index."""

    def __init__(
        self,
        ctx: Context,
        options: BuildOptions,
        dockerfile: Dockerfile,
        report: Report,
        *,
        global_args: Mapping[str, str],
        ignore_file: Path | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        self.ctx = ctx
        self.options = options
        self.dockerfile = dockerfile
        self.report = report
        self.global_args = global_args
        self.imported = _imported(ctx, options, cancel) if options.cache_from else None
        self.cache = LayerCache(
            ctx, enabled=not options.no_cache, imported=self.imported.find if self.imported else None
        )
        self.results: dict[int, StageState] = {}
        self.cancel = cancel
        self._ignore_file = ignore_file
        self._trees: dict[str, SourceTree] = {}
        self._names = itertools.count(1)
        self._lock = threading.RLock()
        epoch = options.build_args.get("SOURCE_DATE_EPOCH") or os.environ.get("SOURCE_DATE_EPOCH", "")
        self.timestamp = int(epoch) * 10**9 if epoch.isdigit() else None
        """SOURCE_DATE_EPOCH in nanoseconds; None: the clock."""

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The directory first: what follows may need the space that it gives back.
        if "directory" in self.__dict__:
            remove_tree(self.directory)
        for tree in self._trees.values():
            tree.digests.save()
        self.cache.close()

    @cached_property
    def directory(self) -> Path:
        made = self.ctx.paths.build / temporary_name()
        made.mkdir(mode=0o700)
        return made

    def new_path(self, name: str) -> Path:
        """A path in the build's directory that does not exist yet."""
        with self._lock:
            return self.directory / f"{name}{next(self._names)}"

    def key(self, layers: Sequence[str], definition: Sequence[object]) -> str:
        """The cache key of a step; a fixed date is part of it, since it shows in the files."""
        return key_of(layers, definition if self.timestamp is None else [*definition, self.timestamp])

    def adopt(self, directory: Path) -> LayerInfo:
        """A finished directory as a layer. With SOURCE_DATE_EPOCH nothing in it is newer than that."""
        if self.timestamp is not None:
            _limit_dates(directory, self.timestamp)
        from runtime.images.layers import adopt_layer

        return adopt_layer(self.ctx, directory, cancel=self.cancel)

    def now(self) -> int:
        """When a layer is made, in nanoseconds."""
        return self.timestamp if self.timestamp is not None else time.time_ns()

    def check_cancelled(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("the build was cancelled")

    def expander(self, state: StageState) -> Callable[[str], str]:
        """Fills in the stage's variables as they are now."""
        variables = state.variables()
        return lambda text: expand(text, variables, self.dockerfile.escape)

    def expand_with(self, text: str, variables: Mapping[str, str]) -> str:
        return expand(text, variables, self.dockerfile.escape)

    @cached_property
    def context_tree(self) -> SourceTree:
        """The build context, without what .dockerignore excludes. Raises DockerfileError."""
        rules = read_ignore_file(self._ignore_file)
        tree = self._directory_tree("build context", self.options.context, rules)
        self._trees[""] = tree
        return tree

    def _directory_tree(self, name: str, directory: Path, rules: IgnoreRules) -> SourceTree:
        directory = directory.resolve()
        # What was unpacked or fetched for this build only is never seen again.
        passing = directory.is_relative_to(self.ctx.paths.build.resolve())
        memo = None if passing else self._memo(os.fsencode(directory))
        view = LayerView([directory], overlay=False)
        return SourceTree(name, view, TreeDigests(memo, mapped=True), rules)

    def plain_tree(self, name: str, directory: Path, *, mapped: bool = True) -> SourceTree:
        """A directory that was made for this build."""
        view = LayerView([directory], overlay=False)
        return SourceTree(name, view, TreeDigests(None, mapped=mapped), mapped=mapped)

    def _memo(self, what: bytes) -> Path:
        return self.ctx.paths.build / "digests" / sha256(what).hex()[:24]

    def tree(self, name: str, before: int) -> SourceTree:
        """What ``--from=name`` means in the stage ``before``: a build context, an earlier stage, an image.
        "" is the context. Raises NotFound, InvalidInput, DockerfileError."""
        if not name:
            with self._lock:
                return self.context_tree
        key = f"{before} {name}"
        with self._lock:
            if key not in self._trees:
                self._trees[key] = self._named_tree(name, before)
            return self._trees[key]

    def _named_tree(self, name: str, before: int) -> SourceTree:
        given = self.options.build_contexts.get(name, "")
        if given and not given.startswith("docker-image://"):
            directory = Path(given)
            if not directory.is_dir():
                raise DockerfileError(f"build context {name}: {given} is no directory", subject=given)
            ignore = directory / ".dockerignore"
            rules = read_ignore_file(ignore if ignore.is_file() else None)
            return self._directory_tree(f"build context {name}", directory, rules)
        index = stage_reference(self.dockerfile, name, before)
        if index is not None and not given:
            layers = self.results[index].layers
        else:
            from runtime.build.from_ import base_image

            layers = list(base_image(self, given.removeprefix("docker-image://") or name).layers)
        return self.layer_tree(name, layers)

    def layer_tree(self, name: str, layers: list[str]) -> SourceTree:
        digests = TreeDigests(self._memo(" ".join(layers).encode()), mapped=False)
        view = LayerView(layer_paths(self.ctx, layers))
        return SourceTree(name, view, digests, mapped=False, sealed=True)

    def failure(self, instruction: Instruction, error: Exception) -> EngineError:
        """Any error of an instruction as one that names file, line and instruction."""
        source = self.dockerfile.source
        where = f"{source.name}:{instruction.first}: {instruction.keyword}"
        details = excerpt(source, instruction.first, instruction.last)
        if isinstance(error, SubstitutionError):
            return DockerfileError(f"{where}: {error}", subject=source.name, details=details)
        if isinstance(error, OSError):
            named = f": {error.filename}" if error.filename else ""
            reason = error.strerror or str(error)
            return BuildFailed(f"{where} failed: {reason}{named}", subject=source.name, details=details)
        if isinstance(error, EngineError):
            return BuildFailed(
                f"{where} failed: {error.message}", hint=error.hint, subject=source.name, details=details
            )
        return DockerfileError(f"{where} failed: {error}", subject=source.name, details=details)

    def command_failure(
        self, instruction: Instruction, argv: tuple[str, ...], exit_code: int, step: Step
    ) -> BuildFailed:
        source = self.dockerfile.source
        command = " ".join(" ".join(argv).split())
        if len(command) > _SHOWN_COMMAND:
            command = command[:_SHOWN_COMMAND] + "..."
        reason = f'process "{command}" did not complete successfully: exit code: {exit_code}'
        return BuildFailed(
            f"{source.name}:{instruction.first}: RUN failed: {reason}",
            hint="build with --debug-shell for a shell in the state just before this command",
            subject=source.name,
            details=excerpt(source, instruction.first, instruction.last, tuple(step.tail), step.title),
            command_exit_code=exit_code,
            can_debug=True,
            reason=reason,
        )


def _imported(ctx: Context, options: BuildOptions, cancel: CancelEvent | None) -> ImportedCache:
    from runtime.build.cache_transfer import ImportedCache

    return ImportedCache(ctx, options.cache_from, cancel)


def _limit_dates(directory: Path, limit: int) -> None:
    for _, names, files, fd in os.fwalk(directory):
        for name in (*names, *files):
            stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.st_mtime_ns > limit:
                os.utime(name, ns=(limit, limit), dir_fd=fd, follow_symlinks=False)
