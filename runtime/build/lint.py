"""Advice about a Dockerfile as warnings: what every build tells, and the verb that only tells."""

from __future__ import annotations

import re

from runtime.build.arguments import global_arguments
from runtime.build.check import Finding, check, findings_are_errors
from runtime.build.context import open_context, read_ignore_file
from runtime.build.dockerignore import IgnoreRules
from runtime.build.failure import DockerfileError, excerpt
from runtime.build.instructions import Dockerfile
from runtime.build.options import BuildOptions, BuildWarning
from runtime.build.parser import parse
from runtime.build.stages import plan
from runtime.context import Context
from runtime.errors import EngineError
from runtime.images.list import get_image

__all__ = ["check_build", "warnings_of"]

_RULES_AT = "https://docs.docker.com/go/dockerfile/rule/"


def check_build(ctx: Context, options: BuildOptions) -> tuple[BuildWarning, ...]:
    """Everything that can be said without running a step, by line. Raises DockerfileError for what a build
    would refuse."""
    with open_context(ctx, options) as opened:
        dockerfile = parse(opened.source)
        plan(dockerfile, global_arguments(dockerfile, options), options.target)
        return tuple(_warnings(ctx, dockerfile, read_ignore_file(opened.ignore_file)))


def warnings_of(ctx: Context, dockerfile: Dockerfile, ignore: IgnoreRules) -> list[BuildWarning]:
    """Raises DockerfileError where the Dockerfile's ``check`` directive makes findings errors."""
    found = _warnings(ctx, dockerfile, ignore)
    if found and findings_are_errors(dockerfile):
        raise DockerfileError.at(
            dockerfile.source,
            found[0].line,
            f"{found[0].rule}: {found[0].message}",
            hint="the Dockerfile's check directive makes findings errors",
        )
    return found


def _warnings(ctx: Context, dockerfile: Dockerfile, ignore: IgnoreRules) -> list[BuildWarning]:
    def environment(base: str) -> list[str] | None:
        try:
            return [item.partition("=")[0] for item in get_image(ctx, base).config.env]
        except EngineError:
            return None

    return [_warning(dockerfile, finding) for finding in check(dockerfile, ignore, environment)]


def _warning(dockerfile: Dockerfile, finding: Finding) -> BuildWarning:
    page = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", finding.rule).lower()
    return BuildWarning(
        finding.message,
        finding.rule,
        finding.line,
        f"{_RULES_AT}{page}/",
        excerpt(dockerfile.source, finding.line, finding.line),
    )
