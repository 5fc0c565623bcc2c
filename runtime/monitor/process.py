"""The container's first process: from the fork in the monitor to execve.

It talks to the monitor over a SOCK_SEQPACKET pair. To the monitor: ``C`` with the number of processes that
memory had killed before, warnings, and at the first start the monitor's own ways into its control group;
``N`` namespaces exist, with the two sockets for names where it has them; ``T`` with the terminal's master;
``W`` warnings; ``R`` ready; ``F`` a failure; the pair closes when the program runs. From the monitor: ``G``
go, once the network is connected.

Loaded after the fork: what starts a container but does not watch one costs the monitor nothing.
"""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import marshal
import os
import sys

from runtime import cgroups
from runtime.kernel import mounts, namespaces, procfs, syscalls, terminals
from runtime.monitor import credentials, groups, init, inside, wire
from runtime.monitor.credentials import Refused
from runtime.network import stub

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.monitor.shapes import Plan

__all__ = ["run"]

_NEW = {
    "mount": syscalls.CLONE_NEWNS,
    "network": syscalls.CLONE_NEWNET,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "cgroup": syscalls.CLONE_NEWCGROUP,
}


def run(
    plan: Plan,
    sync: _socket.socket,
    stdio: tuple[int, int, int] | None,
    netns: int,
    founded: dict[str, int],
    first: bool,
) -> None:
    """Never returns. ``stdio`` is None for a terminal; ``netns`` is kept from an earlier run, or -1;
    ``founded`` are the user namespace and what belongs to it (:mod:`runtime.monitor.userns`), or nothing;
    with ``first`` the control groups are made."""
    try:
        _isolate(plan, sync, netns, founded, first)
        if founded:
            _map_ids(plan, founded["user"])
        rootfs = _root_file_system(plan)
        if plan["tty"]:
            _terminal(plan, sync, rootfs)
        else:
            assert stdio is not None
            for target, source in enumerate(stdio):
                os.dup2(source, target)
        inside.refuse_imports()
        _enter_root(plan, rootfs)
        warnings = _step_in(plan, founded["user"]) if founded else []
        user = credentials.resolve_user(plan["user"], plan["groups"])
        if founded:
            credentials.check_mapped(plan, user)
        else:
            warnings = credentials.limits(plan)
        # Before the word that all is ready, so that whoever starts us can tell what is not in force.
        if warnings:
            sync.send(b"W" + marshal.dumps(warnings))
        sync.send(b"R")
        if sync.recv(1) != b"G":
            os._exit(125)
        _execute(plan, sync, user)
    except BaseException as error:
        credentials.fail(sync, error)


def _isolate(plan: Plan, sync: _socket.socket, netns: int, founded: dict[str, int], first: bool) -> None:
    os.setsid()
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    # Not dumpable: nobody in the container may ptrace us or open our descriptors (CVE-2016-9962).
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    inside.reset_signals()
    _enter_groups(plan, sync, first)
    joins: dict[str, str] = plan["join"]
    flags = 0
    for name in plan["namespaces"]:
        if name in ("pid", "user") or name in joins or name in founded or (name == "network" and netns >= 0):
            continue
        flags |= _NEW[name]
    fds = {
        name: os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        for name, path in joins.items()
        if name not in ("pid", "user")
    }
    fds.update((name, fd) for name, fd in founded.items() if name != "user")
    if netns >= 0:
        fds["network"] = netns
    if fds:
        namespaces.enter_fds(fds)
    syscalls.unshare(flags)
    if flags & syscalls.CLONE_NEWNET:
        namespaces.loopback_up()
    _send_with_fds(sync, b"N", stub.open_sockets_here() if plan["names"] and netns < 0 else ())


def _enter_groups(plan: Plan, sync: _socket.socket, first: bool) -> None:
    """Ours, and the monitor's into one of its own: the container must outlive whatever limits or ends the
    caller. In our pid namespace the monitor has no number, so it moves by itself."""
    backend = cgroups.detect()
    entrances: list[int] = []
    warnings: list[str] = []
    if first:
        warnings, entrances = groups.make(plan)
    backend.enter(plan["cgroup"])
    _send_with_fds(sync, b"C" + marshal.dumps((backend.oom_kills(plan["cgroup"]), warnings)), entrances)


