"""Installing a system call filter. Compiling one is :mod:`runtime.kernel.seccomp_compile`'s, elsewhere."""

from __future__ import annotations

import os

from runtime.kernel import syscalls

__all__ = ["default_program", "install"]

_SECCOMP_SET_MODE_FILTER = 1


def install(program: bytes) -> None:
    """Filter the calling process and its children by a BPF program (an array of ``struct sock_filter``).

    It needs no_new_privs, or CAP_SYS_ADMIN (seccomp(2)). So without no_new_privs it goes in before the
    capabilities are dropped, and the program must let capset, prctl, setresuid and execve through, as every
    profile that can start anything does; with no_new_privs it goes in last, right before execve.
    """
    syscalls.seccomp(_SECCOMP_SET_MODE_FILTER, 0, program)


def default_program() -> bytes:
    """The default profile for the default capabilities, compiled; b"" where none is shipped."""
    path = f"{__file__.rpartition('/')[0]}/seccomp_default.{os.uname().machine}.bpf"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, 8 * 4096)
    finally:
        os.close(fd)
