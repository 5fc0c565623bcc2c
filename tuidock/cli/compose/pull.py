"""tuidock compose pull: the services' images out of their registries."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "pull", usage="[OPTIONS] [SERVICE...]", examples=["tuidock compose pull", "tuidock compose pull web"]
)
@click.option("--ignore-buildable", is_flag=True, help="Ignore images that can be built")
@click.option("--ignore-pull-failures", is_flag=True, help="Pull what it can and ignore images with failures")
@click.option("--include-deps", is_flag=True, help="Also pull services declared as dependencies")
@click.option(
    "--policy", type=click.Choice(["missing", "always"]), default="always", help="Apply pull policy"
)
@click.option("-q", "--quiet", is_flag=True, help="Pull without printing progress information")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    ignore_buildable: bool,
    ignore_pull_failures: bool,
    include_deps: bool,
    policy: str,
    quiet: bool,
    services: tuple[str, ...],
) -> None:
    """Pull service images."""
    project = target.project
    with target.progress("Pulling", quiet=quiet) as (show, cancel):
        target.engine.services.pull(
            project,
            services,
            dependencies=include_deps,
            policy=policy,
            ignore_failures=ignore_pull_failures,
            ignore_buildable=ignore_buildable,
            progress=show,
            cancel=cancel,
        )
