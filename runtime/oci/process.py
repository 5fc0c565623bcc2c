"""A container's process, from the fork in ``create`` or ``exec`` to execve.

It talks to the verb over a SOCK_SEQPACKET pair: ``W`` warnings, ``H`` the mounts are there and the runtime's
hooks may run (answered by ``G``), ``R`` ready, ``F`` a failure. After ``R`` a created container's process
waits at its FIFO with its final ids and capabilities, so that nothing in a shared pid namespace gains by it.

No module may be loaded once the container's root is ours (CVE-2019-14271).
"""

from __future__ import annotations

import _socket
import array
import fcntl
import marshal
import os
import stat
from typing import Any

from runtime import cgroups
from runtime.kernel import capabilities, idmap, mounts, namespaces, seccomp, syscalls, terminals
from runtime.monitor import credentials, inside, userns
from runtime.oci import hooks, rootfs

__all__ = ["Streams", "enter_and_run", "set_up_and_wait"]

Plan = dict[str, Any]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WINDOW = (24, 80)


class Streams:
    """What the process inherits: the socket that takes the terminal's master (-1 without), and how many
    descriptors from 3 on are the caller's to keep."""

    def __init__(self, console: int = -1, preserved: int = 0) -> None:
        self.console = console
        self.preserved = preserved


def set_up_and_wait(
    plan: Plan,
    sync: _socket.socket,
    streams: Streams,
    waiting: tuple[int, int],
    state: dict[str, Any],
    founded: dict[str, int],
) -> None:
    """create: never returns. ``waiting`` are the FIFOs (start, outcome); ``state`` is what hooks get;
    ``founded`` are the user namespace and what belongs to it (:mod:`runtime.monitor.userns`), or nothing."""
    start, outcome = waiting
    try:
        fds = {**_join(plan), **{name: fd for name, fd in founded.items() if name != "user"}}
        _begin(plan)
        if fds:
            namespaces.enter_fds(fds)
        fresh = [name for name in plan["namespaces"] if name not in {*fds, "pid", "user"}]
        syscalls.unshare(namespaces.flags_of(fresh))
        if "network" in fresh:
            namespaces.loopback_up()
        if founded:
            idmap.act_as(*userns.root_of(plan))
        rootfs.prepare(plan)
        sync.send(b"H")
        if sync.recv(1) != b"G":
            os._exit(1)
        hooks.run(plan["hooks"], "createContainer", {**state, "status": "creating", "pid": os.getpid()})
        if plan["tty"]:
            _terminal(plan, streams.console, plan["rootfs"])
        rootfs.enter(plan)
        inside.refuse_imports()
        _limits(plan, sync)
        if founded:
            if not plan["tty"]:
                userns.give_pipes(plan)
            userns.step_in(founded["user"])
        env, program = _prepare(plan)
        _become(plan)
        sync.send(b"R")
        sync.close()
        if not os.read(start, 1):
            os._exit(1)
    except BaseException as error:
        credentials.fail(sync, error)
    try:
        hooks.run(plan["hooks"], "startContainer", {**state, "status": "created", "pid": os.getpid()})
        _execute(plan, env, program, streams.preserved)
    except BaseException as error:
        os.write(outcome, str(error).encode()[:4000])
        os._exit(1)


def enter_and_run(plan: Plan, sync: _socket.socket, streams: Streams, fds: dict[str, int]) -> None:
    """exec: never returns. ``fds`` are the container's namespaces, the pid one already entered."""
    try:
        _begin(plan)
        _limits(plan, sync)
        if plan["userns"] and not plan["tty"]:
            userns.give_pipes(plan)
        namespaces.enter_fds(fds)
        inside.refuse_imports()
        if plan["userns"]:
            userns.take_root()
        os.chdir("/")
        if plan["tty"]:
            _terminal(plan, streams.console, "/")
        env, program = _prepare(plan)
        _become(plan)
        _execute(plan, env, program, streams.preserved)
    except BaseException as error:
        credentials.fail(sync, error)


