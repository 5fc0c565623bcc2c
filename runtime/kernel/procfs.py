"""Files of /proc that mean something to the kernel.

A write that the image or a mount diverts to another file is a way out (CVE-2025-52881): so what is opened is
proven to be on procfs before anything is written to it.
"""

from __future__ import annotations

import errno
import os

from runtime.kernel import syscalls

__all__ = ["write"]


def write(path: str, text: str) -> None:
    """Write to a kernel file such as /proc/sys/net/ipv4/ip_forward. Raises SyscallError; EXDEV when something
    else than procfs is there."""
    fd = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_WRONLY, 0, syscalls.RESOLVE_NO_MAGICLINKS)
    try:
        if syscalls.fstatfs_type(fd) != syscalls.PROC_SUPER_MAGIC:
            raise syscalls.SyscallError("write", path, errno.EXDEV)
        os.write(fd, text.encode())
    except syscalls.SyscallError:
        raise
    except OSError as error:
        raise syscalls.SyscallError("write", path, error.errno or 0) from error
    finally:
        os.close(fd)
