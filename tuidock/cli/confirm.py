"""Questions before something is lost."""

from __future__ import annotations

import click

__all__ = ["agreed"]


def agreed(warning: str, force: bool) -> bool:
    """docker's: a warning, then [y/N]; only "y" goes on. Without anybody to ask the answer is no."""
    if force:
        return True
    click.echo(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", nl=False)
    try:
        return input().strip().lower() == "y"
    except EOFError:
        click.echo()
        return False
