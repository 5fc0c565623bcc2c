"""tuidock volume: the group."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import VOLUME

__all__ = ["command"]

command = group("volume", "Manage volumes", VOLUME)
