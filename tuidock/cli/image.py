"""tuidock image: the group."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import IMAGE

__all__ = ["command"]

command = group("image", "Manage images", IMAGE)
