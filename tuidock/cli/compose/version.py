"""tuidock compose version: show the compose version information."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "version",
    usage="[OPTIONS]",
    examples=[
        "tuidock compose version",
    ],
)
@click.option("--short", is_flag=True, help="Shows only the version number")
@pass_target
def command(target: Target, short: bool) -> None:
    """Show the compose version information."""
    from tuidock import __version__

    click.echo(__version__ if short else f"tuidock compose version {__version__}")
