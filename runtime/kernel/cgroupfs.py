"""The container's view of its control groups at /sys/fs/cgroup (cgroup_namespaces(7)).

The caller is in the container's groups and in a new cgroup namespace, so each hierarchy mounted here shows
the container's group as its root. Nothing of the host's groups can be seen or written (CVE-2022-0492).
"""

from __future__ import annotations

import os

from runtime.kernel import filesystems, mountinfo, rootpath, syscalls

__all__ = ["mount_cgroups"]

_NOT_CONTROLLERS = (
    "rw",
    "ro",
    "xattr",
    "noprefix",
    "clone_children",
    "none",
    "cpuset_v2_mode",
    "favordynmods",
)


def mount_cgroups(root_fd: int, destination: str, flags: int, what: str) -> None:
    """The unified hierarchy, or on a v1 or hybrid machine each v1 hierarchy that the host has mounted, in a
    small file system of their own. ``flags`` hold for every mount."""
    target = rootpath.make_in_root(root_fd, destination, True, follow=False)
    try:
        hierarchies = [entry for entry in mountinfo.read(contains=" - cgroup ") if entry.fstype == "cgroup"]
        if hierarchies:
            _mount_v1(hierarchies, target, flags, what)
        else:
            _attach_new("cgroup2", "cgroup2", flags, [], target, what)
    finally:
        os.close(target)


def _mount_v1(hierarchies: list[mountinfo.MountEntry], target: int, flags: int, what: str) -> None:
    top = filesystems.new_filesystem("tmpfs", "tmpfs", flags & ~syscalls.MS_RDONLY, "mode=755,size=64k")
    try:
        filesystems.attach(top, target, what)
        seen: set[str] = set()
        for entry in hierarchies:
            name = entry.mount_point.rpartition("/")[2]
            options = [item for item in entry.super_options.split(",") if _selects(item)]
            if name in seen or not options:
                continue
            seen.add(name)
            os.mkdir(name, 0o755, dir_fd=top)
            inner = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
            try:
                _attach_new("cgroup", "cgroup", flags, options, inner, f"cgroup {name}")
            finally:
                os.close(inner)
            if "," in name:
                for alias in name.split(","):
                    os.symlink(name, alias, dir_fd=top)
        if flags & syscalls.MS_RDONLY and not filesystems.set_attributes(
            top, syscalls.MS_RDONLY, recursive=False
        ):
            filesystems.set_attributes_attached(top, syscalls.MS_RDONLY)
    finally:
        os.close(top)


def _selects(option: str) -> bool:
    """A controller or the hierarchy's name, not one of the mount's properties."""
    return option not in _NOT_CONTROLLERS and not option.startswith("release_agent=")


def _attach_new(fstype: str, source: str, flags: int, options: list[str], target: int, what: str) -> None:
    if any(option.startswith("name=") for option in options):
        options = ["none", *options]
    mount_fd = filesystems.new_filesystem(fstype, source, flags, ",".join(options))
    try:
        filesystems.attach(mount_fd, target, what)
    finally:
        os.close(mount_fd)
