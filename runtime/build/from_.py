"""FROM: what a stage begins with."""

from __future__ import annotations

from runtime.build.failure import BaseNotFound, DockerfileError, excerpt
from runtime.build.instructions import Instruction
from runtime.build.lexer import Source
from runtime.build.parser import parse_trigger
from runtime.build.stages import PlannedStage
from runtime.build.state import StageState
from runtime.build.workspace import Workspace
from runtime.errors import Denied, NotFound, Unavailable
from runtime.images.ensure import ensure_image
from runtime.images.oci import host_architecture
from runtime.images.reference import Reference
from runtime.model.event import Progress
from runtime.model.image import Image

__all__ = ["base_image", "begin_stage", "shown_base"]


def begin_stage(work: Workspace, planned: PlannedStage) -> tuple[StageState, list[Instruction]]:
    """The stage's first state, and the instructions that the image's ONBUILD triggers add. Raises
    BaseNotFound, DockerfileError."""
    _check_platform(work, planned)
    if planned.base_stage is not None:
        return work.results[planned.base_stage].child(), []
    if planned.base == "scratch":
        return StageState.scratch(), []
    image = _image(work, planned)
    triggers: list[Instruction] = []
    for trigger in image.config.on_build:
        source = Source(f"ONBUILD of {planned.base}", trigger)
        triggers += parse_trigger(source, work.dockerfile.escape)
    return StageState.of_image(image), triggers


def _image(work: Workspace, planned: PlannedStage) -> Image:
    given = work.options.build_contexts.get(planned.base, "")
    name = given.removeprefix("docker-image://") or planned.base
    source, line = work.dockerfile.source, planned.stage.base.first
    try:
        return base_image(work, name)
    except (NotFound, Denied, Unavailable) as error:
        known = error.message.startswith("no such image")
        why = "" if known else f" here, and it was not pulled: {error.message}"
        raise BaseNotFound(
            f"{source.name}:{line}: FROM {planned.base}: no such image: {name}{why}",
            hint=error.hint
            if why and error.hint
            else "tuidock image ls lists the images; tuidock image bootstrap makes base:latest"
            if name.partition(":")[0] == "base"
            else "tuidock image ls lists the images; load, import or build it first",
            subject=name,
            details=excerpt(source, line, planned.stage.base.last),
        ) from error


def base_image(work: Workspace, name: str) -> Image:
    """An image that the build stands on or copies from: pulled when it is missing, or always with ``--pull``.
    Raises what :func:`runtime.images.ensure.ensure_image` raises."""
    if not work.options.pull:
        try:
            return ensure_image(work.ctx, name, policy="never")
        except NotFound:
            if name.startswith("sha256:"):
                raise
    with work.report.step(f"[internal] pull {name}", counted=False) as step:

        def tell(event: Progress) -> None:
            if event.current is None:
                step.line(f"{event.id}: {event.stage}" if event.id else event.stage)

        policy = "always" if work.options.pull else "missing"
        return ensure_image(work.ctx, name, policy=policy, progress=tell, cancel=work.cancel)


def _check_platform(work: Workspace, planned: PlannedStage) -> None:
    """Only this machine's platform can be built; others are refused, not ignored."""
    wanted = planned.platform or work.options.platform
    if not wanted:
        return
    parts = wanted.lower().split("/")
    arch = parts[1] if len(parts) > 1 else parts[0]
    names = {host_architecture(), {"amd64": "x86_64", "arm64": "aarch64"}.get(host_architecture(), "")}
    if (len(parts) > 1 and parts[0] != "linux") or (arch not in names and wanted != "linux"):
        raise DockerfileError.at(
            work.dockerfile.source,
            planned.stage.base.first,
            f"FROM {planned.base}: cannot build for the platform {wanted}",
            hint=f"this machine is linux/{host_architecture()}",
        )


def shown_base(name: str) -> str:
    """The full reference, as docker shows it in a build's progress."""
    return str(Reference.parse(name))
