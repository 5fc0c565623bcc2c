"""tuidock network: the group."""

from __future__ import annotations

from tuidock.cli.command import group
from tuidock.cli.commands import NETWORK

__all__ = ["command"]

command = group("network", "Manage networks", NETWORK)
