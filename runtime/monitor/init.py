"""``--init``: a first process that reaps orphans and forwards signals, the program being its child.

It has the program's user, capabilities and filter, no more: a program that may trace (CAP_SYS_PTRACE) must
gain nothing by it. It shows nothing of the machine either: no path of ours in its title, no descriptor.
"""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import os

from runtime.kernel import syscalls, title
from runtime.monitor import credentials

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


def serve(argv: list[str], sync: _socket.socket, env: dict[str, str]) -> None:
    """Never returns, neither in the first process nor in the child, which becomes the program."""
    wanted = set(signal.valid_signals()) - _NOT_FORWARDED
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted | {signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            credentials.execute(argv, env)
        except BaseException as error:
            credentials.fail(sync, error)
    sync.close()
    title.set_title("tuidock-init", " ".join(["tuidock-init", "--", *argv]))
    syscalls.close_range(3, 0xFFFFFFFF, 0)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)
    while True:
        number = signal.sigwait(wanted | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except (ProcessLookupError, PermissionError):  # PermissionError: it changed its user
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
