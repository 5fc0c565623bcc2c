"""What the engine asks of a monitor: one method an operation. Loaded at the first question."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import os

from runtime.monitor import executing, record, wire
from runtime.monitor.clients import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Request
    from runtime.monitor.supervise import Monitor

__all__ = ["Requests"]


class Requests:
    """Replies are dicts: {"ok": True, ...} or {"error": message, "code": docker's exit code}."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def handle(self, client: Client, fields: dict[str, object]) -> None:
        handler = getattr(self, f"op_{fields.get('op')}", None)
        if handler is None:
            self._monitor.clients.reply(
                client, {"error": f"unknown operation {fields.get('op')!r}", "code": 125}
            )
            return
        try:
            handler(client, fields)
        except OSError as error:
            self._monitor.clients.reply(client, {"error": str(error), "code": 125})

    def _ok(self, client: Client, **fields: object) -> None:
        self._monitor.clients.reply(client, {"ok": True, **fields})

    def op_stop(self, client: Client, fields: Request) -> None:
        """Answered by the exit frame."""
        client.waiting = True
        self._monitor.stop(fields["signal"], fields["timeout"])

    def op_kill(self, client: Client, fields: Request) -> None:
        number = fields["signal"]
        self._monitor.told("kill", {"signal": str(number)})
        if number == signal.SIGKILL:
            client.waiting = True
            self._monitor.kill()
            return
        self._monitor.signal(number)
        self._ok(client)

    def op_wait(self, client: Client, fields: Request) -> None:
        """Answered by the exit frame."""
        client.waiting = True

    def op_pause(self, client: Client, fields: Request) -> None:
        """With ``hold`` only as long as the client is there: one that is killed leaves nothing frozen."""
        monitor = self._monitor
        if not monitor.pid:
            monitor.clients.reply(client, {"error": "the container is restarting", "code": 1})
            return
        if not monitor.paused:
            monitor.cgroup.freeze(monitor.plan["cgroup"])
            monitor.paused = True
            try:
                record.in_child(record.status, monitor.plan["db"], monitor.plan["id"], "paused", "pause")
            except OSError:
                monitor.thaw()
                raise
            if fields.get("hold"):
                client.on_gone = self._unpause
        self._ok(client)

    def op_unpause(self, client: Client, fields: Request) -> None:
        self._unpause()
        self._ok(client)

    def _unpause(self) -> None:
        monitor = self._monitor
        if monitor.paused:
            monitor.thaw()
            monitor.persist(record.status, monitor.plan["db"], monitor.plan["id"], "running", "unpause")

    def op_update(self, client: Client, fields: Request) -> None:
        monitor = self._monitor
        warnings: list[str] = []
        if "resources" in fields:
            warnings = monitor.cgroup.update(monitor.plan["cgroup"], fields["resources"])
        if "restart" in fields:
            monitor.plan["restart"] = fields["restart"]
        self._ok(client, warnings=warnings)

    def op_netns(self, client: Client, fields: Request) -> None:
        """A descriptor of the container's own network namespace comes with the reply."""
        monitor = self._monitor
        if monitor.netns < 0:
            raise OSError("it has no network namespace of its own")
        monitor.clients.reply(client, {"ok": True}, [monitor.netns])

    def op_network(self, client: Client, fields: Request) -> None:
        """What it is connected to has changed, see :mod:`runtime.monitor.rewired`."""
        from runtime.monitor import rewired

        rewired.follow(self._monitor, fields)
        self._ok(client)

    def op_attach(self, client: Client, fields: Request) -> None:
        client.stdin = bool(fields["stdin"])
        self._ok(client, tty=self._monitor.plan["tty"])
        client.attached = True

    def op_exec(self, client: Client, fields: Request) -> None:
        """Descriptors for stdin, stdout and stderr came along, unless it has a terminal."""
        monitor = self._monitor
        fds = client.buffer.take_fds()
        try:
            if not monitor.pid:
                raise OSError("the container is restarting")
            if monitor.paused:
                raise OSError("the container is paused: unpause it first")
            stdio = None if fields["tty"] else (fds[0], fds[1], fds[2])

            def started(execution: executing.Execution) -> None:
                if execution.error is not None:
                    client.process = 0
                    error = {"error": execution.error[1], "code": execution.error[0]}
                    monitor.clients.reply(client, dict(error))
                    return
                master = [execution.master] if execution.master >= 0 else []
                monitor.clients.reply(client, {"ok": True, "pid": execution.pid}, master)
                if execution.master >= 0:
                    os.close(execution.master)

            def ended(code: int) -> None:
                plan = monitor.plan
                told = {"execID": str(fields["exec_id"]), "exitCode": str(code)}
                monitor.spawn_record(record.update, plan["db"], plan["id"], {}, [("exec_die", told)])
                if client.sock.fileno() >= 0:
                    client.process = 0
                    client.finished = True
                    monitor.clients.send(client, wire.EXIT, wire.EXIT_RECORD.pack(code, False))

            execution = executing.spawn(
                monitor.loop, monitor.plan, fields, monitor.pid, monitor.own_pidns, stdio, started, ended
            )
            monitor.executions[execution.pid] = execution
            client.process = execution.pid
        finally:
            for fd in fds:
                os.close(fd)

    def resize(self, client: Client, rows: int, columns: int) -> None:
        streams = self._monitor.streams
        if streams.tty and streams.stdin >= 0:
            from runtime.kernel import terminals

            terminals.set_window_size(streams.stdin, rows, columns)
            plan, told = self._monitor.plan, {"height": str(rows), "width": str(columns)}
            self._monitor.spawn_record(record.update, plan["db"], plan["id"], {}, [("resize", told)])

    def pass_signal(self, client: Client, number: int) -> None:
        if client.process:
            try:
                os.kill(client.process, number)
            except ProcessLookupError:
                pass
        elif client.attached:
            self._monitor.signal(number)
