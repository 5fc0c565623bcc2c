"""tuidock load: images out of an archive."""

from __future__ import annotations

import sys

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "load",
    usage="[OPTIONS]",
    examples=[
        "tuidock load -i images.tar.gz",
        "skopeo copy docker://base docker-archive:/dev/stdout | tuidock load",
    ],
)
@click.option("-i", "--input", "path", metavar="FILE", help="Read from a tar archive file, instead of STDIN")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the load output")
@pass_invocation
def command(invocation: Invocation, path: str | None, quiet: bool) -> None:
    """Load an image from a tar archive or standard input."""
    from runtime.errors import InvalidInput
    from tuidock.cli.output import emit, familiar
    from tuidock.cli.progress import progress

    if path is None and sys.stdin.isatty():
        raise InvalidInput("requested load from stdin, but stdin is empty", hint="name the archive: -i FILE")
    engine = invocation.engine
    with (
        open(path, "rb") if path is not None else sys.stdin.buffer as source,
        progress("Loading", quiet=quiet) as (show, cancel),
    ):
        loaded = engine.images.load(source, progress=show, cancel=cancel)
    for name in loaded:
        emit(f"Loaded image ID: {name}" if name.startswith("sha256:") else f"Loaded image: {familiar(name)}")
