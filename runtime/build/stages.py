"""The stage graph: what each stage stands on and copies from, and which ones the target needs."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.build.failure import DockerfileError
from runtime.build.instructions import Copy, Dockerfile, Run, Stage
from runtime.build.mounts import MountError, parse_mount
from runtime.build.substitution import SubstitutionError, expand
from runtime.model.record import record

__all__ = ["PlannedStage", "plan", "stage_reference"]


@record
class PlannedStage:
    """``base`` is FROM's image name, expanded; ``base_stage`` the index when it is an earlier stage."""

    stage: Stage
    base: str
    base_stage: int | None
    platform: str
    needs: frozenset[int]

    @property
    def title(self) -> str:
        """How progress calls it."""
        return self.stage.name or f"stage-{self.stage.index}"


def plan(dockerfile: Dockerfile, variables: Mapping[str, str], target: str = "") -> list[PlannedStage]:
    """The stages that the target (default: the last) needs, in the order to build them, the target last.
    Raises DockerfileError."""
    planned = [_planned(dockerfile, stage, variables) for stage in dockerfile.stages]
    last = _target(dockerfile, target)
    wanted: set[int] = set()
    pending = [last]
    while pending:
        index = pending.pop()
        if index not in wanted:
            wanted.add(index)
            pending.extend(planned[index].needs)
    return [planned[index] for index in sorted(wanted)]


def _target(dockerfile: Dockerfile, target: str) -> int:
    if not target:
        return len(dockerfile.stages) - 1
    found = stage_reference(dockerfile, target, len(dockerfile.stages))
    if found is not None:
        return found
    names = [stage.name for stage in dockerfile.stages if stage.name]
    raise DockerfileError(
        f"{dockerfile.source.name}: target stage {target!r} could not be found",
        hint=f"stages: {', '.join(names)}" if names else "no stage has a name; give its number, from 0",
        subject=target,
    )


def stage_reference(dockerfile: Dockerfile, name: str, before: int) -> int | None:
    """The index of the stage, among those before ``before``, that a name or a number means."""
    for stage in reversed(dockerfile.stages[:before]):
        if stage.name and stage.name == name.lower():
            return stage.index
    if name.isdigit() and int(name) < before:
        return int(name)
    return None


def _planned(dockerfile: Dockerfile, stage: Stage, variables: Mapping[str, str]) -> PlannedStage:
    source, line = dockerfile.source, stage.base.first
    try:
        base = expand(stage.base.image, variables, dockerfile.escape)
        platform = expand(stage.base.platform, variables, dockerfile.escape)
    except SubstitutionError as error:
        raise DockerfileError.at(source, line, f"FROM {stage.base.image}: {error}") from None
    if not base:
        raise DockerfileError.at(
            source,
            line,
            f"FROM: the base name ({stage.base.image}) is blank",
            hint="an ARG that FROM uses stands before the first FROM and has a value",
        )
    base_stage = _named(dockerfile, base, stage.index)
    needs = {base_stage} if base_stage is not None else set()
    for instruction in stage.instructions:
        names: list[str] = []
        if isinstance(instruction, Copy) and instruction.from_:
            names.append(instruction.from_)
        if isinstance(instruction, Run):
            try:
                names += [mount.from_ for text in instruction.mounts if (mount := parse_mount(text)).from_]
            except MountError as error:
                raise DockerfileError.at(source, instruction.first, f"RUN: {error}") from None
        for name in names:
            if name.isdigit() and int(name) >= stage.index:
                raise DockerfileError.at(
                    source,
                    instruction.first,
                    f"{instruction.keyword} --from={name}: there is no stage {name} before this one",
                    last=instruction.last,
                    hint="stages are numbered from 0",
                )
            found = stage_reference(dockerfile, name, stage.index)
            if found is not None:
                needs.add(found)
    return PlannedStage(stage, base, base_stage, platform, frozenset(needs))


def _named(dockerfile: Dockerfile, name: str, before: int) -> int | None:
    """FROM takes names of stages only, not numbers."""
    return None if name.isdigit() else stage_reference(dockerfile, name, before)
