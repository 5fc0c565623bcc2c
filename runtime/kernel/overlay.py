"""Overlay mounts of many layers (Documentation/filesystems/overlayfs.rst)."""

from __future__ import annotations

import os

from runtime.kernel import filesystems, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["image_tree", "mount_overlay"]

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

    A layer that is there twice (two build steps that changed nothing) would be ELOOP; the topmost hides all
    of the other, so it stands for both.
    """
    lowerdirs = list(dict.fromkeys(lowerdirs))
    what = f"overlay on {target}"
    target_fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if len(lowerdirs) + (1 if upper else 0) < 2:
            single = upper or lowerdirs[0]
            mount_fd = filesystems.clone_tree(syscalls.AT_FDCWD, single, recursive=False)
            if not upper:
                filesystems.set_attributes(mount_fd, syscalls.MS_RDONLY, recursive=False)
        else:
            if not _takes_layers_one_by_one():
                _classic(lowerdirs, upper, work, volatile, target)
                return
            mount_fd = _overlay(lowerdirs, upper, work, volatile, what)
        try:
            filesystems.attach(mount_fd, target_fd, what)
        finally:
            os.close(mount_fd)
    finally:
        os.close(target_fd)


def image_tree(lowerdirs: Sequence[str], subpath: str) -> int:
    """A detached read-only mount of an image's layers (topmost first), or of what is at ``subpath`` in them;
    no link of the image leads out of it. For a process in a private mount namespace: the tree lies over the
    directory of the layers for a moment, since a part can only be copied of what is mounted. Raises
    SyscallError."""
    place = os.path.dirname(os.path.abspath(lowerdirs[0]))
    mount_overlay(lowerdirs, None, None, place)
    try:
        top = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
            inside = syscalls.openat2(top, subpath or ".", os.O_PATH, 0, resolve)
        finally:
            os.close(top)
        try:
            return filesystems.clone_tree(inside, "", False)
        finally:
            os.close(inside)
    finally:
        syscalls.umount2(place, syscalls.MNT_DETACH)


def _overlay(lowerdirs: Sequence[str], upper: str | None, work: str | None, volatile: bool, what: str) -> int:
    """The detached mount."""
    base, lower_names, upper_name, work_name = _relative(lowerdirs, upper, work)
    context = syscalls.fsopen("overlay")
    try:
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.chdir(base)
            syscalls.fsconfig_set_string(context, "source", "overlay")
            for name in lower_names:
                syscalls.fsconfig_set_string(context, "lowerdir+", name)
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
) -> tuple[str, list[str], str, str]:
    """(directory of the layers, names from there): short enough for fsconfig(2), however long its path is."""
    base = os.path.dirname(os.path.abspath(lowerdirs[0]))
    names = [os.path.relpath(path, base) for path in lowerdirs]
    return (
        base,
        names,
        os.path.relpath(upper, base) if upper else "",
        os.path.relpath(work, base) if work else "",
    )


def _takes_layers_one_by_one() -> bool:
    """Since Linux 6.5. Trying it out on an older kernel would write an error to its log at every start."""
    major, _dot, rest = os.uname().release.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor) if minor.isdigit() else 0) >= (6, 5)


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
