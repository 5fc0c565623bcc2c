"""tuidock compose build: build or rebuild services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "build",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose build",
        "tuidock compose build --no-cache web",
    ],
)
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set build-time variables"
)
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the image")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    build_args: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    quiet: bool,
    services: tuple[str, ...],
) -> None:
    """Build or rebuild services."""
    from tuidock.cli.build_fields import parse_build_args

    project = target.project
    with target.progress("Building", quiet=quiet) as (show, cancel):
        target.engine.services.build(
            project,
            services,
            build_args=parse_build_args(build_args),
            no_cache=no_cache,
            pull=pull,
            progress=show,
            cancel=cancel,
        )
