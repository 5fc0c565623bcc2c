"""tuidock pull: images out of a registry."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "pull",
    usage="[OPTIONS] NAME[:TAG|@DIGEST]",
    examples=[
        "tuidock pull python:3-slim",
        "tuidock pull --platform linux/arm64 registry.example.com/team/app:1.2",
        "tuidock pull -a localhost:5000/app",
    ],
)
@click.option("-a", "--all-tags", is_flag=True, help="Download all tagged images in the repository")
@click.option("--disable-content-trust", is_flag=True, default=True, hidden=True)
@click.option("--platform", default="", metavar="PLATFORM", help="Set platform if server is multi-platform")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output")
@click.argument("reference", metavar="NAME")
@pass_invocation
def command(
    invocation: Invocation,
    reference: str,
    all_tags: bool,
    disable_content_trust: bool,
    platform: str,
    quiet: bool,
) -> None:
    """Download an image from a registry."""
    from tuidock.cli.output import emit
    from tuidock.cli.transfer import transfer

    images = invocation.engine.images
    with transfer(quiet=quiet) as (show, cancel):
        if not (quiet or all_tags) and has_no_tag(reference):
            emit("Using default tag: latest")
        pulled = images.pull(reference, platform=platform, all_tags=all_tags, progress=show, cancel=cancel)
    names = [item.reference for item in pulled]
    emit(names[0].rpartition(":")[0] if all_tags else names[0])


def has_no_tag(reference: str) -> bool:
    """Neither tag nor digest, so that "latest" is meant."""
    return "@" not in reference and ":" not in reference.rpartition("/")[2]
