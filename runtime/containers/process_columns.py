"""The columns of ``top``: ps(1)'s format specifiers, read from the host's /proc by psutil.

``top`` takes ps's options as docker does, but runs no ps: what selects processes (``-e``, ``a``, ``x``) is
accepted and changes nothing, since a container's processes are the selection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput

if TYPE_CHECKING:
    from psutil import Process

__all__ = ["Column", "columns"]

Column = tuple[str, Callable[["Process"], str]]
"""A header, and the text of a process under it."""

_FULL = ("uid=UID", "pid", "ppid", "c", "stime", "tty=TTY", "time", "cmd")
_USER = (
    *("user", "pid", "%cpu", "%mem", "vsz", "rss", "tty=TTY", "stat"),
    *("bsdstart=START", "bsdtime=TIME", "command"),
)
_JOBS = ("pid", "pgid", "sid", "tty=TTY", "time", "comm=CMD")
_PLAIN = ("pid", "tty=TTY", "time", "comm=CMD")
_STATES = {
    "running": "R",
    "sleeping": "S",
    "disk-sleep": "D",
    "stopped": "T",
    "tracing-stop": "t",
    "zombie": "Z",
    "dead": "X",
    "idle": "I",
}
_DAY = 86_400


def columns(options: Sequence[str]) -> list[Column]:
    """What ps(1) would show for ``options`` ("-ef" for none). Raises InvalidInput."""
    wanted: list[str] = []
    form: Sequence[str] = _PLAIN if options else _FULL
    rest = list(options)
    while rest:
        word = rest.pop(0)
        letters = word.removeprefix("-")
        if word.startswith("--format"):
            name, equals, value = word.partition("=")
            if name != "--format":
                raise _unknown(word)
            wanted += _specifiers(value if equals else _argument(rest, word))
            continue
        before, has_list, attached = letters.partition("o")
        if word.startswith("--") or not letters or set(before) - set("AaefFjlrTuwxd"):
            raise _unknown(word)
        if has_list:
            wanted += _specifiers(attached or _argument(rest, word))
        elif "u" in before:
            form = _USER
        elif "f" in before or "F" in before:
            form = _FULL
        elif "j" in before or "l" in before:
            form = _JOBS
    return [_column(item) for item in wanted or form]


def _argument(rest: list[str], word: str) -> str:
    if not rest:
        raise InvalidInput(f"ps: error: format specification must follow {word}", hint="-o pid,comm")
    return rest.pop(0)


def _specifiers(text: str) -> list[str]:
    """ "pid,comm" or "pid comm"; after "=" everything is a header."""
    head, equals, title = text.partition("=")
    names = head.replace(",", " ").split()
    if not names:
        raise InvalidInput("ps: error: improper format list", hint="-o pid,comm", subject=text)
    return [*names[:-1], f"{names[-1]}{equals}{title}"]


def _unknown(word: str) -> InvalidInput:
    return InvalidInput(
        f"ps: error: unsupported option {word!r}", hint="-ef, aux or -o COLUMN[,COLUMN...]", subject=word
    )


def _column(item: str) -> Column:
    name, equals, title = item.partition("=")
    found = _SPECIFIERS.get(name.lower())
    if found is None:
        raise InvalidInput(
            f'ps: error: unknown user-defined format specifier "{name}"',
            hint=f"known: {', '.join(_SPECIFIERS)}",
            subject=name,
        )
    header, text = found
    return (title if equals else header, text)


def printable(text: str) -> str:
    """A command line is the container's own choice and must not steer the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _command(process: Process) -> str:
    return printable(" ".join(process.cmdline()) or f"[{process.name()}]")


def _terminal(process: Process) -> str:
    terminal = process.terminal()
    return terminal.removeprefix("/dev/") if terminal else "?"


def _used(process: Process) -> int:
    times = process.cpu_times()
    return int(times.user + times.system)


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY)
    text = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{text}" if days else text


def _elapsed(process: Process) -> str:
    seconds = _age(process)
    return _clock(seconds) if seconds >= 3600 else f"{seconds // 60:02d}:{seconds % 60:02d}"


def _age(process: Process) -> int:
    return max(int(time.time() - process.create_time()), 0)


def _load(process: Process) -> float:
    times = process.cpu_times()
    return 100 * (times.user + times.system) / max(time.time() - process.create_time(), 0.01)


