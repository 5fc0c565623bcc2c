"""What a monitor writes to the database: SQL on the C module alone, to stay small.

Each function is one transaction with its event. :func:`in_child` runs one in a short-lived child, so that
a monitor that goes on living does not keep SQLite's memory.
"""

from __future__ import annotations

import errno
import marshal
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection as _Connection

__all__ = [
    "exit_file",
    "exited",
    "health",
    "in_child",
    "removed",
    "reserve_exit",
    "restarting",
    "running",
    "status",
    "update",
]

_EVENT = (
    "INSERT INTO event (time, type, action, actor, attributes)"
    " SELECT ?, 'container', ?, id, json_set("
    "json_patch(coalesce(json_extract(config, '$.labels'), '{}'), ?),"
    " '$.name', name, '$.image', json_extract(config, '$.image'))"
    " FROM container WHERE id = ? AND internal = 0"
)


_DISCONNECTED = (
    "INSERT INTO event (time, type, action, actor, attributes)"
    " SELECT ?, 'network', 'disconnect', network.id, json_object("
    "'container', container.id, 'name', network.name, 'type', network.driver)"
    " FROM endpoint JOIN network ON network.id = endpoint.network_id"
    " JOIN container ON container.id = endpoint.container_id"
    " WHERE endpoint.container_id = ? AND container.internal = 0"
)
_LEFT_NOWHERE = (
    "INSERT INTO event (time, type, action, actor, attributes)"
    " SELECT ?1, 'network', 'disconnect', ?2, json_object('container', ?5, 'name', ?3, 'type', ?4)"
)
"""From the built-in networks without a link, which have no row."""
_UNMOUNTED = (
    "INSERT INTO event (time, type, action, actor, attributes)"
    " SELECT ?, 'volume', 'unmount', json_extract(mount.value, '$.source'), json_object("
    "'container', container.id, 'driver', 'local')"
    " FROM container, json_each(container.config, '$.mounts') AS mount"
    " WHERE container.id = ? AND container.internal = 0 AND json_extract(mount.value, '$.type') = 'volume'"
)


_left: list[object] = []
"""Connections that are left to the kernel when the process ends."""


def _quote(text: str) -> str:
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif code < 32 or 0xD800 <= code < 0xE000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{_quote(key)}:{_quote(value)}" for key, value in fields.items()) + "}"


