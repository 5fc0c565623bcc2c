"""A container's user namespace, from the monitor's side and from the process's.

Everything that is mounted for a container is mounted by the host's root in a mount namespace of the host,
since only root finds the way to layers, volumes and device nodes. The namespaces that a container acts in
belong to its user namespace, though, so that its root has its capabilities over them. A short-lived *founder*
makes those; the container's process enters them as the host's root, sets everything up, and steps into the
user namespace last (:func:`step_in`), with a copy of its mount namespace. In that copy every mount is
locked (mount_namespaces(7)): not even a container with CAP_SYS_ADMIN uncovers what is masked or makes
writable what is read-only.

The pid namespace stays the host's, because the host's root mounts /proc; it gives a container no privilege.

The module is loaded in the monitor, before there is any root of a container to load it from (CVE-2019-14271).
"""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import os
import stat

from runtime import cgroups
from runtime.kernel import idmap, namespaces, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan

__all__ = ["found", "give_pipes", "host_owners", "root_of", "step_in", "take_root"]

_OWNED = ("network", "ipc", "uts", "cgroup")


def found(plan: Plan, userns: int, netns: int) -> dict[str, int]:
    """In the monitor: descriptors of the user namespace ("user") and of the new namespaces that it owns.

    ``userns`` and ``netns`` are those of an earlier run, or -1. A plan without ids gets those of the one that
    is joined. Raises OSError.
    """
    join = userns
    if join < 0 and "user" in plan["join"]:
        join = os.open(plan["join"]["user"], os.O_RDONLY | os.O_CLOEXEC)
    wanted = [name for name in _OWNED if name in plan["namespaces"] and name not in plan["join"]]
    if netns >= 0:
        wanted = [name for name in wanted if name != "network"]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _be_founder(plan, join, wanted, theirs)
    theirs.close()
    try:
        if join < 0:
            _hear(ours, b"U")
            idmap.write_maps(pid, plan["userns"]["uids"], plan["userns"]["gids"])
            ours.send(b"G")
        _hear(ours, b"N")
        if not plan["userns"]["uids"]:
            plan["userns"].update(uids=idmap.read_map(pid, "uid_map"), gids=idmap.read_map(pid, "gid_map"))
        fds = namespaces.namespace_fds(pid, wanted)
        fds["user"] = join if join >= 0 else namespaces.namespace_fds(pid, ["user"])["user"]
        return fds
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _hear(sock: _socket.socket, wanted: bytes) -> None:
    heard = sock.recv(4096)
    if heard != wanted:
        raise OSError(heard.decode(errors="replace") or "the process that makes the user namespace died")


def _be_founder(plan: Plan, join: int, wanted: list[str], sock: _socket.socket) -> None:
    """Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        # A new cgroup namespace has the maker's group as its root.
        cgroups.detect().enter(plan["cgroup"])
        if join >= 0:
            syscalls.setns(join, syscalls.CLONE_NEWUSER)
        else:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            sock.send(b"U")
            if sock.recv(1) != b"G":
                os._exit(1)
        take_root()  # the root of the mqueue file system belongs to whoever makes its namespace
        syscalls.unshare(namespaces.flags_of(wanted))
        if "network" in wanted:
            namespaces.loopback_up()
        sock.send(b"N")
        sock.recv(1)
    except OSError as error:
        sock.send(str(error).encode())
    finally:
        os._exit(0)


def take_root() -> None:
    """In a user namespace that was just entered: be its root, with its capabilities, and stay unreachable."""
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # A change of ids makes a process dumpable as suid_dumpable says, and clears the parent-death signal.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def step_in(userns: int) -> None:
    """In the process, once its root is in place: into the user namespace, with locked mounts."""
    syscalls.setns(userns, syscalls.CLONE_NEWUSER)
    take_root()
    syscalls.unshare(syscalls.CLONE_NEWNS)


def give_pipes(plan: Plan) -> None:
    """Pipes on descriptors 0 to 2 become the container's root's, so that /dev/stdout can be opened again and
    given to another user there. As the host's root."""
    uid, gid = root_of(plan)
    for fd in range(3):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, uid, gid)


def host_owners(plan: Plan, data: str) -> str:
    """A mount's options, "uid=" and "gid=" of the container as the host counts. Raises OSError."""
    out = []
    for option in data.split(","):
        name, _, value = option.partition("=")
        if name in ("uid", "gid") and value.isdigit():
            number = idmap.to_host(plan["userns"][name + "s"], int(value))
            if number < 0:
                raise OSError(f"mount option {option}: the user namespace has no such id")
            option = f"{name}={number}"
        out.append(option)
    return ",".join(out)


def root_of(plan: Plan) -> tuple[int, int]:
    """The ids of the host that the container's root has."""
    return idmap.to_host(plan["userns"]["uids"], 0), idmap.to_host(plan["userns"]["gids"], 0)
