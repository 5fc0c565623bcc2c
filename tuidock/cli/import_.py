"""tuidock import: a root file system becomes an image."""

from __future__ import annotations

import sys

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "import",
    usage="[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
    examples=["tuidock import rootfs.tar.gz mine:latest", "tar -C rootfs -c . | tuidock import - mine"],
)
@click.option(
    "-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help="Apply a Dockerfile instruction"
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Set commit message for imported image")
@click.option("--platform", metavar="PLATFORM", help="Set platform if the image has several (os/arch)")
@click.argument("file")
@click.argument("reference", required=False)
@pass_invocation
def command(
    invocation: Invocation,
    changes: tuple[str, ...],
    message: str,
    platform: str | None,
    file: str,
    reference: str | None,
) -> None:
    """Import the contents from a tarball to create a file system image."""
    from tuidock.cli.output import emit
    from tuidock.cli.progress import progress

    engine = invocation.engine
    with (
        open(file, "rb") if file != "-" else sys.stdin.buffer as source,
        progress("Importing", quiet=not sys.stderr.isatty()) as (show, cancel),
    ):
        image_id = engine.images.import_(
            source, reference, message=message, changes=changes, progress=show, cancel=cancel
        )
    emit(image_id)
