"""``--init``: a first process that reaps orphans and forwards signals, the program being its child."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import os

from runtime.kernel import syscalls
from runtime.monitor import credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan

__all__ = ["serve"]

_NOT_FORWARDED = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGCHLD,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGTSTP,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
}


def serve(plan: Plan, sync: _socket.socket, user: credentials.User, env: dict[str, str]) -> None:
    """Never returns in the first process; returns nothing in the child, which becomes the program."""
    wanted = set(signal.valid_signals()) - _NOT_FORWARDED
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted | {signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            credentials.apply(plan, user, plan["seccomp"])
            credentials.execute(list(plan["argv"]), env)
        except BaseException as error:
            credentials.fail(sync, error)
    sync.close()
    syscalls.close_range(3, 0xFFFFFFFF, 0)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    while True:
        number = signal.sigwait(wanted | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)
