"""System calls that Python does not have, one thin wrapper each, with the kernel's names.

Every wrapper raises :class:`SyscallError`, which names the call and what it was about. Calls that a C library
may lack go through syscall(2); numbers from 424 on are the same on every architecture, older ones come from
``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64).
"""

from __future__ import annotations

import os
import struct

from runtime.kernel.libc import SyscallError, address, buffer, call, check, encoded, errno, pointers, syscall
from runtime.kernel.process_calls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLOSE_RANGE_CLOEXEC,
    PR_SET_DUMPABLE,
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    close_range,
    prctl,
    setns,
    unshare,
)

__all__ = [
    "CLONE_NEWCGROUP", "CLONE_NEWIPC", "CLONE_NEWNET", "CLONE_NEWNS", "CLONE_NEWPID", "CLONE_NEWTIME",
    "CLONE_NEWUSER", "CLONE_NEWUTS", "CLOSE_RANGE_CLOEXEC", "PR_SET_DUMPABLE", "PR_SET_NAME",
    "PR_SET_PDEATHSIG", "SyscallError", "bpf", "capget", "capset", "close_range", "execveat",
    "fsconfig_create", "fsconfig_set_fd", "fsconfig_set_flag", "fsconfig_set_string", "fsmount",
    "fsopen", "fstatfs_type", "mount", "mount_setattr", "move_mount", "open_tree", "openat2",
    "pidfd_send_signal", "pivot_root", "prctl", "seccomp", "setdomainname", "setfsgid", "setfsuid",
    "sethostname", "setns",
    "umount2", "unshare",
]  # fmt: skip

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

FSMOUNT_CLOEXEC = 1
FSOPEN_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_SET_FD = 5
_FSCONFIG_CMD_CREATE = 6

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

MOUNT_ATTR_RDONLY = 0x00000001
MOUNT_ATTR_NOSUID = 0x00000002
MOUNT_ATTR_NODEV = 0x00000004
MOUNT_ATTR_NOEXEC = 0x00000008
MOUNT_ATTR__ATIME = 0x00000070
MOUNT_ATTR_RELATIME = 0x00000000
MOUNT_ATTR_NOATIME = 0x00000010
MOUNT_ATTR_STRICTATIME = 0x00000020
MOUNT_ATTR_NODIRATIME = 0x00000080
MOUNT_ATTR_IDMAP = 0x00100000
MOUNT_ATTR_NOSYMFOLLOW = 0x00200000

MOVE_MOUNT_F_EMPTY_PATH = 0x00000004
MOVE_MOUNT_T_EMPTY_PATH = 0x00000040

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_SILENT = 32768
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

PR_GET_DUMPABLE = 3
PR_GET_KEEPCAPS = 7
PR_SET_KEEPCAPS = 8
PR_GET_SECCOMP = 21
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_LOWER = 3
PR_CAP_AMBIENT_CLEAR_ALL = 4

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

# statfs(2), f_type
BINFMTFS_MAGIC = 0x42494E4D
CGROUP_SUPER_MAGIC = 0x27E0EB
CGROUP2_SUPER_MAGIC = 0x63677270
DEVPTS_SUPER_MAGIC = 0x1CD1
MQUEUE_MAGIC = 0x19800202
OVERLAYFS_SUPER_MAGIC = 0x794C7630
PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
TMPFS_MAGIC = 0x01021994

_X86_64 = {"pivot_root": 155, "seccomp": 317, "bpf": 321, "execveat": 322}
_GENERIC = {"pivot_root": 41, "seccomp": 277, "bpf": 280, "execveat": 281}
_OLD = _X86_64 if os.uname().machine == "x86_64" else _GENERIC
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_PIDFD_SEND_SIGNAL = 424
_OPENAT2, _MOUNT_SETATTR = 437, 442

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Path = str | bytes | os.PathLike[str]


def _text(path: Path) -> str:
    return encoded(path).decode(errors="surrogateescape")


# -- mounts: mount(2) and its companions ----------------------------------------------------------


