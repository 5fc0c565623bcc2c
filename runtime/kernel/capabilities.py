"""Capabilities as masks, by name, and the calls that change a thread's sets (capabilities(7))."""

from __future__ import annotations

import os

from runtime.kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NAMES", "current", "drop_bounding", "keep_caps", "last_cap", "mask_of", "names_of", "set_ambient",
           "set_sets"]  # fmt: skip

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""In the kernel's order: the index is the number (linux/capability.h)."""

_last = -1


def last_cap() -> int:
    """The highest capability that this kernel and we know."""
    global _last
    if _last < 0:
        try:
            fd = os.open("/proc/sys/kernel/cap_last_cap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return len(NAMES) - 1
        try:
            _last = min(int(os.read(fd, 16)), len(NAMES) - 1)
        finally:
            os.close(fd)
    return _last


def mask_of(names: Iterable[str]) -> int:
    """The mask of names, which may lack CAP_ and be in any case; ALL is every one that the kernel knows.

    Raises ValueError that names the unknown one.
    """
    mask = 0
    for name in names:
        full = name.upper()
        if not full.startswith("CAP_"):
            full = "CAP_" + full
        if full == "CAP_ALL":
            mask |= (1 << (last_cap() + 1)) - 1
            continue
        if full not in NAMES:
            raise ValueError(f"unknown capability {name!r}")
        mask |= 1 << NAMES.index(full)
    return mask


def names_of(mask: int) -> list[str]:
    """The names in a mask, in the kernel's order."""
    return [name for number, name in enumerate(NAMES) if mask >> number & 1]


def current() -> tuple[int, int, int, int]:
    """(effective, permitted, inheritable, bounding) of the calling thread."""
    bounding = 0
    for number in range(last_cap() + 1):
        if syscalls.prctl(syscalls.PR_CAPBSET_READ, number):
            bounding |= 1 << number
    return (*syscalls.capget(), bounding)


def drop_bounding(mask: int) -> None:
    """Keep only ``mask`` in the bounding set. Needs CAP_SETPCAP, so it comes before :func:`set_sets`."""
    for number in range(last_cap() + 1):
        if not mask >> number & 1 and syscalls.prctl(syscalls.PR_CAPBSET_READ, number):
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)


def keep_caps() -> None:
    """Let the permitted set survive the change from user 0 to another one; execve(2) clears the wish."""
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)


def set_sets(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2). What the thread's own permitted set lacks is left out rather than refused: a machine may
    withhold capabilities (CAP_SYS_RESOURCE, for one) that a privileged container asks for."""
    _effective, own, _inheritable = syscalls.capget()
    permitted &= own
    syscalls.capset(effective & permitted, permitted, inheritable & own)


def set_ambient(mask: int) -> None:
    """Exactly ``mask`` in the ambient set; each must be permitted and inheritable."""
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(last_cap() + 1):
        if mask >> number & 1:
            syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_RAISE, number)
