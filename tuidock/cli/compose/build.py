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
@click.option("-m", "--memory", metavar="SIZE", help="Memory limit of RUN instructions")
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the image")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output")
@click.option("--push", is_flag=True, help="Push service images")
@click.option("--ssh", multiple=True, metavar="default|NAME=SOCKET", help="SSH agent socket to expose")
@click.option("--with-dependencies", "dependencies", is_flag=True, help="Also build dependencies")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    build_args: tuple[str, ...],
    no_cache: bool,
    pull: bool,
    quiet: bool,
    memory: str | None,
    push: bool,
    ssh: tuple[str, ...],
    dependencies: bool,
    services: tuple[str, ...],
) -> None:
    """Build or rebuild services."""
    from runtime.model.parse import parse_size
    from tuidock.cli.build_fields import parse_build_args, parse_ssh

    project = target.project
    with target.progress("Building", quiet=quiet) as (show, cancel):
        target.engine.services.build(
            project,
            services,
            build_args=parse_build_args(build_args),
            no_cache=no_cache,
            pull=pull,
            push=push,
            dependencies=dependencies,
            memory=parse_size(memory) if memory else None,
            ssh=parse_ssh(ssh),
            progress=show,
            cancel=cancel,
        )
