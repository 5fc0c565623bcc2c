"""tuidock compose push: the images that a project builds, to their registries."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "push", usage="[OPTIONS] [SERVICE...]", examples=["tuidock compose push", "tuidock compose push web"]
)
@click.option("--ignore-push-failures", is_flag=True, help="Push what it can and ignore images with failures")
@click.option("--include-deps", is_flag=True, help="Also push images of services declared as dependencies")
@click.option("-q", "--quiet", is_flag=True, help="Push without printing progress information")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    ignore_push_failures: bool,
    include_deps: bool,
    quiet: bool,
    services: tuple[str, ...],
) -> None:
    """Push service images."""
    project = target.project
    with target.progress("Pushing", quiet=quiet) as (show, cancel):
        target.engine.services.push(
            project,
            services,
            dependencies=include_deps,
            ignore_failures=ignore_push_failures,
            progress=show,
            cancel=cancel,
        )
