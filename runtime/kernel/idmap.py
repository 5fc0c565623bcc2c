"""Id-mapped mounts and what belongs to them (user_namespaces(7), mount_setattr(2)).

A file keeps the owner that it has on disk; seen through a mount that is mapped with a user namespace, its
owner is that namespace's: what is 0 on disk is root *there*. So one layer on disk, owned by root, serves
containers of any range of ids, and what they write is on disk as if it were written by root.

Loaded only for containers that have a user namespace.
"""

from __future__ import annotations

import errno
import os

from runtime.kernel import filesystems, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Ranges = Iterable[tuple[int, int, int]]

__all__ = [
    "act_as",
    "cover",
    "map_mount",
    "owner_of_namespaces",
    "owners_for_devpts",
    "read_map",
    "to_host",
    "write_maps",
]

_MOST_SIGNED = (1 << 31) - 1


def write_maps(pid: int, uids: Ranges, gids: Ranges) -> None:
    """Give the new user namespace of ``pid`` its ids: (inside, outside, count) each. Raises SyscallError.

    The kernel takes one write for each file, whole, and only once (user_namespaces(7)).
    """
    for name, ranges in (("uid_map", uids), ("gid_map", gids)):
        text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        except OSError as error:
            shown = f"{name} {' '.join(text.split())}"
            raise syscalls.SyscallError("write", shown, error.errno or 0) from error
        finally:
            os.close(fd)


def read_map(pid: int, name: str) -> list[tuple[int, int, int]]:
    """ "uid_map" or "gid_map" of a process, outside ids being ours."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = b""
        while piece := os.read(fd, 1 << 16):
            text += piece
    finally:
        os.close(fd)
    found = []
    for line in text.splitlines():
        inside, outside, count = line.split()
        found.append((int(inside), int(outside), int(count)))
    return found


def map_mount(mount_fd: int, userns: int, what: str) -> None:
    """Map a detached mount, without what is mounted below it. Raises SyscallError; its words say so when the
    file system cannot be mapped (EINVAL), as some network and FUSE file systems cannot."""
    try:
        syscalls.mount_setattr(
            mount_fd,
            "",
            syscalls.AT_EMPTY_PATH,
            attr_set=syscalls.MOUNT_ATTR_IDMAP,
            userns_fd=userns,
        )
    except syscalls.SyscallError as error:
        reason = ", whose file system cannot map ids" if error.errno in (errno.EINVAL, errno.ENOSYS) else ""
        raise syscalls.SyscallError("mount_setattr", f"idmap of {what}{reason}", error.errno or 0) from error


def cover(directory: str, userns: int) -> None:
    """Mount ``directory`` over itself with mapped ids: every path below it then leads to mapped files.

    In a mount namespace of the caller's own that no other is a peer of.
    """
    mount_fd = filesystems.clone_tree(syscalls.AT_FDCWD, directory, recursive=False)
    try:
        map_mount(mount_fd, userns, directory)
        target = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            filesystems.attach(mount_fd, target, directory)
        finally:
            os.close(target)
    finally:
        os.close(mount_fd)


def act_as(uid: int, gid: int) -> None:
    """From now on the calling thread's new files belong to these ids of the host; its capabilities stay.

    Through a mapped mount the host's root cannot make files at all (EOVERFLOW): it has no name there.
    setfsuid(2) takes the capabilities over files out of the effective set, so they are put back.
    """
    if os.geteuid() != os.getuid():
        os.seteuid(os.getuid())
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    _effective, permitted, inheritable = syscalls.capget()
    syscalls.setfsgid(gid)
    syscalls.setfsuid(uid)
    syscalls.capset(permitted, permitted, inheritable)


def owner_of_namespaces(uid: int) -> None:
    """Until :func:`act_as`: the effective user is the root of the user namespace. The kernel lets nobody else
    set what belongs to its IPC namespace, whatever capabilities they have (ipc/ipc_sysctl.c)."""
    _effective, permitted, inheritable = syscalls.capget()
    os.seteuid(uid)
    syscalls.capset(permitted, permitted, inheritable)
    # The change cleared the parent-death signal and made us as dumpable as suid_dumpable says (prctl(2)).
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)


def to_host(ranges: Ranges, number: int) -> int:
    """The id outside of what is ``number`` inside; -1 when it is not mapped."""
    for inside, outside, count in ranges:
        if inside <= number < inside + count:
            return outside + number - inside
    return -1


def owners_for_devpts(data: str) -> str:
    """Mount options of a devpts without ids of the host that kernels such as Linux 6.1 take for too large,
    since they read them as signed numbers: a terminal then belongs to the group of whoever opens it."""
    return ",".join(
        option
        for option in data.split(",")
        if not (
            option.startswith(("uid=", "gid=")) and option[4:].isdigit() and int(option[4:]) > _MOST_SIGNED
        )
    )
