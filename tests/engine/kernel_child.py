"""Running a piece of code in a child process of its own, where it may change namespaces and roots."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["run_child"]

REPOSITORY = Path(__file__).parents[2]

_PRELUDE = f"""
import os, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from runtime.kernel import syscalls as S
from runtime.kernel import capabilities, locks, mounts, namespaces, pidfd, rootpath, seccomp, terminals
from runtime import cgroups

def entry(destination, type, source, flags=0, data="", propagation=0, extra=None):
    return dict(destination=destination, type=type, source=source, flags=flags, data=data,
                propagation=propagation, extra=extra or {{}})

def attempt(function, *arguments):
    '''The result, or the error's name.'''
    import errno
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
"""


def run_child(code: str, *arguments: str, timeout: float = 30) -> list[str]:
    """The lines that ``code`` prints; ``sys.argv[1:]`` are ``arguments``. A failure shows its traceback."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", _PRELUDE + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
