"""From an exception to what the user reads; the command line and the interface share it."""

from __future__ import annotations

import errno
import os
import sqlite3
from dataclasses import dataclass

from runtime.errors import (
    Cancelled,
    CommandNotFound,
    CommandNotRunnable,
    Conflict,
    Denied,
    EngineError,
    InvalidInput,
    NotFound,
    Unavailable,
)

__all__ = ["Report", "describe"]


@dataclass(frozen=True)
class Report:
    """``message`` is one line; ``hint`` says what to do ("" when there is nothing to say); ``details`` is
    an excerpt of several lines (a Dockerfile's, a command's last output) that goes before it."""

    title: str
    message: str
    hint: str
    exit_code: int
    details: str = ""


_TITLES: tuple[tuple[type[EngineError], str], ...] = (
    (Cancelled, "Cancelled"),
    (CommandNotFound, "Command not found"),
    (CommandNotRunnable, "Command not executable"),
    (NotFound, "Not found"),
    (Conflict, "Conflict"),
    (InvalidInput, "Invalid input"),
    (Denied, "Permission denied"),
    (Unavailable, "Unavailable"),
)
_OS_HINTS = {
    errno.ENOSPC: "the disk is full: tuidock system prune frees space",
    errno.EDQUOT: "your quota is used up: tuidock system prune frees space",
    errno.EROFS: "the file system is mounted read-only",
    errno.EMFILE: "too many open files: raise the limit with ulimit -n",
    errno.ENFILE: "too many open files on this machine",
}


_NO_SPACE = ("SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")
"""What SQLite says, instead of SQLITE_FULL, when it is its own shared index that finds no space."""


def describe(error: BaseException) -> Report:
    """Never raises. An exception that nobody foresaw becomes one line that names it."""
    if isinstance(error, EngineError):
        title = next((title for kind, title in _TITLES if isinstance(error, kind)), "Failed")
        details = getattr(error, "details", "")
        return Report(
            title,
            _one_line(error.message),
            error.hint or "",
            error.exit_code,
            details if isinstance(details, str) else "",
        )
    if isinstance(error, KeyboardInterrupt):
        return Report("Interrupted", "interrupted", "", 130)
    if isinstance(error, sqlite3.Error):
        return _database(error)
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, MemoryError):
        return Report("Out of memory", "this machine has no memory left", "", 125)
    kind = type(error).__name__
    text = _one_line(str(error))
    message = f"internal error: {kind}: {text}" if text else f"internal error: {kind}"
    return Report("Internal error", message, "run it again with --debug for the traceback", 125)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _database(error: sqlite3.Error) -> Report:
    text = str(error)
    if "readonly" in text or "unable to open" in text:
        return Report("Permission denied", f"cannot use the database: {text}", _privilege_hint(), 125)
    if "locked" in text:
        hint = "another command holds it for very long: try again"
        return Report("Unavailable", "the database is locked", hint, 125)
    if "full" in text or getattr(error, "sqlite_errorname", "").startswith(_NO_SPACE):
        return Report("Unavailable", f"cannot write the database: {text}", _OS_HINTS[errno.ENOSPC], 125)
    hint = "it may be damaged: --debug shows where it was read"
    return Report("Failed", f"cannot use the database: {_one_line(text)}", hint, 125)


def _system(error: OSError) -> Report:
    reason = error.strerror or _one_line(str(error)) or type(error).__name__
    named = error.filename if error.filename is not None else ""
    if isinstance(named, bytes):
        named = named.decode("utf-8", "replace")
    message = f"{named}: {reason}" if named else reason
    if isinstance(error, PermissionError) or error.errno == errno.EPERM:
        return Report("Permission denied", message, _privilege_hint(), 125)
    if isinstance(error, FileNotFoundError):
        return Report("Not found", message, "", 125)
    return Report("Failed", message, _OS_HINTS.get(error.errno or 0, ""), 125)


def _privilege_hint() -> str:
    return "tuidock needs root privileges: try sudo" if os.geteuid() != 0 else ""