def _start(process: Process) -> str:
    began = process.create_time()
    form = "%H:%M" if time.time() - began < _DAY else "%b%d"
    return time.strftime(form, time.localtime(began))


def _state(process: Process) -> str:
    return _STATES.get(process.status(), "?")


def _stat(process: Process) -> str:
    """The state, with ps's marks: nice, leader of a session, several threads, in the foreground."""
    nice = process.nice()
    text = _state(process) + ("<" if nice < 0 else "N" if nice > 0 else "")
    text += "s" if _session(process) == process.pid else ""
    return text + ("l" if process.num_threads() > 1 else "")


def _session(process: Process) -> int:
    return int(_proc(process, "stat").rpartition(")")[2].split()[3])


def _group(process: Process) -> int:
    return int(_proc(process, "stat").rpartition(")")[2].split()[2])


def _proc(process: Process, name: str) -> str:
    """A file of /proc/PID. Raises NoSuchProcess, as psutil does."""
    import psutil

    try:
        with open(f"/proc/{process.pid}/{name}", encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None


def _groupname(process: Process) -> str:
    import grp

    number = process.gids().effective
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


_SPECIFIERS: dict[str, Column] = {
    "pid": ("PID", lambda process: str(process.pid)),
    "ppid": ("PPID", lambda process: str(process.ppid())),
    "pgid": ("PGID", lambda process: str(_group(process))),
    "sid": ("SID", lambda process: str(_session(process))),
    "sess": ("SESS", lambda process: str(_session(process))),
    "user": ("USER", lambda process: process.username()),
    "euser": ("EUSER", lambda process: process.username()),
    "uname": ("USER", lambda process: process.username()),
    "uid": ("UID", lambda process: process.username()),
    "euid": ("EUID", lambda process: str(process.uids().effective)),
    "ruid": ("RUID", lambda process: str(process.uids().real)),
    "group": ("GROUP", _groupname),
    "egroup": ("EGROUP", _groupname),
    "gid": ("GID", lambda process: str(process.gids().effective)),
    "egid": ("EGID", lambda process: str(process.gids().effective)),
    "rgid": ("RGID", lambda process: str(process.gids().real)),
    "comm": ("COMMAND", lambda process: printable(process.name())),
    "ucmd": ("CMD", lambda process: printable(process.name())),
    "ucomm": ("COMMAND", lambda process: printable(process.name())),
    "cmd": ("CMD", _command),
    "args": ("COMMAND", _command),
    "command": ("COMMAND", _command),
    "c": ("C", lambda process: str(int(_load(process)))),
    "%cpu": ("%CPU", lambda process: f"{_load(process):.1f}"),
    "pcpu": ("%CPU", lambda process: f"{_load(process):.1f}"),
    "%mem": ("%MEM", lambda process: f"{process.memory_percent():.1f}"),
    "pmem": ("%MEM", lambda process: f"{process.memory_percent():.1f}"),
    "vsz": ("VSZ", lambda process: str(process.memory_info().vms // 1024)),
    "rss": ("RSS", lambda process: str(process.memory_info().rss // 1024)),
    "tty": ("TT", _terminal),
    "tt": ("TT", _terminal),
    "tname": ("TTY", _terminal),
    "stat": ("STAT", _stat),
    "state": ("S", _state),
    "s": ("S", _state),
    "stime": ("STIME", _start),
    "start_time": ("START", _start),
    "bsdstart": ("START", _start),
    "start": ("STARTED", lambda process: time.strftime("%H:%M:%S", time.localtime(process.create_time()))),
    "lstart": ("STARTED", lambda process: time.ctime(process.create_time())),
    "time": ("TIME", lambda process: _clock(_used(process))),
    "cputime": ("TIME", lambda process: _clock(_used(process))),
    "bsdtime": ("TIME", lambda process: f"{_used(process) // 60}:{_used(process) % 60:02d}"),
    "etime": ("ELAPSED", _elapsed),
    "etimes": ("ELAPSED", lambda process: str(_age(process))),
    "ni": ("NI", lambda process: str(process.nice())),
    "nice": ("NI", lambda process: str(process.nice())),
    "nlwp": ("NLWP", lambda process: str(process.num_threads())),
    "thcount": ("THCNT", lambda process: str(process.num_threads())),
    "psr": ("PSR", lambda process: str(process.cpu_num())),
    "wchan": ("WCHAN", lambda process: _proc(process, "wchan").strip("0") or "-"),
}
