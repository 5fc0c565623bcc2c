"""tuidock tag: create a tag TARGET_IMAGE that refers to SOURCE_IMAGE."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "tag",
    usage="SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    examples=[
        "tuidock tag hello hello:v1",
    ],
)
@click.argument("source")
@click.argument("target")
@pass_invocation
def command(invocation: Invocation, source: str, target: str) -> None:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE."""
    invocation.engine.images.tag(source, target)
