"""tuidock export: a container's file system as a tar archive."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "export",
    usage="[OPTIONS] CONTAINER",
    examples=["tuidock export -o web.tar web", "tuidock export web | tar -t"],
)
@click.option("-o", "--output", "path", metavar="FILE", help="Write to a file, instead of STDOUT")
@click.argument("container")
@pass_invocation
def command(invocation: Invocation, path: str | None, container: str) -> None:
    """Export a container's filesystem as a tar archive."""
    from runtime.errors import InvalidInput, NotFound
    from tuidock.cli.progress import progress

    if path is None:
        if sys.stdout.isatty():
            raise InvalidInput("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
        invocation.engine.containers.export(container, sys.stdout.buffer)
        return
    target = Path(path)
    if not target.parent.is_dir():
        raise NotFound(f'invalid output path: directory "{target.parent}" does not exist', subject=path)
    if target.is_dir():
        raise InvalidInput(f'invalid output path: "{path}" is a directory', subject=path)
    engine = invocation.engine
    if target.exists() and not target.is_file():
        with (
            open(path, "wb") as stream,
            progress("Exporting", quiet=not sys.stderr.isatty()) as (show, cancel),
        ):
            engine.containers.export(container, stream, progress=show, cancel=cancel)
        return
    # Beside the target first and renamed at the end, so that a failure leaves what was there.
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            open(part, "xb") as stream,
            progress("Exporting", quiet=not sys.stderr.isatty()) as (show, cancel),
        ):
            engine.containers.export(container, stream, progress=show, cancel=cancel)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