def update(
    database: str,
    container_id: str,
    changes: dict[str, object],
    events: list[tuple[str, dict[str, str]]],
    statements: tuple[tuple[str, tuple[object, ...]], ...] = (),
    last: Callable[[_Connection], None] | None = None,
    lasting: bool = False,
) -> None:
    """Set ``changes`` in the state document (its ``status`` also in the column) and add ``events``; ``last``
    is called with the connection before the commit. For a process that ends after it: see
    :meth:`runtime.store.database.Database.leave`, and ``write`` for ``lasting``.

    JSON values are given as str, int, or :func:`json_text`.
    """
    import _sqlite3  # here and not above: it costs a resident monitor half a megabyte

    connection = _sqlite3.connect(database, 30, 0, None)
    try:
        connection.execute(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        if changes:
            paths: list[object] = []
            slots = []
            for key, value in changes.items():
                paths.append(f"$.{key}")
                if isinstance(value, (dict, list)):
                    slots.append("?, json(?)")
                    paths.append(_json(value))
                elif isinstance(value, bool):
                    slots.append("?, json(?)")
                    paths.append("true" if value else "false")
                else:
                    slots.append("?, ?")
                    paths.append(value)
            sql = f"UPDATE container SET state = json_set(state, {', '.join(slots)})"
            if "status" in changes:
                sql += ", status = ?"
                paths.append(changes["status"])
            connection.execute(sql + " WHERE id = ?", (*paths, container_id))
        now = time.time_ns()
        for action, attributes in events:
            connection.execute(_EVENT, (now, action, _object(attributes), container_id))
        for statement, parameters in statements:
            connection.execute(statement, parameters)
        if last is not None:
            last(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    _left.append(connection)


def _json(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(str(k))}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_json(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _quote(str(value))


def _release(container_id: str) -> tuple[tuple[str, tuple[object, ...]], ...]:
    return (
        ("DELETE FROM port WHERE container_id = ?", (container_id,)),
        ("DELETE FROM endpoint WHERE container_id = ?", (container_id,)),
    )


def _oom(oom_killed: bool) -> list[tuple[str, dict[str, str]]]:
    return [("oom", {})] if oom_killed else []


def exited(
    database: str,
    container_id: str,
    code: int,
    oom_killed: bool,
    finished: int,
    manual: bool,
    error: str = "",
    stopped: bool = False,
    nowhere: tuple[str, ...] = (),
    *,
    lasting: bool = True,
) -> None:
    """The end of a container that will not be restarted: status, addresses and ports back, events."""
    events = _oom(oom_killed)
    events.append(("die", {"exitCode": str(code)}))
    if stopped:
        events.append(("stop", {}))
    changes: dict[str, object] = {
        "status": "exited",
        "pid": 0,
        "exit_code": code,
        "oom_killed": oom_killed,
        "finished_at": finished,
        "manual_stop": manual,
        "error": error,
    }
    now = time.time_ns()
    ended = ((_UNMOUNTED, (now, container_id)), (_DISCONNECTED, (now, container_id)))
    told = ((_LEFT_NOWHERE, (now, *nowhere, container_id)),) if nowhere else ()
    statements = (*ended, *told, *_release(container_id))
    update(database, container_id, changes, events, statements, lasting=lasting)


def restarting(
    database: str, container_id: str, code: int, oom_killed: bool, finished: int, count: int
) -> None:
    events = _oom(oom_killed)
    events.append(("die", {"exitCode": str(code)}))
    changes: dict[str, object] = {
        "status": "restarting",
        "pid": 0,
        "exit_code": code,
        "oom_killed": oom_killed,
        "finished_at": finished,
        "restart_count": count,
    }
    update(database, container_id, changes, events)


def running(database: str, container_id: str, pid: int, started: int) -> None:
    """After a restart; the first start is recorded by whoever started it."""
    update(
        database,
        container_id,
        {"status": "running", "pid": pid, "started_at": started, "error": ""},
        [("start", {})],
    )


def status(database: str, container_id: str, word: str, action: str) -> None:
    update(database, container_id, {"status": word}, [(action, {})])


def health(database: str, container_id: str, document: dict[str, object], changed: bool) -> None:
    event: tuple[str, dict[str, str]] = (f"health_status: {document['status']}", {})
    events = [event] if changed else []
    update(database, container_id, {"health": document}, events)


_UNUSED_VOLUME = (
    "DELETE FROM volume WHERE name = ? AND NOT EXISTS (SELECT 1 FROM container, json_each(config, '$.mounts')"
    " AS mount WHERE json_extract(mount.value, '$.source') = volume.name)"
)
"""Unless another container mounts it too (``--volumes-from``)."""


def removed(database: str, container_id: str, volumes: list[str], directory: str) -> list[str]:
    """Auto-removal: the rows go, with docker's events. The volumes that nobody else mounts go along; returns
    where they lie now, set aside within ``directory`` (see :mod:`runtime.volumes.volumes`)."""
    aside: list[str] = []

    def forget_volumes(connection: _Connection) -> None:
        for name in volumes:
            if connection.execute(_UNUSED_VOLUME, (name,)).rowcount:
                place = f"{directory}/.gone-{name}-{os.urandom(4).hex()}"
                try:
                    os.rename(f"{directory}/{name}", place)
                except FileNotFoundError:
                    continue
                aside.append(place)

    statements: tuple[tuple[str, tuple[object, ...]], ...] = (
        *_release(container_id),
        ("DELETE FROM container WHERE id = ?", (container_id,)),
    )
    update(database, container_id, {}, [("destroy", {})], statements, forget_volumes)
    return aside


def in_child(function: Callable[..., None], *arguments: object) -> None:
    """Call it in a forked child and wait. Raises OSError when it failed there."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
        except BaseException as error:
            # SQLite says SQLITE_FULL, or SQLITE_IOERR_... when its shared index finds no space.
            name = getattr(error, "sqlite_errorname", "")
            os._exit(errno.ENOSPC if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) else 1)
        os._exit(0)
    _, wait_status = os.waitpid(pid, 0)
    if wait_status:
        full = os.waitstatus_to_exitcode(wait_status) == errno.ENOSPC
        why = os.strerror(errno.ENOSPC) if full else "failed"
        raise OSError(f"write to the database ({function.__name__}): {why}")


def reserve_exit(directory: str) -> None:
    """Make room for the exit file while there is some: a disk that is full at the container's end then cannot
    take its exit code away. What an earlier run left goes."""
    try:
        os.unlink(f"{directory}/exit")
    except FileNotFoundError:
        pass
    fd = os.open(f"{directory}/.exit.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, bytes(64))
    finally:
        os.close(fd)


def exit_file(directory: str, code: int, oom_killed: bool, finished: int) -> None:
    """The durable fact, by atomic rename, before the database hears of it. Written over the reserved bytes;
    marshal reads no further than its value."""
    temporary = f"{directory}/.exit.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, marshal.dumps((code, oom_killed, finished)))
    finally:
        os.close(fd)
    os.rename(temporary, f"{directory}/exit")
