"""Reading and writing the files of a group, and what both versions do with directories and processes."""

from __future__ import annotations

import errno
import os
import time

from runtime.kernel.syscalls import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "children",
    "exists",
    "keyed",
    "make_directories",
    "number",
    "open_for_writing",
    "pids",
    "read",
    "remove_directories",
    "remove_empty",
    "remove_made",
    "signal_all",
    "wait_until",
    "write",
]

_SIGKILL = 9
_MADE = "trusted.tuidock"
"""The attribute (xattr(7); cgroup directories have them since Linux 3.7) of a group that was made because
something below it was wanted, and that goes when nothing is."""


def read(path: str) -> str:
    """The file's content. Raises SyscallError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, 65536)
            while len(data) % 4096 == 0 and (more := os.read(fd, 65536)):
                data += more
        finally:
            os.close(fd)
    except OSError as error:
        raise SyscallError("read", path, error.errno or 0) from error
    return data.decode()


def write(path: str, text: str) -> None:
    """One write(2), as the kernel wants it. Raises SyscallError that shows file and value."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise SyscallError("write", f"{text} to {path}", error.errno or 0) from error


def open_for_writing(paths: list[str]) -> list[int]:
    """A descriptor each (close-on-exec). Raises SyscallError, leaving none open."""
    fds: list[int] = []
    for path in paths:
        try:
            fds.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        except OSError as error:
            for fd in fds:
                os.close(fd)
            raise SyscallError("open", path, error.errno or 0) from error
    return fds


def number(path: str) -> int:
    """A file that is one number; "max" and a missing file are 0."""
    try:
        text = read(path).strip()
    except SyscallError:
        return 0
    return int(text) if text.lstrip("-").isdigit() else 0


def keyed(path: str) -> dict[str, int]:
    """A file of "key number" lines; a missing file is empty."""
    try:
        text = read(path)
    except SyscallError:
        return {}
    out = {}
    for line in text.splitlines():
        key, _separator, value = line.partition(" ")
        if value.isdigit():
            out[key] = int(value)
    return out


def make_directories(root: str, path: str) -> list[str]:
    """Make ``root + path`` and what is missing above it; returns the new ones, topmost first.

    Another process may be removing empty parents meanwhile, so a lost race starts again.
    """
    parts = [part for part in path.split("/") if part]
    for attempt in range(20):
        made: list[str] = []
        current = root
        try:
            for part in parts:
                current = f"{current}/{part}"
                try:
                    os.mkdir(current, 0o755)
                    made.append(current)
                    # Whatever the umask: a container that has no power over it may still read its limits.
                    os.chmod(current, 0o755)
                except FileExistsError:
                    continue
            for directory in made:
                _mark(directory)
            return made
        except FileNotFoundError:
            if attempt == 19:
                raise SyscallError("mkdir", current, errno.ENOENT) from None
        except OSError as error:
            raise SyscallError("mkdir", current, error.errno or 0) from error
    return []


def exists(directory: str) -> bool:
    """Is there such a group?"""
    try:
        os.stat(f"{directory}/.")
    except OSError:
        return False
    return True


def children(directory: str) -> list[str]:
    """The names of the groups right below a group; none when it does not exist."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def pids(directory: str) -> list[int]:
    """Every process in the group and below it."""
    try:
        found = [int(word) for word in read(f"{directory}/cgroup.procs").split()]
    except SyscallError:
        return []
    for name in children(directory):
        found += pids(f"{directory}/{name}")
    return found


def signal_all(directory: str) -> bool:
    """SIGKILL to everything in the group and below it. False when there was nothing."""
    found = pids(directory)
    for pid in found:
        try:
            os.kill(pid, _SIGKILL)
        except ProcessLookupError:
            continue
    return bool(found)


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Look again at growing intervals; False when the time is over."""
    deadline = time.monotonic() + seconds
    pause = 0.0002
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return True


def remove_directories(directory: str) -> None:
    """rmdir(2) of the group and those below it; EBUSY is tried again for two seconds (a process that was just
    killed is still leaving). Raises SyscallError."""
    for name in children(directory):
        remove_directories(f"{directory}/{name}")
    last = 0

    def gone() -> bool:
        nonlocal last
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return True
        except OSError as error:
            last = error.errno or 0
            if last not in (errno.EBUSY, errno.ENOTEMPTY):
                raise SyscallError("rmdir", directory, last) from error
            return False
        return True

    if not wait_until(gone, 2.0):
        raise SyscallError("rmdir", directory, last)


def _mark(directory: str) -> None:
    try:
        os.setxattr(directory, _MADE, b"1")
    except OSError:  # then it stays when it is empty
        pass


def remove_made(root: str, path: str) -> None:
    """rmdir(2) from ``root + path`` upwards, as long as the groups are empty and were made by
    :func:`make_directories`."""
    parts = [part for part in path.split("/") if part]
    while parts:
        directory = "/".join([root, *parts])
        try:
            os.getxattr(directory, _MADE)
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            return
        parts.pop()


def remove_empty(root: str, path: str) -> None:
    """rmdir(2) from ``root + path`` upwards as long as the groups are empty; never ``root`` itself."""
    parts = [part for part in path.split("/") if part]
    while parts:
        try:
            os.rmdir("/".join([root, *parts]))
        except FileNotFoundError:
            pass
        except OSError:
            return
        parts.pop()
