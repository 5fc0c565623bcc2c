"""A monitor with mechanisms switched off: what a test's launcher runs in the place of the real program."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["launcher", "main"]

_REPOSITORY = Path(__file__).resolve().parents[3]


def launcher(directory: Path, names: tuple[str, ...]) -> Path:
    """A program for :mod:`runtime.containers.launch` to spawn; arguments and descriptors pass through it."""
    path = directory / "weakened_monitor.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(_REPOSITORY)!r})\n"
        f"from tests.engine.weakened.monitor import main\nmain({names!r})\n"
    )
    return path


def main(names: tuple[str, ...]) -> None:
    """Switch off, then be the monitor."""
    from tests.engine.weakened import mechanisms

    mechanisms.apply(names, setattr)
    from runtime.monitor import live

    live.begin(sys.argv[1])
