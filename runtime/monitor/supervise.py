"""The monitor: starts the container's process, watches it, ends with it.

It is the only writer of its container's status from the moment it is told to go. Its death takes the
container along (parent-death signal); whoever then finds the lock free mends the rest.

What an idle monitor does not need is imported where it is needed: in the children that it forks, or at the
end.
"""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import marshal
import os
import sys
import time

from runtime.kernel import process_calls, title
from runtime.monitor import wire
from runtime.monitor.clients import Client, Clients
from runtime.monitor.log import LogWriter
from runtime.monitor.loop import READ, Loop
from runtime.monitor.streams import Streams, grow_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.cgroups.detect import Backend
    from runtime.monitor.executing import Execution
    from runtime.monitor.requests import Requests
    from runtime.monitor.shapes import Plan

__all__ = ["Monitor"]


class Monitor:
    """One container's life. ``plan`` is described in :mod:`runtime.containers.plan`."""

    def __init__(self, plan: Plan, starter: _socket.socket, lock: int) -> None:
        self.plan = plan
        self.lock = lock
        self.starter: _socket.socket | None = starter
        self.loop = Loop()
        log = plan["log"]
        writer = None
        if log["driver"] != "none":
            writer = LogWriter(
                log["path"], log["max_size"], log["max_file"], wait=log["wait"], compress=log["compress"]
            )
        self.clients = Clients(self.loop, self._frame, self._gone, self._crowded)
        self.streams = Streams(self.loop, writer, self.clients.show, self.clients.watched)
        self.health = None
        if plan["health"]:
            from runtime.monitor.health import Health

            self.health = Health(self)
        self.executions: dict[int, Execution] = {}
        self.own_pidns = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self.netns = -1
        self.userns = -1
        self.pid = 0
        self.paused = False
        self.manual_stop = False
        self.stopped = False
        self.began = 0.0
        self.restarts = 0
        self.delay = 0.0
        self.oom_before = 0
        self.exit_code = 0
        self.ending = False
        self.finished = False
        self.reserved: list[int] = []
        self.early: list[str] = []
        self.names: tuple[int, int] | None = None
        self.names_pid = 0

    # -- starting ---------------------------------------------------------------------------------

    def run(self) -> None:
        """From the plan to the container's end."""
        self._watch_children()
        self.clients.listen(self.plan["run"])
        if not self._first_start():
            return
        while not self.finished or self.clients.clients:
            if self.streams.log is not None:
                self.streams.log.flush()
            self.loop.turn()

    def _watch_children(self) -> None:
        readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(writable)

        def wake(mask: int) -> None:
            os.read(readable, 4096)
            self._reap()

        self.loop.watch(readable, READ, wake)

    def _first_start(self) -> bool:
        starter = self.starter
        assert starter is not None
        warnings: list[str] = []
        try:
            self._reserve_ports()
            sync = self._fork(first=True)
            failure = self._until_ready(sync, warnings)
        except OSError as error:
            failure = (125, str(error))
        if failure is None:
            self._tell_starter({"op": "ready", "pid": self.pid, "warnings": warnings})
            failure = self._await_go(sync)
        if failure is not None:
            self._abandon(failure)
            return False
        self.began = time.monotonic()
        self._tell_starter({"op": "started"})
        if self.plan["attach"]:
            client = self.clients.add(starter)
            client.attached, client.stdin = True, self.plan["attach_stdin"]
        else:
            starter.close()
        self.starter = None
        if self.health:
            self.health.begin()
        return True

    def _reserve_ports(self) -> None:
        """Bound, never listening: nobody else on the machine can take a port that we publish."""
        if self.plan["ports"]:
            from runtime.network import ports

            self.reserved = ports.reserve_sockets(self.plan["ports"])

    def _tell_starter(self, fields: dict[str, object], fds: list[int] | None = None) -> None:
        if self.starter is not None:
            wire.send_with_fds(self.starter, wire.request(fields, wire.REPLY), fds or [])

    def _fork(self, first: bool = False) -> _socket.socket:
        """The process, in a new pid namespace; returns our end of its pair."""
        plan = self.plan
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        stdio, keep, outputs, stdin = None, [], {}, -1
        if not plan["tty"]:
            if plan["stdin"]:
                child_in, stdin = os.pipe2(os.O_CLOEXEC)
            else:
                child_in = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            out_read, out_write = os.pipe2(os.O_CLOEXEC)
            err_read, err_write = os.pipe2(os.O_CLOEXEC)
            grow_pipe(out_read)
            grow_pipe(err_read)
            outputs = {out_read: 1, err_read: 2}
            stdio = (child_in, out_write, err_write)
            keep = [child_in, out_write, err_write]
        founded = self._found(first) if plan["userns"] else {}
        if "pid" in plan["join"]:
            fd = os.open(plan["join"]["pid"], os.O_RDONLY | os.O_CLOEXEC)
            process_calls.setns(fd, process_calls.CLONE_NEWPID)
            os.close(fd)
        elif "pid" in plan["namespaces"]:
            process_calls.unshare(process_calls.CLONE_NEWPID)
        # A container whose pid namespace is joined sees the child from its first moment.
        before = title.set_title("tuidock", "tuidock: starting a container")
        try:
            pid = os.fork()
            if pid == 0:
                self._become(ours, theirs, stdio, founded, first and not plan["userns"])
        finally:
            title.restore_title("tuidock-monitor", before)
            process_calls.setns(self.own_pidns, process_calls.CLONE_NEWPID)
        self.pid = pid
        theirs.close()
        for fd in (*keep, *(fd for name, fd in founded.items() if name != "user")):
            os.close(fd)
        if not plan["tty"]:
            self.streams.take(outputs, stdin, False)
        return ours

    def _found(self, first: bool) -> dict[str, int]:
        """The user namespace, kept for later runs, and new namespaces that belong to it."""
        from runtime.monitor import userns

        if first:  # the founder enters its group before anybody else is there
            from runtime.monitor import groups

            found, entrances = groups.make(self.plan)
            self.early.extend(found)
            self._enter_group(entrances)
        founded = userns.found(self.plan, self.userns, self.netns)
        self.userns = founded["user"]
        return founded

    def _become(
        self,
        ours: _socket.socket,
        theirs: _socket.socket,
        stdio: tuple[int, int, int] | None,
        founded: dict[str, int],
        first: bool,
    ) -> None:
        """In the child, which never returns."""
        try:
            signal.set_wakeup_fd(-1)
            ours.close()
            from runtime.monitor import process

            process.run(self.plan, theirs, stdio, self.netns, founded, first)
        except BaseException:  # the code could not even be loaded; the monitor sees us end
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(125)

    @staticmethod
    def _enter_group(entrances: Sequence[int]) -> None:
        """Our own control group: :func:`runtime.monitor.groups.make`."""
        for fd in entrances:
            os.write(fd, b"0")
            os.close(fd)

    def _until_ready(self, sync: _socket.socket, warnings: list[str]) -> tuple[int, str] | None:
        """Hear the process until it stands before the program. A failure comes back as (code, message)."""
        while True:
            data, ancillary, _flags, _address = sync.recvmsg(65536, 1024, _socket.MSG_CMSG_CLOEXEC)
            kind = data[:1]
            fds = wire.unpack_fds(ancillary[0][2]) if ancillary else ()
            if kind == b"C":
                self.oom_before, found = marshal.loads(data[1:])
                warnings.extend([*self.early, *found])
                self.early.clear()
                self._enter_group(fds)
            elif kind == b"N":
                if self.netns < 0 and "network" in self.plan["namespaces"]:
                    self.netns = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                    if fds:
                        self.names = (fds[0], fds[1])
                        self.watch_names()
                    if self.plan["connect"]:
                        self._tell_starter({"op": "netns"}, [self.netns])
            elif kind == b"T":
                self.streams.take({fds[0]: 1}, fds[0], True)
            elif kind == b"R":
                return None
            elif kind == b"F":
                failure: tuple[int, str] = marshal.loads(data[1:])
                return failure
            elif kind == b"W":
                warnings.extend(marshal.loads(data[1:]))
            elif not kind:
                return (125, "the container's first process died while it was being set up")

    def _await_go(self, sync: _socket.socket) -> tuple[int, str] | None:
        """The starter's word, passed on; None once the program runs."""
        assert self.starter is not None
        buffer = wire.FrameBuffer()
        while (item := buffer.next()) is None:
            if not wire.receive(self.starter, buffer):
                return (125, "whoever started the container went away")
        self.plan["window"] = Clients.fields(item[1]).get("window") or (0, 0)
        return self._go(sync)

    def _go(self, sync: _socket.socket) -> tuple[int, str] | None:
        sync.send(b"G")
        failure = self._until_ready(sync, [])
        sync.close()
        # The pair closes on execve; an exit before that was reported as a failure.
        return failure if failure and "died while" not in failure[1] else None

    def _abandon(self, failure: tuple[int, str]) -> None:
        """The first start failed: undo, tell, end. The starter writes the status."""
        self._kill_all()
        if self.pid:
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass
        self.streams.drain()
        from runtime.monitor import ending

        ending.remove_group(self)
        self.clients.close_listener(self.plan["run"])
        # The run directory stays: if the starter is dead it is the trace of the addresses that it took.
        try:
            self._tell_starter({"op": "failed", "code": failure[0], "message": failure[1]})
        except OSError:
            pass

    # -- living -----------------------------------------------------------------------------------

    def _frame(self, client: Client, kind: bytes, payload: bytes) -> None:
        if kind == wire.STDIN:
            if client.stdin:
                self.streams.write(payload)
        elif kind == wire.STDIN_EOF:
            if client.stdin and (self.plan["stdin_once"] or not self.streams.tty):
                self.streams.close_stdin()
        elif kind == wire.WINDOW:
            self.requests.resize(client, *wire.WINDOW_SIZE.unpack(payload))
        elif kind == wire.SIGNAL:
            self.requests.pass_signal(client, payload[0])
        elif kind == wire.REQUEST:
            self.requests.handle(client, Clients.fields(payload))

    @property
    def requests(self) -> Requests:
        from runtime.monitor.requests import Requests

        return Requests(self)

    @property
    def cgroup(self) -> Backend:
        from runtime import cgroups

        return cgroups.detect()

    def _gone(self, client: Client) -> None:
        if client.stdin and self.plan["stdin_once"] and not self.streams.tty:
            self.streams.close_stdin()

    def _crowded(self, crowded: bool) -> None:
        self.streams.mute(crowded)

    def signal(self, number: int) -> None:
        """To the container's first process."""
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def stop(self, number: int, timeout: float) -> None:
        """Signal, then SIGKILL after ``timeout`` seconds (negative: never); no restart after that."""
        self.manual_stop = self.stopped = True
        self.loop.cancel("restart")
        if not self.pid:
            self._end()
            return
        self.told("kill", {"signal": str(number)})
        self.thaw()
        self.signal(number)
        if timeout >= 0:
            self.loop.after("kill", timeout, self._kill_after_stop)

    def _kill_after_stop(self) -> None:
        """The time to end by itself is over: docker tells of this signal too."""
        self.told("kill", {"signal": str(int(signal.SIGKILL))})
        self._kill_all()

    def kill(self) -> None:
        self.manual_stop = True
        self.loop.cancel("restart")
        if self.pid:
            self.thaw()
            self._kill_all()
        else:
            self._end()

    def thaw(self) -> None:
        if self.paused:
            self.cgroup.thaw(self.plan["cgroup"])
            self.paused = False

    def _kill_all(self) -> None:
        if self.pid:
            self.signal(signal.SIGKILL)
        if "pid" not in self.plan["namespaces"] or "pid" in self.plan["join"]:
            self.cgroup.kill(self.plan["cgroup"])

    def told(self, action: str, attributes: dict[str, str]) -> None:
        """An event, before its deed. A disk that is too full for it must not keep us from the deed."""
        from runtime.monitor import record

        try:
            record.in_child(record.update, self.plan["db"], self.plan["id"], {}, [(action, attributes)])
        except OSError:
            pass

    def persist(self, function: Callable[..., None], *arguments: object) -> None:
        """A change of status. A full disk does not take it: try again until it is written or overtaken."""
        from runtime.monitor import record

        self.loop.cancel("write")
        try:
            record.in_child(function, *arguments)
        except OSError:
            self.loop.after("write", 1.0, lambda: self.persist(function, *arguments))

    def spawn_record(self, function: Callable[..., None], *arguments: object) -> None:
        """Write in a child that nobody waits for; the reaper takes it."""
        pid = os.fork()
        if pid == 0:
            try:
                function(*arguments)
            finally:
                os._exit(0)

    # -- ending -----------------------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            code = code if code >= 0 else 128 - code
            if pid == self.pid:
                self._ended(code)
                continue
            if pid == self.names_pid:
                # It ends by itself when nobody asks; one that fails is not started in a hurry again.
                self.names_pid = 0
                self.loop.after("names", 0.0 if code == 0 else 1.0, self.watch_names)
                continue
            if self.streams.log is not None and self.streams.log.reaped(pid):
                continue
            execution = self.executions.pop(pid, None)
            if execution is not None:
                from runtime.monitor import executing

                executing.reaped(self.loop, execution, code)

    def _ended(self, code: int) -> None:
        from runtime.monitor import record, restart

        finished = time.time_ns()
        self.loop.cancel("kill")
        self.paused = False
        self.cgroup.kill(self.plan["cgroup"])
        oom_killed = self.cgroup.oom_kills(self.plan["cgroup"]) > self.oom_before
        self.streams.drain()
        self.pid, self.exit_code = 0, code
        if self.health:
            self.health.end()
        name, most = self.plan["restart"]
        if restart.should_restart(name, most, code, self.restarts, self.manual_stop):
            self.delay = restart.next_delay(self.delay, time.monotonic() - self.began)
            self.restarts += 1
            arguments = (self.plan["db"], self.plan["id"], code, oom_killed, finished, self.restarts)
            self.persist(record.restarting, *arguments)
            self.loop.after("restart", self.delay, self._again)
            return
        self._end(code, oom_killed, finished)

    def _again(self) -> None:
        """A restart by policy: the same network namespace, cgroup and upper directory."""
        error = ""
        try:
            sync = self._fork()
            failure = self._until_ready(sync, []) or self._go(sync)
        except OSError as problem:
            failure = (125, str(problem))
        if failure is None:
            from runtime.monitor import record

            self.began = time.monotonic()
            self.persist(record.running, self.plan["db"], self.plan["id"], self.pid, time.time_ns())
            if self.health:
                self.health.begin()
            return
        code, error = failure
        if self.pid:
            os.waitpid(self.pid, 0)
        self.pid = 0
        self.streams.drain()
        self._end(code, False, time.time_ns(), error)

    def _end(
        self, code: int | None = None, oom_killed: bool = False, finished: int | None = None, error: str = ""
    ) -> None:
        """The last word; see :func:`runtime.monitor.ending.end`."""
        from runtime.monitor import ending

        code = self.exit_code if code is None else code
        ending.end(self, code, oom_killed, time.time_ns() if finished is None else finished, error)

    def watch_names(self) -> None:
        for fd in self.names or ():
            self.loop.watch(fd, READ, self._answer_names)

    def _answer_names(self, mask: int) -> None:
        """Somebody asks for a name: a program of its own answers, until nobody has asked for a while."""
        if self.names is None:
            return
        for fd in self.names:
            self.loop.forget(fd)
        from runtime.network import stub

        self.names_pid = stub.spawn(self.plan["names"], self.names)
