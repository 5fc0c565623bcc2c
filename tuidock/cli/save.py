"""tuidock save: images into an archive."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "save",
    usage="[OPTIONS] IMAGE [IMAGE...]",
    examples=["tuidock save -o hello.tar hello", "tuidock save hello base | zstd > images.tar.zst"],
)
@click.option("-o", "--output", "path", metavar="FILE", help="Write to a file, instead of STDOUT")
@click.argument("images", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, path: str | None, images: tuple[str, ...]) -> None:
    """Save one or more images to a tar archive (streamed to standard output by default)."""
    from runtime.errors import InvalidInput
    from tuidock.cli.progress import progress

    if path is None and sys.stdout.isatty():
        raise InvalidInput("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    engine = invocation.engine
    if path is None:
        with progress("Saving", quiet=True) as (show, cancel):
            engine.images.save(images, sys.stdout.buffer, progress=show, cancel=cancel)
        return
    target = Path(path)
    if not target.exists() or target.is_file():
        _save_to_file(invocation, images, target)
        return
    with open(path, "wb") as stream, progress("Saving") as (show, cancel):
        engine.images.save(images, stream, progress=show, cancel=cancel)


def _save_to_file(invocation: Invocation, images: tuple[str, ...], target: Path) -> None:
    """Beside the target first and renamed at the end, so that a failure leaves what was there."""
    from tuidock.cli.progress import progress

    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(part, "xb") as stream, progress("Saving") as (show, cancel):
            invocation.engine.images.save(images, stream, progress=show, cancel=cancel)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