def mount(source: Path | None, target: Path, fstype: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    result = call(
        "mount",
        None if source is None else encoded(source),
        encoded(target),
        None if fstype is None else fstype.encode(),
        flags,
        None if data is None else encoded(data),
    )
    check(
        result,
        "mount",
        f"{fstype or (_text(source) if source is not None else '')} on {_text(target)}".lstrip(),
    )


def umount2(target: Path, flags: int = 0) -> None:
    """umount2(2)."""
    check(call("umount2", encoded(target), flags), "umount", _text(target))


def pivot_root(new_root: Path, put_old: Path) -> None:
    """pivot_root(2)."""
    result = syscall(_OLD["pivot_root"], encoded(new_root), encoded(put_old))
    check(result, "pivot_root", _text(new_root))


def open_tree(dirfd: int, path: Path, flags: int) -> int:
    """open_tree(2): with OPEN_TREE_CLONE a detached copy of a mount, as a descriptor (close-on-exec)."""
    result = syscall(_OPEN_TREE, dirfd, encoded(path), flags | OPEN_TREE_CLOEXEC)
    return check(result, "open_tree", _text(path) or f"of descriptor {dirfd}")


def move_mount(mount_fd: int, target_fd: int, what: str) -> None:
    """move_mount(2) of the mount that ``mount_fd`` is onto what ``target_fd`` is. ``what`` is for the error:
    "proc on /proc"."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    check(syscall(_MOVE_MOUNT, mount_fd, b"", target_fd, b"", flags), "mount", what)


def mount_setattr(
    dirfd: int,
    path: Path,
    flags: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2); since Linux 5.12. ``userns_fd`` goes with MOUNT_ATTR_IDMAP."""
    attributes = struct.pack("=QQQQ", attr_set, attr_clr, propagation, userns_fd)
    result = syscall(_MOUNT_SETATTR, dirfd, encoded(path), flags, attributes, len(attributes))
    check(result, "mount_setattr", _text(path) or f"of descriptor {dirfd}")


def fsopen(fstype: str) -> int:
    """fsopen(2): a context to configure a file system in. ENODEV when the kernel does not have it."""
    return check(syscall(_FSOPEN, fstype.encode(), FSOPEN_CLOEXEC), "fsopen", fstype)


def fsconfig_set_string(fd: int, key: str, value: str) -> None:
    """One option; the kernel takes values of up to 255 bytes."""
    result = syscall(_FSCONFIG, fd, _FSCONFIG_SET_STRING, key.encode(), encoded(value), 0)
    check(result, "fsconfig", f"{key}={value}")


def fsconfig_set_flag(fd: int, key: str) -> None:
    """One option without a value."""
    check(syscall(_FSCONFIG, fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0), "fsconfig", key)


def fsconfig_set_fd(fd: int, key: str, value: int) -> None:
    """One option that is a descriptor."""
    check(syscall(_FSCONFIG, fd, _FSCONFIG_SET_FD, key.encode(), None, value), "fsconfig", key)


def fsconfig_create(fd: int, fstype: str) -> None:
    """Make the superblock. The kernel's own words, which the context holds, become part of the error."""
    result = syscall(_FSCONFIG, fd, _FSCONFIG_CMD_CREATE, None, None, 0)
    if result == -1:
        number = errno()
        raise SyscallError("mount", f"{fstype}{_fs_log(fd)}", number)


def _fs_log(fd: int) -> str:
    try:
        message = os.read(fd, 4096).decode(errors="replace").strip()
    except OSError:
        return ""
    return f" ({message[2:] if message[1:2] == ' ' else message})"


def fsmount(fd: int, attributes: int, fstype: str) -> int:
    """fsmount(2): a detached mount, as a descriptor."""
    return check(syscall(_FSMOUNT, fd, FSMOUNT_CLOEXEC, attributes), "fsmount", fstype)


def fstatfs_type(fd: int) -> int:
    """The magic number of the file system that ``fd`` is on; statfs(2), f_type."""
    answer = buffer(256)
    check(call("fstatfs", fd, answer), "fstatfs", f"of descriptor {fd}")
    return int(struct.unpack_from("l", answer)[0])


# -- namespaces -----------------------------------------------------------------------------------


def sethostname(name: str) -> None:
    """sethostname(2)."""
    encoded = name.encode()
    check(call("sethostname", encoded, len(encoded)), "sethostname", name)


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    encoded = name.encode()
    check(call("setdomainname", encoded, len(encoded)), "setdomainname", name)


# -- processes ------------------------------------------------------------------------------------


def setfsuid(uid: int) -> None:
    """setfsuid(2) of the calling thread alone. The call tells nothing about failure, so it is asked again."""
    call("setfsuid", uid)
    if call("setfsuid", -1) & 0xFFFFFFFF != uid:
        raise SyscallError("setfsuid", str(uid), 1)  # EPERM


def setfsgid(gid: int) -> None:
    """setfsgid(2), likewise."""
    call("setfsgid", gid)
    if call("setfsgid", -1) & 0xFFFFFFFF != gid:
        raise SyscallError("setfsgid", str(gid), 1)  # EPERM


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """pidfd_send_signal(2)."""
    check(syscall(_PIDFD_SEND_SIGNAL, pidfd, signal, None, 0), "kill", f"descriptor {pidfd}")


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of the calling thread, sets as masks."""
    header = struct.pack("=Ii", 0x20080522, 0)
    low = 0xFFFFFFFF
    data = struct.pack(
        "=6I",
        effective & low, permitted & low, inheritable & low,
        effective >> 32, permitted >> 32, inheritable >> 32,
    )  # fmt: skip
    check(call("capset", header, data), "capset")


def capget() -> tuple[int, int, int]:
    """(effective, permitted, inheritable) of the calling thread."""
    header = buffer(struct.pack("=Ii", 0x20080522, 0))
    data = buffer(24)
    check(call("capget", header, data), "capget")
    words = struct.unpack("=6I", data)
    return words[0] | words[3] << 32, words[1] | words[4] << 32, words[2] | words[5] << 32


def seccomp(operation: int, flags: int, program: bytes) -> int:
    """seccomp(2) with a BPF program: an array of ``struct sock_filter``, 8 bytes each."""
    instructions = buffer(program)
    fprog = struct.pack("@HP", len(program) // 8, address(instructions))
    return check(syscall(_OLD["seccomp"], operation, flags, fprog), "seccomp")


def bpf(command: int, attributes: bytes) -> int:
    """bpf(2); the result is a descriptor for the commands that make one (close-on-exec)."""
    return check(syscall(_OLD["bpf"], command, attributes, len(attributes)), "bpf", f"command {command}")


def execveat(fd: int, argv: Sequence[str], env: dict[str, str]) -> None:
    """execveat(2) of the open file ``fd`` itself (AT_EMPTY_PATH). Comes back only by raising."""
    arguments, _strings = pointers([encoded(item) for item in argv])
    environment, _values = pointers([encoded(f"{key}={value}") for key, value in env.items()])
    result = syscall(_OLD["execveat"], fd, b"", arguments, environment, AT_EMPTY_PATH)
    check(result, "execveat", argv[0] if argv else "")


# -- descriptors ----------------------------------------------------------------------------------


def openat2(dirfd: int, path: Path, flags: int, mode: int, resolve: int) -> int:
    """openat2(2); since Linux 5.6. The descriptor is close-on-exec."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return check(syscall(_OPENAT2, dirfd, encoded(path), how, len(how)), "open", _text(path))
