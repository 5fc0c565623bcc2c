"""tuidock container: the group."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import CONTAINER

__all__ = ["command"]

command = group("container", "Manage containers", CONTAINER)
