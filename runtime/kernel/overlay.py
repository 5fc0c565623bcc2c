"""Overlay mounts of many layers (Documentation/filesystems/overlayfs.rst)."""

from __future__ import annotations

import errno
import os

from runtime.kernel import filesystems, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["mount_overlay"]

_LONGEST_VALUE = 255
# A layer's content is an image's: redirects written in it must not be followed, and the upper directory must
# stay readable as a layer by itself, so neither redirects nor metadata-only copies are made.
_OPTIONS = (("redirect_dir", "nofollow"), ("index", "off"), ("metacopy", "off"))


def mount_overlay(
    lowerdirs: Sequence[str],
    upper: str | None,
    work: str | None,
    target: str,
    volatile: bool = False,
) -> None:
    """Mount ``lowerdirs`` (topmost first) with ``upper`` over them on ``target``; no upper is read-only.

    With too few layers for overlayfs (none below an upper, one alone) it is a bind mount of the one
    directory. ``volatile`` leaves out every sync of the upper file system. The working directory of the
    process stays. Raises SyscallError.
    """
    what = f"overlay on {target}"
    target_fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if len(lowerdirs) + (1 if upper else 0) < 2:
            single = upper or lowerdirs[0]
            mount_fd = filesystems.clone_tree(syscalls.AT_FDCWD, single, recursive=False)
            if not upper:
                filesystems.set_attributes(mount_fd, syscalls.MS_RDONLY, recursive=False)
        else:
            mount_fd = _overlay(lowerdirs, upper, work, volatile, what)
        if mount_fd >= 0:
            try:
                filesystems.attach(mount_fd, target_fd, what)
            finally:
                os.close(mount_fd)
        else:
            _classic(lowerdirs, upper, work, volatile, target)
    finally:
        os.close(target_fd)


def _overlay(lowerdirs: Sequence[str], upper: str | None, work: str | None, volatile: bool, what: str) -> int:
    """The detached mount, or -1 when this kernel wants the layers in one string (before 6.5)."""
    with_base = _relative(lowerdirs, upper, work)
    if with_base is None:
        return -1
    base, lower_names, upper_name, work_name = with_base
    context = syscalls.fsopen("overlay")
    try:
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.chdir(base)
            syscalls.fsconfig_set_string(context, "source", "overlay")
            try:
                for name in lower_names:
                    syscalls.fsconfig_set_string(context, "lowerdir+", name)
            except syscalls.SyscallError as error:
                if error.errno == errno.EINVAL:
                    return -1
                raise
            if upper:
                syscalls.fsconfig_set_string(context, "upperdir", upper_name)
                syscalls.fsconfig_set_string(context, "workdir", work_name)
            for key, value in _OPTIONS:
                syscalls.fsconfig_set_string(context, key, value)
            if volatile:
                syscalls.fsconfig_set_flag(context, "volatile")
            syscalls.fsconfig_create(context, what)
        finally:
            os.fchdir(here)
            os.close(here)
        return syscalls.fsmount(context, 0 if upper else syscalls.MOUNT_ATTR_RDONLY, "overlay")
    finally:
        os.close(context)


def _relative(
    lowerdirs: Sequence[str], upper: str | None, work: str | None
) -> tuple[str, list[str], str, str] | None:
    """Names from the layers' directory: short, however long its path is. None when still too long."""
    base = os.path.dirname(os.path.abspath(lowerdirs[0]))
    names = [os.path.relpath(path, base) for path in lowerdirs]
    upper_name = os.path.relpath(upper, base) if upper else ""
    work_name = os.path.relpath(work, base) if work else ""
    if max(len(os.fsencode(name)) for name in (*names, upper_name, work_name)) > _LONGEST_VALUE:
        return None
    return base, names, upper_name, work_name


def _classic(
    lowerdirs: Sequence[str], upper: str | None, work: str | None, volatile: bool, target: str
) -> None:
    """mount(2), whose options must fit into one page: the names are relative to the layers' directory."""
    base = os.path.dirname(os.path.abspath(lowerdirs[0]))

    def name(path: str) -> str:
        relative = os.path.relpath(path, base)
        return relative.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")

    options = ["lowerdir=" + ":".join(name(path) for path in lowerdirs)]
    if upper and work:
        options += [f"upperdir={name(upper)}", f"workdir={name(work)}"]
    options += [f"{key}={value}" for key, value in _OPTIONS]
    if volatile:
        options.append("volatile")
    absolute = os.path.abspath(target)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(base)
        syscalls.mount("overlay", absolute, "overlay", 0 if upper else syscalls.MS_RDONLY, ",".join(options))
    finally:
        os.fchdir(here)
        os.close(here)