def _join(plan: Plan) -> dict[str, int]:
    fds = {}
    for name, path in plan["join"].items():
        if name not in ("pid", "user"):
            fds[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return fds


def _begin(plan: Plan) -> None:
    os.setsid()
    # Before the container can see us: not dumpable, so no ptrace and no way to our descriptors.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    inside.reset_signals()
    cgroups.detect().enter(plan["cgroup"])


def _terminal(plan: Plan, console: int, root_path: str) -> None:
    root = os.open(root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        master, slave = terminals.open_pty_in(root)
        if root_path != "/":
            mounts.bind_console(root, slave)
    finally:
        os.close(root)
    rows, columns = plan["window"]
    terminals.set_window_size(master, rows or _WINDOW[0], columns or _WINDOW[1])
    with _Connection(console) as connection:
        # The terminal's name goes as the message, as runc has it; the descriptor is what counts.
        connection.sendmsg(
            [b"/dev/pts"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [master]))]
        )
    os.close(master)
    terminals.make_controlling(slave)
    for target in range(3):
        os.dup2(slave, target)
    os.close(slave)


class _Connection:
    """A socket around a descriptor that is already connected; closed at the end."""

    def __init__(self, fd: int) -> None:
        self._socket = _socket.socket(fileno=fd)

    def __enter__(self) -> _socket.socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _limits(plan: Plan, sync: _socket.socket) -> None:
    warnings = credentials.limits({"rlimits": plan["rlimits"], "oom_score_adj": 0})
    if plan["oom_score_adj"] is not None:
        warnings += _oom_score(plan["oom_score_adj"])
    if warnings:
        sync.send(b"W" + marshal.dumps(warnings))


def _prepare(plan: Plan) -> tuple[dict[str, str], str]:
    """The environment and the program; the working directory is in force afterwards."""
    env = dict(pair.split("=", 1) for pair in plan["env"] if "=" in pair)
    user = credentials.resolve_user(str(plan["uid"]), [])
    env.setdefault("HOME", user.home)
    _give_stdio(plan["uid"])
    credentials.change_directory(plan["cwd"], True, user)
    return env, credentials.find_program(plan["argv"][0], {"PATH": _PATH, **env})


def _oom_score(value: int) -> list[str]:
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        try:
            if int(os.read(fd, 16)) != value:
                os.write(fd, b"%d" % value)
        finally:
            os.close(fd)
    except OSError:
        return [f"oom_score_adj {value} could not be set"]
    return []


def _give_stdio(uid: int) -> None:
    """Pipes and the terminal belong to the user, so that /dev/stdout can be opened again."""
    for fd in range(3):
        info = os.fstat(fd)
        if info.st_uid == uid or (stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, 3)):
            continue
        try:
            os.fchown(fd, uid, -1)
        except OSError:
            continue


def _become(plan: Plan) -> None:
    """The document's ids and capability sets, exactly. Without no_new_privs the filter needs CAP_SYS_ADMIN
    (seccomp(2)), so it goes in before the capabilities are dropped; with it, right before execve."""
    caps = plan["caps"]
    os.umask(plan["umask"])
    credentials.confine(plan["apparmor"], stays=False)
    if plan["seccomp"] and not plan["no_new_privileges"]:
        seccomp.install(plan["seccomp"])
    capabilities.drop_bounding(caps["bounding"])
    capabilities.keep_caps()
    os.setgroups(plan["groups"])
    os.setresgid(plan["gid"], plan["gid"], plan["gid"])
    os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    capabilities.set_sets(caps["effective"], caps["permitted"], caps["inheritable"])
    ambient = caps["ambient"] & caps["inheritable"] & caps["permitted"]
    capabilities.set_ambient(ambient & capabilities.current()[1])
    # The change of ids may have made it dumpable again (proc_pid_dumpable, suid_dumpable).
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _execute(plan: Plan, env: dict[str, str], program: str, preserved: int) -> None:
    # The program must not get a descriptor of ours, whatever it is (CVE-2024-21626).
    syscalls.close_range(3 + preserved, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
    for fd in range(3, 3 + preserved):
        fcntl.fcntl(fd, fcntl.F_SETFD, 0)
    if plan["no_new_privileges"]:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if plan["seccomp"]:
            seccomp.install(plan["seccomp"])
    try:
        os.execve(program, plan["argv"], env)
    except OSError as error:
        raise credentials.Refused(f"exec: {plan['argv'][0]!r}: {(error.strerror or '').lower()}") from error