def _send_with_fds(sync: _socket.socket, message: bytes, fds: Sequence[int]) -> None:
    """They are the monitor's then, and closed here."""
    sync.sendmsg(
        [message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, wire.pack_fds(list(fds)))] if fds else []
    )
    for fd in fds:
        os.close(fd)


def _map_ids(plan: Plan, userns: int) -> None:
    """Have the plan's mounts mapped, and new files made in the name of the container's root."""
    from runtime.kernel import idmap
    from runtime.monitor.userns import root_of

    for item in plan["mounts"]:
        if item["extra"].get("idmap"):
            item["extra"]["idmap"] = userns
    plan["userns"]["fd"] = userns
    idmap.act_as(*root_of(plan))


def _step_in(plan: Plan, userns: int) -> list[str]:
    """Into the user namespace, where every capability is; warnings of what only the host's root may do."""
    from runtime.monitor.userns import give_pipes, step_in

    warnings = credentials.limits({**plan, "caps": None})
    if not plan["tty"]:
        give_pipes(plan)
    step_in(userns)
    return warnings


def _root_file_system(plan: Plan) -> str:
    rootfs: str = plan["rootfs"]
    mounts.take_shared(plan["mounts"])
    mounts.make_private(plan["root_propagation"])
    if plan["userns"]:
        from runtime.kernel import idmap

        for directory in plan["userns"]["directories"]:
            idmap.cover(directory, plan["userns"]["fd"])
    mounts.mount_overlay(plan["lowerdirs"], plan["upperdir"], plan["workdir"], rootfs)
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounts.mount_all(root, plan["mounts"])
        if plan["devices"]:
            mounts.create_devices(root, plan["devices"])
    finally:
        os.close(root)
    return rootfs


def _terminal(plan: Plan, sync: _socket.socket, rootfs: str) -> None:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        master, slave = terminals.open_pty_in(root)
        mounts.bind_console(root, slave)
    finally:
        os.close(root)
    rows, columns = plan["window"]
    if rows and columns:
        terminals.set_window_size(master, rows, columns)
    _send_with_fds(sync, b"T", [master])
    terminals.make_controlling(slave)
    for target in range(3):
        os.dup2(slave, target)
    os.close(slave)


def _enter_root(plan: Plan, rootfs: str) -> None:
    if "uts" in plan["namespaces"] and "uts" not in plan["join"]:
        if plan["hostname"]:
            syscalls.sethostname(plan["hostname"])
        if plan["domainname"]:
            syscalls.setdomainname(plan["domainname"])
    mounts.pivot(rootfs)
    if plan["sysctls"]:
        _sysctls(plan)
    mounts.readonly_paths(plan["readonly_paths"])
    mounts.mask_paths(plan["masked_paths"])
    if plan["readonly_rootfs"]:
        mounts.set_rootfs_readonly()


def _sysctls(plan: Plan) -> None:
    if plan["userns"]:
        from runtime.kernel import idmap
        from runtime.monitor.userns import root_of

        idmap.owner_of_namespaces(root_of(plan)[0])
    for path, value in plan["sysctls"]:
        try:
            procfs.write(path, value)
        except OSError as error:
            raise Refused(f"sysctl {path}={value}: {error.strerror}", 125) from error
    if plan["userns"]:
        idmap.act_as(*root_of(plan))


def _execute(plan: Plan, sync: _socket.socket, user: credentials.User) -> None:
    os.umask(0o022)
    env = credentials.environment(plan["env"], user)
    if plan["cwd"] not in ("", "/"):
        credentials.change_directory(plan["cwd"], True, user)
    if plan["tty"] or user.uid:
        credentials.give_stdio(user)
    # The program must not get a descriptor of ours, whatever it is (CVE-2024-21626).
    syscalls.close_range(3, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
    credentials.confine(plan["apparmor"], stays=plan["init"])
    credentials.apply(plan, user, plan["seccomp"])
    # Changing ids clears the parent-death signal (prctl(2)); ask again.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if plan["init"]:
        init.serve(list(plan["argv"]), sync, env)
    sys.stdout = sys.stderr = None
    credentials.execute(list(plan["argv"]), env)
