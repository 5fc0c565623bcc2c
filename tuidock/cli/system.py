"""tuidock system: the group."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import SYSTEM

__all__ = ["command"]

command = group("system", "Manage tuidock", SYSTEM)
