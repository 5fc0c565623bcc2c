"""tuidock build: an image from a Dockerfile."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command", "parse_build_args"]


def parse_build_args(items: tuple[str, ...]) -> dict[str, str]:
    """ "NAME=VALUE", or "NAME" for the caller's value; a name that has none is left out, as docker does."""
    from runtime.model.parse import parse_env

    pairs = [item.partition("=") for item in parse_env(items)]
    return {name: value for name, _, value in pairs}


@declare(
    "build",
    usage="[OPTIONS] PATH | -",
    examples=[
        "tuidock build -t hello .",
        "tuidock build -f docker/Dockerfile --build-arg V=2 --target test .",
    ],
)
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set build-time variables"
)
@click.option(
    "-f", "--file", "dockerfile", metavar="PATH", help="Name of the Dockerfile (default: PATH/Dockerfile)"
)
@click.option("--force-rm", is_flag=True, hidden=True)
@click.option("--iidfile", metavar="FILE", help="Write the image ID to the file")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Set metadata for an image")
@click.option("--network", default="default", metavar="MODE", help="Networking of RUN: default, none or host")
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@click.option(
    "--progress",
    "style",
    default="auto",
    type=click.Choice(["auto", "plain", "tty", "quiet"]),
    help="Type of progress output",
)
@click.option("--pull", is_flag=True, help="Always attempt to pull all referenced images")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print image ID on success")
@click.option("--rm", is_flag=True, hidden=True)
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name and optionally a tag")
@click.option("--target", default="", metavar="STAGE", help="Set the target build stage to build")
@click.argument("path")
@pass_invocation
def command(
    invocation: Invocation,
    build_args: tuple[str, ...],
    dockerfile: str | None,
    force_rm: bool,
    iidfile: str | None,
    labels: tuple[str, ...],
    network: str,
    no_cache: bool,
    style: str,
    pull: bool,
    quiet: bool,
    rm: bool,
    tags: tuple[str, ...],
    target: str,
    path: str,
) -> None:
    """Build an image from a Dockerfile."""
    from runtime.build.options import BuildOptions
    from runtime.errors import InvalidInput, NotFound
    from tuidock.cli.container_config import parse_labels
    from tuidock.cli.output import emit
    from tuidock.cli.progress import progress

    if path == "-":
        raise InvalidInput(
            "a build context on standard input is not supported", hint="name a directory: tuidock build ."
        )
    context = Path(path)
    if not context.is_dir():
        raise NotFound(
            f"unable to prepare context: path {path!r} not found", hint="name a directory", subject=path
        )
    if network not in ("default", "none", "host"):
        raise InvalidInput(
            f"--network: {network!r} is not supported in a build", hint="default, none or host"
        )
    options = BuildOptions(
        context=context,
        dockerfile=Path(dockerfile) if dockerfile is not None else None,
        tags=tags,
        build_args=parse_build_args(build_args),
        target=target,
        no_cache=no_cache,
        labels=parse_labels(labels),
        pull=pull,
        network=network,
    )
    engine = invocation.engine
    with progress("Building", style=style, quiet=quiet) as (show, cancel):
        result = engine.build(options, progress=show, cancel=cancel)
    if iidfile is not None:
        Path(iidfile).write_text(result.image_id, encoding="ascii")
    if quiet or not sys.stdout.isatty():
        emit(result.image_id)
