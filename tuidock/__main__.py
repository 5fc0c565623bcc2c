"""Dispatch only: the command line, which may ask for the interface; each is loaded when it is needed."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main", "program"]

_USUAL = gc.get_threshold()
_PATIENCE = 100_000
"""Allocations between looks for garbage in cycles: a command ends before it has made much."""


def interface(root: str | None, project: str | None) -> int:
    """Open the terminal interface, on ``project`` when one is named; the exit code."""
    gc.set_threshold(*_USUAL)
    from tuidock.app import run

    return run(root, project)


def main(*, ends: bool = False) -> int:
    """The ``tuidock`` program. ``ends``: nothing of the process is needed after it."""
    from tuidock.cli.main import main as command_line

    return command_line(interface=interface, ends=ends)


def program() -> int:
    """:func:`main` as a process of its own, which ends with it.

    Modules and what they hold are not taken apart one by one (a tenth of ``ps``): a command has flushed its
    output and closed its database, and the kernel takes the rest. The interface ends in the usual way, since
    its workers may still be busy.
    """
    gc.set_threshold(_PATIENCE)
    from runtime.later import postpone_usual

    postpone_usual()
    code = main(ends=True)
    if "tuidock.app" in sys.modules:
        return code
    sys.stderr.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    sys.exit(program())
