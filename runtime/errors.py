"""The engine's exceptions, classed by what the caller can do about them.

::

    EngineError
     +-- NotFound        no such container, image, network, volume, file ...
     +-- Conflict        a name or a port is taken; the state does not allow it
     +-- InvalidInput    a value, a file or an option is wrong
     +-- Denied          no privilege, or a security rule forbids it
     +-- Unavailable     the kernel, the network or a registry cannot do it (now)
     +-- Failed          something that we ran or did failed
     |    +-- CommandNotFound    the container's command does not exist (127)
     |    +-- CommandNotRunnable the container's command cannot be executed (126)
     +-- Cancelled       the caller's cancel event was set
     +-- Internal        a bug of ours

``SyscallError`` (in :mod:`runtime.kernel.syscalls`) is an ``OSError`` and not in this tree: it is
translated once, at the verb's boundary, with ``from``.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "CommandNotFound",
    "CommandNotRunnable",
    "Conflict",
    "Denied",
    "EngineError",
    "Failed",
    "Internal",
    "InvalidInput",
    "NotFound",
    "Unavailable",
]


class EngineError(Exception):
    """One line that says what failed and on what, a hint that says what to do.

    ``exit_code`` is docker's for the class: 125 for the engine's own errors in ``run``, ``create``,
    ``start`` and ``exec``; other commands exit with 1 (the command line decides).
    """

    exit_code = 125

    def __init__(self, message: str, *, hint: str | None = None, subject: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject


class NotFound(EngineError):
    """There is no such object."""


class Conflict(EngineError):
    """A name, a port or a state stands in the way."""


class InvalidInput(EngineError):
    """A value, a file or an option is wrong."""


class Denied(EngineError):
    """No privilege, or a security rule forbids it."""


class Unavailable(EngineError):
    """The kernel, the network or a registry cannot do it now."""


class Failed(EngineError):
    """Something that we ran or did failed."""


class CommandNotFound(Failed):
    """The container's command does not exist in its root file system."""

    exit_code = 127


class CommandNotRunnable(Failed):
    """The container's command exists and cannot be executed."""

    exit_code = 126


class Cancelled(EngineError):
    """The caller's cancel event was set; nothing is left half-made."""

    exit_code = 130


class Internal(EngineError):
    """A bug of ours."""
