"""Health checks with docker's semantics: interval, timeout, start period, retries, the last five results."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import os
import time

from runtime.monitor import executing, record
from runtime.monitor.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.supervise import Monitor

__all__ = ["Health"]

_OUTPUT = 4096
_KEPT = 5


def _rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


class Health:
    """Runs ``plan["health"]``: a request, intervals and timeouts in seconds, retries."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._settings = monitor.plan["health"]
        self._status = "starting"
        self._streak = 0
        self._log: list[dict[str, str]] = []
        self._execution: executing.Execution | None = None
        self._output = b""
        self._pipe = -1
        self._began = 0
        self._since = 0.0

    def begin(self) -> None:
        """The container has (re)started."""
        self._status, self._streak, self._since = "starting", 0, time.monotonic()
        self._schedule()

    def end(self) -> None:
        self._monitor.loop.cancel("health")
        self._monitor.loop.cancel("health timeout")
        self._execution = None
        self._close_pipe()

    @property
    def _in_start_period(self) -> bool:
        period: float = self._settings["start_period"]
        return time.monotonic() - self._since < period

    def _schedule(self) -> None:
        starting = self._status == "starting" and self._in_start_period
        seconds = self._settings["start_interval" if starting else "interval"]
        self._monitor.loop.after("health", seconds, self._check)

    def _check(self) -> None:
        monitor = self._monitor
        if monitor.paused or not monitor.pid:
            self._schedule()
            return
        self._began, self._output = time.time_ns(), b""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._pipe, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._execution = executing.spawn(
                monitor.loop,
                monitor.plan,
                self._settings["request"],
                monitor.pid,
                monitor.own_pidns,
                (null, write, write),
                self._started,
                self._ended,
            )
        except OSError as error:
            self._close_pipe()
            self._result(125, str(error))
            return
        finally:
            os.close(write)
            os.close(null)
        monitor.executions[self._execution.pid] = self._execution
        monitor.loop.watch(self._pipe, READ, lambda mask: self._read())
        monitor.loop.after("health timeout", self._settings["timeout"], self._timed_out)

    def _started(self, execution: executing.Execution) -> None:
        if execution.error is not None:
            self._output = execution.error[1].encode()

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        if not data:
            self._close_pipe()
            return
        self._output = (self._output + data)[:_OUTPUT]

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            self._monitor.loop.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = -1

    def _timed_out(self) -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            try:
                os.kill(execution.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            seconds = self._settings["timeout"]
            self._close_pipe()
            self._result(-1, f"Health check exceeded timeout ({seconds:g}s)")

    def _ended(self, code: int) -> None:
        if self._execution is None:
            return
        self._execution = None
        self._monitor.loop.cancel("health timeout")
        if self._pipe >= 0:
            self._read()
        self._close_pipe()
        self._result(code, self._output.decode("utf-8", "replace"))

    def _result(self, code: int, output: str) -> None:
        before = self._status
        entry = {
            "Start": _rfc3339(self._began),
            "End": _rfc3339(time.time_ns()),
            "ExitCode": str(code),
            "Output": output,
        }
        self._log = [*self._log, entry][-_KEPT:]
        if code == 0:
            self._streak, self._status = 0, "healthy"
        elif not (self._status == "starting" and self._in_start_period):
            self._streak += 1
            if self._streak >= self._settings["retries"]:
                self._status = "unhealthy"
        document: dict[str, object] = {
            "status": self._status,
            "failing_streak": self._streak,
            "log": self._log,
        }
        plan = self._monitor.plan
        self._monitor.spawn_record(record.health, plan["db"], plan["id"], document, self._status != before)
        self._schedule()
