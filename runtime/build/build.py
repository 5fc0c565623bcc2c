"""The verb: from a context and a Dockerfile to an image."""

from __future__ import annotations

from dataclasses import replace

from runtime.build.arguments import global_arguments, unused_arguments
from runtime.build.context import open_context
from runtime.build.copy import copy_files
from runtime.build.failure import DockerfileError
from runtime.build.from_ import begin_stage, shown_base
from runtime.build.instructions import Arg, Copy, Instruction, Run, Workdir
from runtime.build.lint import warnings_of
from runtime.build.metadata import apply_metadata, declare_argument
from runtime.build.options import BuildOptions, BuildResult, BuildWarning
from runtime.build.output import check_outputs, export
from runtime.build.parser import parse
from runtime.build.run import run_command
from runtime.build.schedule import Stop, build_in_order
from runtime.build.stages import PlannedStage, plan
from runtime.build.state import StageState
from runtime.build.steps import Report
from runtime.build.substitution import SubstitutionError, expand
from runtime.build.sweep import sweep
from runtime.build.workdir import change_directory
from runtime.build.workspace import Workspace
from runtime.context import Context
from runtime.errors import Cancelled, EngineError, InvalidInput
from runtime.images.leases import lease
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent, ProgressCallback

__all__ = ["build"]

_STEPS = (Run, Copy, Workdir)


def build(
    ctx: Context,
    options: BuildOptions,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> BuildResult:
    """Build the image and tag it. Steps that were done before come from the cache; a failed build keeps the
    layers of the steps that succeeded there, and nothing else.

    Raises InvalidInput and DockerfileError (options, Dockerfile, files), NotFound (FROM), BuildFailed (RUN),
    Cancelled. DockerfileError, BaseNotFound and BuildFailed carry ``details``, several lines for the user.
    """
    for tag in options.tags:
        if Reference.parse(tag).digest:
            raise InvalidInput(f"refusing to create a tag with a digest reference: {tag}", subject=tag)
    if options.network not in ("default", "bridge", "none", "host"):
        raise InvalidInput(f"unknown network for a build: {options.network}", hint="default, none or host")
    check_outputs(options)
    if options.cache_from or options.cache_to:
        from runtime.build.cache_transfer import check_stores

        check_stores((*options.cache_from, *options.cache_to))
    if options.ssh:
        from runtime.build.ssh_keys import check_agents

        check_agents(options.ssh)
    sweep(ctx)
    report = Report(progress)
    stop = Stop(cancel)
    with open_context(ctx, options) as opened:
        source = opened.source
        with report.step(f"[internal] load build definition from {source.name}", counted=False):
            dockerfile = parse(source)
            global_args = global_arguments(dockerfile, options)
            stages = plan(dockerfile, global_args, options.target)
        work = Workspace(
            ctx,
            replace(options, context=opened.directory),
            dockerfile,
            report,
            global_args=global_args,
            ignore_file=opened.ignore_file,
            cancel=stop,
        )
        with lease(ctx), work:
            _advise(work)

            def build_stage(planned: PlannedStage) -> None:
                work.results[planned.stage.index] = _Stage(work, planned).build()

            build_in_order(stages, build_stage, stop, ctx.db.close)
            last = work.results[stages[-1].stage.index]
            image = export(work, last)
            _export_caches(work, last)
    if report.steps > report.cached_steps:
        from runtime.build.prune import collect_garbage

        collect_garbage(ctx)
    tags = tuple(str(Reference.parse(tag)) for tag in options.tags)
    return BuildResult(
        image.id if image else "",
        tags,
        report.cached_steps,
        report.steps,
        tuple(report.warnings),
        image.manifest_digest if image else "",
    )


def _advise(work: Workspace) -> None:
    for warning in warnings_of(work.ctx, work.dockerfile, work.context_tree.ignore):
        work.report.warn(warning)
    unused = unused_arguments(work.dockerfile, work.options)
    if unused:
        work.report.warn(BuildWarning(f"One or more build-args [{' '.join(unused)}] were not consumed"))


def _export_caches(work: Workspace, last: StageState) -> None:
    for store in work.options.cache_to:
        with work.report.step(f"exporting cache to {store.type} {store.place}", counted=False) as step:
            from runtime.build.cache_transfer import export_cache

            try:
                count = export_cache(work.ctx, store, work.cache.records, last.layers, work.cancel)
            except Cancelled:
                raise
            except EngineError as error:
                if not store.ignore_errors:
                    raise
                work.report.warn(BuildWarning(error.message))
                continue
            step.note(f"writing cache of {count} steps done")
    for problem in work.imported.problems if work.imported else ():
        work.report.warn(BuildWarning(problem))


class _Stage:
    """One stage being built."""

    def __init__(self, work: Workspace, planned: PlannedStage) -> None:
        self._work = work
        self._planned = planned
        self._position = 0
        self._total = 0
        index, name = planned.stage.index, planned.stage.name
        skipped = work.options.no_cache_filter
        self._cached = not (name in skipped or str(index) in skipped) if skipped else True

    def build(self) -> StageState:
        planned, work = self._planned, self._work
        state, triggers = begin_stage(work, planned)
        instructions = [*triggers, *planned.stage.instructions]
        from_image = planned.base_stage is None and planned.base != "scratch"
        self._total = from_image + sum(isinstance(item, _STEPS) for item in instructions)
        if from_image:
            with work.report.step(self._title(f"FROM {shown_base(planned.base)}")) as step:
                step.cached = True
        for instruction in instructions:
            work.check_cancelled()
            try:
                self._apply(state, instruction)
            except (Cancelled, DockerfileError):
                raise
            except (EngineError, OSError, ValueError) as error:
                if hasattr(error, "details"):
                    raise
                raise work.failure(instruction, error) from error
        return state

    def _apply(self, state: StageState, instruction: Instruction) -> None:
        work, index = self._work, self._planned.stage.index
        if isinstance(instruction, Arg):
            declare_argument(state, instruction, work.expand_with, work.options.build_args, work.global_args)
        elif isinstance(instruction, _STEPS):
            with work.report.step(self._title(_shown(instruction, state, work))) as step:
                if isinstance(instruction, Run):
                    run_command(work, index, state, instruction, step, cached=self._cached)
                elif isinstance(instruction, Workdir):
                    change_directory(work, state, instruction, step, cached=self._cached)
                else:
                    copy_files(work, index, state, instruction, step, cached=self._cached)
        else:
            apply_metadata(state, instruction, work.expander(state))

    def _title(self, text: str) -> str:
        """BuildKit's: ``[build 2/6] RUN make``; the stage is named when there are several."""
        self._position += 1
        stage = f"{self._planned.title} " if len(self._work.dockerfile.stages) > 1 else ""
        width = len(str(self._total))
        return f"[{stage}{self._position:{width}d}/{self._total}] {text}"


def _shown(instruction: Instruction, state: StageState, work: Workspace) -> str:
    """The instruction on one line, with its variables filled in where they are (not in RUN)."""
    text = " ".join(instruction.text.split())
    if isinstance(instruction, Run):
        return text
    try:
        return expand(text, state.variables(), work.dockerfile.escape, raw=True)
    except SubstitutionError:
        return text
