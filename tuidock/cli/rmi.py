"""tuidock rmi: remove one or more images."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation
from tuidock.cli.output import emit

__all__ = ["command"]


@declare(
    "rmi",
    usage="[OPTIONS] IMAGE [IMAGE...]",
    examples=[
        "tuidock rmi hello:latest",
    ],
)
@click.option("-f", "--force", is_flag=True, help="Force removal of the image")
@click.option("--no-prune", is_flag=True, help="Do not delete untagged parents")
@click.argument("images", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, force: bool, no_prune: bool, images: tuple[str, ...]) -> None:
    """Remove one or more images."""
    engine = invocation.engine

    def remove(name: str) -> None:
        for row in engine.images.remove(name, force=force, prune=not no_prune):
            for word, value in row.items():
                emit(f"{word}: {value}")

    each(images, remove, echo=False, forgive=force)
