"""logs: a container's output, as lines or as bytes, to its end or as it comes.

Waiting for more is left to the kernel (inotify on the container's directory): the monitor's write to the
index wakes the reader, and so does the file that tells of the exit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress

from runtime.containers.logfollower import LogEntry, LogFollower
from runtime.context import Context
from runtime.errors import Conflict
from runtime.kernel.inotify import DirectoryWatch
from runtime.kernel.syscalls import SyscallError
from runtime.model.container import Container
from runtime.model.event import CancelEvent
from runtime.store import containers as store

__all__ = ["LogEntry", "LogFollower", "LogWatch", "copy_logs", "follower", "log_bytes", "logs"]

_PAUSE = 0.03
"""Seconds between two looks where the kernel cannot wake us (too many inotify instances)."""
_LOOK = 1.0
"""Seconds after which a silent container is asked whether it still runs: a monitor that was killed writes
no exit file."""
_CANCEL = 0.2

Warn = Callable[[str], None]


def follower(
    ctx: Context, reference: str, *, tail: int | None = None, since: int | None = None
) -> LogFollower:
    """For a viewer that asks again by itself. Raises NotFound; a log that does not exist yet is empty."""
    container = store.find(ctx.db, reference)
    path = ctx.paths.container(container.id) / "log"
    return LogFollower(path, tail=tail, since=since, ended=not _may_write(ctx, container.id))


def _open(
    ctx: Context, reference: str, tail: int | None, since: int | None, follow: bool
) -> tuple[Container, LogFollower, bool]:
    """The container, its log, and whether there may come more. Raises NotFound, Conflict (no log is kept)."""
    container = store.find(ctx.db, reference)
    if container.config.log_options.get("driver") == "none":
        raise Conflict(
            "configured logging driver does not support reading",
            hint=f"container {container.name} was made with --log-driver none",
            subject=container.name,
        )
    alive = _may_write(ctx, container.id)
    path = ctx.paths.container(container.id) / "log"
    return container, LogFollower(path, tail=tail, since=since, ended=not alive), follow and alive


def logs(
    ctx: Context,
    reference: str,
    *,
    tail: int | None = None,
    since: int | None = None,
    until: int | None = None,
    follow: bool = False,
    cancel: CancelEvent | None = None,
    warn: Warn | None = None,
) -> Iterator[LogEntry]:
    """Lines, oldest first: from the first one of ``since`` or later up to the first one that is later than
    ``until``. In between, as docker has it, a clock that was set back hides nothing. Raises NotFound at once.
    """
    container, reader, more = _open(ctx, reference, tail, since, follow)

    def lines() -> Iterator[LogEntry]:
        begun = since is None
        with closing(reader):
            for entry in every():
                if until is not None and entry.time > until:
                    return
                begun = begun or since is None or entry.time >= since
                if begun:
                    yield entry
            _tell(reader, warn)

    def every() -> Iterator[LogEntry]:
        for _ in _turns(ctx, container, reader, more, cancel, until):
            while batch := reader.read_new():
                yield from batch
        yield from reader.rest()

    return lines()


def log_bytes(
    ctx: Context,
    reference: str,
    *,
    tail: int | None = None,
    since: int | None = None,
    follow: bool = False,
    cancel: CancelEvent | None = None,
    warn: Warn | None = None,
) -> Iterator[tuple[int, bytes]]:
    """The same without looking at lines: (stream, bytes) as they were written. Raises NotFound at once."""
    container, reader, more = _open(ctx, reference, tail, since, follow)

    def chunks() -> Iterator[tuple[int, bytes]]:
        with closing(reader):
            for _ in _turns(ctx, container, reader, more, cancel):
                while batch := reader.read_raw():
                    yield from batch
            _tell(reader, warn)

    return chunks()


def copy_logs(
    ctx: Context,
    reference: str,
    targets: Mapping[int, int],
    *,
    tail: int | None = None,
    since: int | None = None,
    follow: bool = False,
    warn: Warn | None = None,
) -> None:
    """The same bytes into descriptors, by stream, without passing through us. Raises NotFound, Conflict, and
    OSError of the descriptors (BrokenPipeError)."""
    container, reader, more = _open(ctx, reference, tail, since, follow)
    with closing(reader):
        for _ in _turns(ctx, container, reader, more, None):
            while reader.copy_new(targets):
                pass
        _tell(reader, warn)


def _tell(reader: LogFollower, warn: Warn | None) -> None:
    if warn is not None and reader.warning:
        warn(reader.warning)


def _turns(
    ctx: Context,
    container: Container,
    reader: LogFollower,
    more: bool,
    cancel: CancelEvent | None,
    until: int | None = None,
) -> Iterator[None]:
    """One turn whenever there may be something to read, a last one after the container's end."""
    if not more:
        yield
        return
    with closing(LogWatch(ctx)) as watch:
        watch.add(container.id)
        names: set[bytes] = set()
        checked = time.monotonic()
        while True:
            yield
            if (cancel is not None and cancel.is_set()) or (until is not None and time.time_ns() > until):
                return
            now = time.monotonic()
            exiting = b"exit" in names
            if exiting or now - checked >= _LOOK:
                checked = now
                if not _may_write(ctx, container.id):
                    reader.finish()
                    yield
                    return
            seconds = 0.005 if exiting else _CANCEL if cancel is not None else _LOOK
            if until is not None:
                seconds = max(0.0, min(seconds, (until - time.time_ns()) / 1e9 + 0.001))
            names = watch.wait(seconds)
            if exiting:  # the row follows the exit file within milliseconds
                names.add(b"exit")


class LogWatch:
    """Wakes who follows logs, any number of them, when one of them grows or its container ends."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._watch: DirectoryWatch | None = None
        with suppress(SyscallError):
            self._watch = DirectoryWatch()

    def add(self, container_id: str) -> None:
        """One that cannot be watched (fs.inotify.max_user_watches) means that all are looked at in turns."""
        if self._watch is None:
            return
        try:
            self._watch.add(str(self._ctx.paths.container(container_id)))
        except SyscallError:
            self.close()

    def wait(self, seconds: float) -> set[bytes]:
        """What changed in the containers' directories ("log.idx", "exit"); nothing after ``seconds``."""
        if self._watch is not None:
            return self._watch.wait(seconds, ignore=b"log")
        time.sleep(min(seconds, _PAUSE))
        return set()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _may_write(ctx: Context, container_id: str) -> bool:
    from runtime.containers.control import monitor_pid

    current = store.get(ctx.db, container_id)
    return current is not None and current.state.status.alive and bool(monitor_pid(ctx, container_id))
