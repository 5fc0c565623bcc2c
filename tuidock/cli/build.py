"""tuidock build: an image from a Dockerfile."""

from __future__ import annotations

import sys
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.build.options import BuildOptions, Secret

__all__ = ["command", "parse_build_args"]

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""gzip, bzip2, xz, zstd."""


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
        "tuidock build -t made - < Dockerfile",
    ],
)
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set build-time variables"
)
@click.option(
    "-f", "--file", "dockerfile", metavar="PATH", help="Name of the Dockerfile (default: PATH/Dockerfile)"
)
@click.option("--add-host", "hosts", multiple=True, metavar="HOST:IP", help="Add a custom host-to-IP mapping")
@click.option(
    "--build-context", "contexts", multiple=True, metavar="NAME=PATH", help="Additional build contexts"
)
@click.option("--force-rm", is_flag=True, hidden=True)
@click.option("--iidfile", metavar="FILE", help="Write the image ID to the file")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Set metadata for an image")
@click.option("--network", default="default", metavar="MODE", help="Networking of RUN: default, none or host")
@click.option("--no-cache-filter", multiple=True, metavar="STAGE", help="Do not cache specified stages")
@click.option(
    "--secret", "secrets", multiple=True, metavar="id=NAME[,src=FILE|env=VAR]", help="Secret to expose"
)
@click.option("--shm-size", metavar="SIZE", help="Shared memory size for build containers")
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@click.option(
    "--progress",
    "style",
    default="auto",
    type=click.Choice(["auto", "plain", "tty", "quiet"]),
    help="Type of progress output",
)
@click.option("--platform", default="", metavar="OS/ARCH", help="Set target platform for build")
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
    contexts: tuple[str, ...],
    hosts: tuple[str, ...],
    secrets: tuple[str, ...],
    shm_size: str | None,
    no_cache_filter: tuple[str, ...],
    dockerfile: str | None,
    force_rm: bool,
    iidfile: str | None,
    labels: tuple[str, ...],
    network: str,
    no_cache: bool,
    style: str,
    platform: str,
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
    from runtime.model.parse import parse_size
    from tuidock.cli.container_config import parse_labels
    from tuidock.cli.output import emit
    from tuidock.cli.progress import progress

    context = Path(path)
    if path != "-" and not context.is_dir():
        raise NotFound(
            f"unable to prepare context: path {path!r} not found", hint="name a directory", subject=path
        )
    if network not in ("default", "none", "host"):
        raise InvalidInput(
            f"--network: {network!r} is not supported in a build", hint="default, none or host"
        )
    if path == "-" and dockerfile == "-":
        raise InvalidInput("invalid argument: can't use stdin for both build context and dockerfile")
    options = BuildOptions(
        context=context,
        dockerfile=Path(dockerfile) if dockerfile not in (None, "-") and dockerfile is not None else None,
        dockerfile_text=_text_of_stdin() if dockerfile == "-" else None,
        tags=tags,
        build_args=parse_build_args(build_args),
        target=target,
        no_cache=no_cache,
        labels=parse_labels(labels),
        pull=pull,
        network=network,
        platform=platform,
        no_cache_filter=no_cache_filter,
        secrets=tuple(_secret(text) for text in secrets),
        build_contexts=parse_labels(contexts),
        extra_hosts=hosts,
    )
    if shm_size is not None:
        options = replace(options, shm_size=parse_size(shm_size))
    if path == "-":
        options = _context_of_stdin(options)
    engine = invocation.engine
    with progress("Building", style=style, quiet=quiet) as (show, cancel):
        result = engine.build(options, progress=show, cancel=cancel)
    if iidfile is not None:
        Path(iidfile).write_text(result.image_id, encoding="ascii")
    if quiet or not sys.stdout.isatty():
        emit(result.image_id)


def _secret(text: str) -> Secret:
    """id=NAME with src=FILE or env=VARIABLE; NAME alone is the variable, or the file, of that name."""
    import os

    from runtime.build.options import Secret
    from runtime.errors import InvalidInput

    fields = dict(part.partition("=")[::2] for part in text.split(","))
    name = fields.get("id", "")
    unknown = set(fields) - {"id", "src", "source", "env", "type"}
    if not name or unknown:
        raise InvalidInput(
            f"invalid secret {text!r}", hint="id=NAME,src=FILE or id=NAME,env=VARIABLE", subject=text
        )
    file = fields.get("src") or fields.get("source")
    variable = fields.get("env") or (name if file is None and name in os.environ else None)
    if variable is not None and file is None:
        return Secret(name, variable=variable)
    return Secret(name, file=Path(file or name))


def _text_of_stdin() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def _context_of_stdin(options: BuildOptions) -> BuildOptions:
    """An archive is the context; anything else is the Dockerfile of an empty one, as docker has it."""
    import tempfile

    head = sys.stdin.buffer.peek(512)[:512] if isinstance(sys.stdin.buffer, BufferedReader) else b""
    empty = tempfile.TemporaryDirectory(prefix="tuidock-context-")
    click.get_current_context().call_on_close(empty.cleanup)
    options = replace(options, context=Path(empty.name))
    if head.startswith(_COMPRESSED) or head[257:262] == b"ustar":
        return replace(options, context_archive=sys.stdin.buffer)
    return replace(options, dockerfile_text=_text_of_stdin())
