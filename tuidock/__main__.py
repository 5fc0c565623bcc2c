"""Dispatch only: the command line, which may ask for the interface; each is loaded when it is needed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def interface(root: str | None, project: str | None) -> int:
    """Open the terminal interface, on ``project`` when one is named; the exit code."""
    from tuidock.app import run

    return run(root, project)


def main() -> int:
    """The ``tuidock`` program."""
    from tuidock.cli.main import main as command_line

    return command_line(interface=interface)


if __name__ == "__main__":
    sys.exit(main())
