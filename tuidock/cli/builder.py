"""tuidock builder, and buildx: the groups."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import BUILDER

__all__ = ["buildx", "command"]

command = group("builder", "Manage builds", BUILDER)
buildx = group("buildx", "Manage builds", BUILDER)
