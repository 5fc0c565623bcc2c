"""tuidock image bootstrap: the base image."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "bootstrap",
    usage="[OPTIONS] [NAME]",
    examples=["tuidock image bootstrap", "tuidock image bootstrap mybase:1", "tuidock run --rm -it base sh"],
)
@click.option("-q", "--quiet", is_flag=True, help="Suppress the progress output")
@click.argument("name", default="base:latest")
@pass_invocation
def command(invocation: Invocation, quiet: bool, name: str) -> None:
    """Assemble a base image out of this machine's own files."""
    from tuidock.cli.output import emit
    from tuidock.cli.progress import progress

    engine = invocation.engine
    with progress("Bootstrapping", quiet=quiet) as (show, cancel):
        image_id = engine.images.bootstrap(name, progress=show, cancel=cancel)
    emit(image_id)
