"""A container's mounts, carried out from a plan inside its new mount namespace.

A plan is a list of dicts that marshal can write::

    {"destination": "/proc", "type": "proc", "source": "proc", "flags": MS_NOSUID | ..., "data": "mode=755",
     "propagation": 0, "extra": {}}

``type`` "bind" copies the tree at ``source``; with MS_REC its submounts too, and MS_RDONLY then holds for all
of them unless ``extra`` has ``"top_readonly_only": True``; ``"subpath"`` there is the part of the source that
is wanted, ``"namespace"`` the path of a mount namespace that the source is looked up in, ``"idmap"`` the
descriptor of a user namespace that owners are mapped with (:mod:`runtime.kernel.idmap`). ``"lowerdirs"`` in
``extra`` are an image's layers, shown read-only, ``"subpath"`` a part of them. ``type`` "cgroup" shows the
container's own control groups, whatever the machine's version. Anything else is a file system type of the
kernel.

Destinations are resolved in the root (:mod:`runtime.kernel.rootpath`). Those at or below /proc, /sys and /dev
must not lead over symbolic links of the image: other programs trust what lies there (CVE-2019-19921,
CVE-2025-31133, CVE-2025-52565, CVE-2025-52881).
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.kernel import cgroupfs, filesystems, rootpath, syscalls
from runtime.kernel.devices import bind_console, create_devices
from runtime.kernel.masks import mask_paths, readonly_paths, set_rootfs_readonly
from runtime.kernel.overlay import image_tree, mount_overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict

    class PlannedMount(TypedDict):
        destination: str
        type: str
        source: str
        flags: int
        data: str
        propagation: int
        extra: dict[str, object]


__all__ = [
    "bind_console", "create_devices", "make_private", "mask_paths", "mount_all", "mount_overlay", "pivot",
    "prepare_root", "readonly_paths", "set_rootfs_readonly", "take_shared",
]  # fmt: skip

_TRUSTED = ("/proc", "/sys", "/dev")
# What may lie over a file of /proc, as runc has it: views for tools, nothing that a runtime writes to.
_PROC_FILES = frozenset(
    "/proc/" + name
    for name in ("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
                 "net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled")
)  # fmt: skip


def make_private(propagation: int = syscalls.MS_PRIVATE | syscalls.MS_REC) -> None:
    """Cut the new mount namespace off from the one it was copied from: nothing mounted here shows there.

    With MS_SLAVE, what is mounted there still comes here. MS_SHARED is treated as MS_SLAVE: the root's mounts
    must never show outside.
    """
    if propagation & syscalls.MS_SHARED:
        propagation = propagation & ~syscalls.MS_SHARED | syscalls.MS_SLAVE
    syscalls.mount(None, "/", None, propagation)


def prepare_root(rootfs: str, propagation: int = syscalls.MS_PRIVATE | syscalls.MS_REC) -> None:
    """:func:`make_private`, and ``rootfs`` bound on itself so that it is a mount to pivot into."""
    make_private(propagation)
    mount_fd = filesystems.clone_tree(syscalls.AT_FDCWD, rootfs, recursive=True)
    target = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        filesystems.attach(mount_fd, target, rootfs)
    finally:
        os.close(target)
        os.close(mount_fd)


def mount_all(root_fd: int, plan: Iterable[PlannedMount]) -> None:
    """Carry the plan out in order below the root that ``root_fd`` (O_PATH) is. Missing destinations are made.

    Raises SyscallError that names source and destination.
    """
    previous = os.umask(0o022)
    try:
        for item in plan:
            what = f"{item['source'] if item['type'] == 'bind' else item['type']} on {item['destination']}"
            try:
                _mount(root_fd, item, what)
            except syscalls.SyscallError as error:
                detail = (
                    ""
                    if error.call == "mount" or error.call == "open_tree"
                    else f" ({error.call} {error.target})"
                )
                raise syscalls.SyscallError("mount", what + detail, error.errno or 0) from error
    finally:
        os.umask(previous)


def _mount(root_fd: int, item: PlannedMount, what: str) -> None:
    destination = "/" + item["destination"].strip("/")
    kind, flags = item["type"], item["flags"]
    trusted = any(destination == path or destination.startswith(path + "/") for path in _TRUSTED)
    if (destination + "/").startswith("/proc/") and kind != "proc" and destination not in _PROC_FILES:
        raise syscalls.SyscallError("mount", what, errno.EPERM)
    if kind == "cgroup":
        cgroupfs.mount_cgroups(root_fd, destination, flags, what)
        return
    directory = True
    if "lowerdirs" in item["extra"]:
        kind, mount_fd = "bind", _image(item)
        directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
    elif kind == "bind":
        taken = item["extra"].get("taken")
        mount_fd = taken if isinstance(taken, int) else _clone(item)
        directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
        if "idmap" in item["extra"]:
            from runtime.kernel import idmap

            idmap.map_mount(mount_fd, int(str(item["extra"]["idmap"])), item["source"])
    else:
        mount_fd = filesystems.new_filesystem(kind, item["source"], flags, item["data"])
    try:
        done = _configure(mount_fd, item)
        target = rootpath.make_in_root(root_fd, destination, directory, follow=not trusted)
        try:
            filesystems.attach(mount_fd, target, what)
        finally:
            os.close(target)
        if not done:
            bind_flags = flags if kind == "bind" else 0
            filesystems.set_attributes_attached(mount_fd, bind_flags, item["propagation"])
        if trusted:
            _verify(root_fd, destination, mount_fd, what)
    finally:
        os.close(mount_fd)


def _image(item: PlannedMount) -> int:
    layers = item["extra"]["lowerdirs"]
    assert isinstance(layers, list)
    return image_tree(layers, str(item["extra"]["subpath"]))


def _clone(item: PlannedMount) -> int:
    """The detached copy of a bind's source."""
    deep, extra = bool(item["flags"] & syscalls.MS_REC), item["extra"]
    if "namespace" in extra:
        return _clone_elsewhere(str(extra["namespace"]), item["source"], deep)
    if "subpath" not in extra:
        return filesystems.clone_tree(syscalls.AT_FDCWD, item["source"], deep)
    top = os.open(item["source"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # What lies in a volume is a container's to write: its links must not lead out of it.
        inside = syscalls.openat2(
            top,
            str(extra["subpath"]),
            os.O_PATH,
            0,
            syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS,
        )
    finally:
        os.close(top)
    try:
        return filesystems.clone_tree(inside, "", deep)
    finally:
        os.close(inside)


def _clone_elsewhere(namespace: str, path: str, deep: bool) -> int:
    """Of another container's mount namespace: no link there is followed. We come back at once; a process that
    is not dumpable and in no pid namespace of that container cannot be reached from it meanwhile."""
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(other, syscalls.CLONE_NEWNS)
        try:
            plain = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
            found = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, 0, plain)
            try:
                return filesystems.clone_tree(found, "", deep)
            finally:
                os.close(found)
        finally:
            syscalls.setns(own, syscalls.CLONE_NEWNS)
    finally:
        os.close(other)
        os.close(own)


def take_shared(plan: Iterable[PlannedMount]) -> None:
    """Copy the sources of binds with shared propagation while they are still peers of the host's mounts, that
    is before :func:`make_private`: what is mounted there inside must show outside and the other way round."""
    for item in plan:
        if item["type"] == "bind" and item["propagation"] & syscalls.MS_SHARED:
            item["extra"]["taken"] = _clone(item)


def _configure(mount_fd: int, item: PlannedMount) -> bool:
    """Attributes and propagation while nobody can see the mount; False when the kernel is too old for it."""
    if item["type"] != "bind" and "lowerdirs" not in item["extra"]:
        return filesystems.set_attributes(mount_fd, 0, recursive=False, propagation=item["propagation"])
    recursive = bool(item["flags"] & syscalls.MS_REC) and not item["extra"].get("top_readonly_only")
    return filesystems.set_attributes(
        mount_fd, item["flags"], recursive=recursive, propagation=item["propagation"]
    )


def _verify(root_fd: int, destination: str, mount_fd: int, what: str) -> None:
    """What a path lookup finds now is what we mounted: the image or a rename did not divert it."""
    found = rootpath.open_in_root(root_fd, destination, os.O_PATH, follow=False)
    try:
        ours, seen = os.fstat(mount_fd), os.fstat(found)
        if (ours.st_dev, ours.st_ino) != (seen.st_dev, seen.st_ino):
            raise syscalls.SyscallError("mount", what, errno.ELOOP)
    finally:
        os.close(found)


def pivot(rootfs: str) -> None:
    """Make ``rootfs`` (a mount) the root of this mount namespace; the old one is gone, the directory is "/".

    pivot_root(2), "pivot_root(., .)": the old root lies over the new one until it is detached.
    """
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(rootfs)
        syscalls.pivot_root(".", ".")
        os.fchdir(old)
        # A detach must not travel to the namespace that we came from.
        syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)
        syscalls.umount2(".", syscalls.MNT_DETACH)
    finally:
        os.close(old)
    os.chdir("/")
