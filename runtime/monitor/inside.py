"""What every process of ours does on its way into a container."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import sys

__all__ = ["refuse_imports", "reset_signals"]


def reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ and a caller may have blocked more; a program expects none of it."""
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
        signal.SIGINT,
        signal.SIGCHLD,
        signal.SIGTERM,
        signal.SIGHUP,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def refuse_imports() -> None:
    """No module is loaded from a directory from here on: below the container's root the search path, and the
    path of a package, name the container's files, which would run with all our privileges (CVE-2019-14271).
    The monitor's archive is an open file and stays."""
    sys.meta_path[:] = [item for item in sys.meta_path if getattr(item, "__name__", "") != "PathFinder"]
    sys.path.clear()
