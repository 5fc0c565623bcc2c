"""tuidock commit: an image out of a container's changes."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "commit",
    usage="[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    examples=[
        "tuidock commit web web:tried",
        "tuidock commit -m 'with curl' -a 'Ann <ann@example.org>' web web:curl",
        "tuidock commit -c 'CMD [\"nginx\"]' -c 'ENV MODE=test' web web:test",
    ],
)
@click.option("-a", "--author", default="", metavar="TEXT", help='Author (e.g., "Ann <ann@example.org>")')
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Apply Dockerfile instruction to the created image",
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Commit message")
@click.option("-p", "--pause/--no-pause", default=True, help="Pause container during commit (default true)")
@click.argument("container")
@click.argument("reference", required=False)
@pass_invocation
def command(
    invocation: Invocation,
    author: str,
    changes: tuple[str, ...],
    message: str,
    pause: bool,
    container: str,
    reference: str | None,
) -> None:
    """Create a new image from a container's changes."""
    from tuidock.cli.output import emit

    emit(
        invocation.engine.containers.commit(
            container, reference, author=author, message=message, changes=changes, pause=pause
        )
    )
