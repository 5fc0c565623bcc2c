"""tuidock push: images to a registry."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "push",
    usage="[OPTIONS] NAME[:TAG]",
    examples=[
        "tuidock tag hello localhost:5000/hello",
        "tuidock push localhost:5000/hello",
        "tuidock push -a localhost:5000/hello",
    ],
)
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of an image to the repository")
@click.option("--disable-content-trust", is_flag=True, default=True, hidden=True)
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output")
@click.argument("reference", metavar="NAME")
@pass_invocation
def command(
    invocation: Invocation, reference: str, all_tags: bool, disable_content_trust: bool, quiet: bool
) -> None:
    """Upload an image to a registry."""
    from tuidock.cli.output import emit
    from tuidock.cli.pull import has_no_tag
    from tuidock.cli.transfer import transfer

    with transfer(quiet=quiet) as (show, cancel):
        if not (quiet or all_tags) and has_no_tag(reference):
            emit("Using default tag: latest")
        pushed = invocation.engine.images.push(reference, all_tags=all_tags, progress=show, cancel=cancel)
    if quiet:
        for item in pushed:
            emit(item.reference)
