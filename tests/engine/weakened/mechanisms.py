"""Every mechanism of isolation that a test can switch off, each by one change to the running program.

The shipped code knows nothing of this: a mechanism is a function that replaces attributes of ``runtime``'s
modules, in the test's own process (undone by monkeypatch) and in a monitor that a test starts through a
launcher of its own (see ``off.py``). So the program that holds is the one that does not, but for one thing.

Names with ``=`` take a value. Those of :data:`PREMISES` switch nothing off: they bring about what an attack
needs to find (a descriptor that leaked, a moment held open), with every mechanism in place.
"""

from __future__ import annotations

import _socket
import errno
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runtime.cgroups import groupfiles
from runtime.cgroups.v1 import LegacyBackend
from runtime.cgroups.v2 import UnifiedBackend
from runtime.kernel import (
    capabilities,
    masks,
    mounts,
    namespaces,
    process_calls,
    procfs,
    rootpath,
    seccomp,
    syscalls,
    terminals,
    title,
)
from runtime.monitor import credentials, inside, process, wire

__all__ = ["MECHANISMS", "PREMISES", "Patch", "apply"]

Patch = Callable[[object, str, object], None]
"""(object, attribute, value), as pytest's ``monkeypatch.setattr``."""


def apply(names: Sequence[str], patch: Patch) -> None:
    """Switch the named ones off, in order."""
    for name in names:
        key, equals, value = name.partition("=")
        found = MECHANISMS.get(key) or PREMISES[key]
        found(patch, value if equals else "")


def _nothing(*_arguments: object, **_named: object) -> None:
    return None


# -- capabilities and seccomp ----------------------------------------------------------------------


def _capabilities(patch: Patch, value: str) -> None:
    patch(capabilities, "drop_bounding", _nothing)
    patch(capabilities, "set_sets", _nothing)


def _inheritable(patch: Patch, value: str) -> None:
    real = capabilities.set_sets
    patch(capabilities, "set_sets", lambda effective, permitted, _: _inheriting(real, effective, permitted))


def _inheriting(real: Callable[[int, int, int], None], effective: int, permitted: int) -> None:
    """As peers did before CVE-2022-24769."""
    real(effective, permitted, permitted)


def _seccomp(patch: Patch, value: str) -> None:
    patch(seccomp, "install", _nothing)


def _init_credentials(patch: Patch, value: str) -> None:
    """``--init`` stays what the monitor is; its child alone becomes the user."""
    real_apply, real_execute = credentials.apply, credentials.execute
    later: list[tuple[Any, ...]] = []

    def put_off(plan: dict[str, Any], user: credentials.User, program: bytes) -> None:
        if plan.get("init"):
            later.append((plan, user, program))
        else:
            real_apply(plan, user, program)

    def execute(argv: list[str], env: dict[str, str]) -> None:
        for arguments in later:
            real_apply(*arguments)
        real_execute(argv, env)

    patch(credentials, "apply", put_off)
    patch(credentials, "execute", execute)


# -- file systems ----------------------------------------------------------------------------------


def _masks(patch: Patch, value: str) -> None:
    patch(mounts, "mask_paths", _nothing)


def _masks_refuse_links(patch: Patch, value: str) -> None:
    """A path that leads over a link counts as missing."""
    real = masks._open_plain

    def lenient(path: str) -> int:
        try:
            return real(path)
        except syscalls.SyscallError as error:
            if error.errno != errno.ELOOP:
                raise
            return -1

    patch(masks, "_open_plain", lenient)


def _masks_prove_null(patch: Patch, value: str) -> None:
    patch(masks, "_null", lambda: os.open("/dev/null", os.O_PATH | os.O_CLOEXEC))


def _readonly_paths(patch: Patch, value: str) -> None:
    patch(mounts, "readonly_paths", _nothing)


def _readonly(fstype: str) -> Callable[[Patch, str], None]:
    def off(patch: Patch, value: str) -> None:
        real = mounts._mount

        def writable(root_fd: int, item: mounts.PlannedMount, what: str) -> None:
            if item["type"] == fstype:
                item = {**item, "flags": item["flags"] & ~syscalls.MS_RDONLY}
            real(root_fd, item, what)

        patch(mounts, "_mount", writable)

    return off


def _door(patch: Patch, value: str) -> None:
    """Paths inside a root are resolved as any path is: links and ".." lead where they lead."""
    real = syscalls.openat2

    def naive(dirfd: int, path: syscalls.Path, flags: int, mode: int, resolve: int) -> int:
        if dirfd == syscalls.AT_FDCWD:
            return real(dirfd, path, flags, mode, 0)
        return real(dirfd, os.fsencode(path).lstrip(b"/") or b".", flags, mode, 0)

    patch(syscalls, "openat2", naive)


def _trusted_places(patch: Patch, value: str) -> None:
    """/proc, /sys and /dev may be reached over links of the image, and nobody looks what was mounted."""
    real = rootpath.make_in_root

    def following(root_fd: int, path: str, directory: bool, *, follow: bool = True, mode: int = 0o755) -> int:
        return real(root_fd, path, directory, follow=True, mode=mode)

    patch(rootpath, "make_in_root", following)
    patch(mounts, "_verify", _nothing)


class _Everything(frozenset[str]):
    def __contains__(self, item: object) -> bool:
        return True


def _nothing_over_proc(patch: Patch, value: str) -> None:
    patch(mounts, "_PROC_FILES", _Everything())


def _proven_procfs(patch: Patch, value: str) -> None:
    def write(path: str, text: str) -> None:
        with open(path, "w") as file:
            file.write(text)

    patch(procfs, "write", write)


def _ptmx(patch: Patch, value: str) -> None:
    """The terminal is opened wherever /dev/pts/ptmx leads."""
    patch(terminals, "open_pty_in", lambda root: os.openpty())


# -- descriptors and what a container can see of us ------------------------------------------------


def _descriptors(patch: Patch, value: str) -> None:
    real = syscalls.close_range

    def keeping(first: int, last: int, flags: int) -> None:
        if not flags & syscalls.CLOSE_RANGE_CLOEXEC:
            real(first, last, flags)

    patch(syscalls, "close_range", keeping)


def _dumpable(patch: Patch, value: str) -> None:
    real = syscalls.prctl

    def prctl(option: int, *arguments: int | bytes) -> int:
        return 0 if option == syscalls.PR_SET_DUMPABLE else real(option, *arguments)

    patch(syscalls, "prctl", prctl)
    patch(process_calls, "prctl", prctl)


def _titles(patch: Patch, value: str) -> None:
    patch(title, "set_title", lambda name, text: b"")
    patch(title, "restore_title", _nothing)


def _imports(patch: Patch, value: str) -> None:
    patch(inside, "refuse_imports", _nothing)


def _socket_in_a_directory(patch: Patch, value: str) -> None:
    def listen(directory: str, name: str = "sock") -> _socket.socket:
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        made.bind("\0tuidock" + directory[-40:])
        made.listen(8)
        return made

    patch(wire, "listen", listen)


# -- programs, directories, users ------------------------------------------------------------------


def _magic_programs(patch: Patch, value: str) -> None:
    patch(credentials, "_refuse_magic_link", _nothing)


def _working_directory(patch: Patch, value: str) -> None:
    patch(credentials, "change_directory", lambda path, create, owner: os.chdir(path))


def _ids_in_range(patch: Patch, value: str) -> None:
    def wrapping(text: str, what: str) -> int | None:
        try:
            return int(text, 0) & 0xFFFFFFFF
        except ValueError:
            return None

    patch(credentials, "_number", wrapping)


def _account_files(patch: Patch, value: str) -> None:
    def lines(path: str) -> list[list[str]]:
        with open(path) as file:
            return [line.split(":") for line in file.read().splitlines()]

    patch(credentials, "_account_lines", lines)


# -- in the process that calls: images, volumes, copies, state -------------------------------------


def _interpreter_sealed(patch: Patch, value: str) -> None:
    """Monitors run from the interpreter's file as anybody finds it."""
    from runtime.containers import launch

    patch(launch, "_read_only_program", lambda path: os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def _nothing_run(patch: Patch, value: str) -> None:
    """cp and export pack with the container's tar, top lists with its ps, as root on the machine."""
    import subprocess

    from runtime.containers import copy, export, top

    def packed(fd: int, *_arguments: object) -> Iterator[bytes]:
        root = os.readlink(f"/proc/self/fd/{fd}")
        for program in (f"/proc/self/fd/{fd}/bin/tar", f"/proc/self/fd/{fd}/../bin/tar"):
            subprocess.run([program, "-c", root], pass_fds=[fd], check=False) if os.path.exists(
                program
            ) else None
        yield b""

    def command(process: Any) -> str:
        subprocess.run([f"/proc/{process.pid}/root/bin/ps"], check=False)
        return ""

    patch(copy, "tree_tar", packed)
    patch(export, "tree_tar", packed)
    patch(top, "columns", lambda options: [("CMD", command)])


def _layers_by_descriptor(patch: Patch, value: str) -> None:
    """Every name of the archive is joined to the directory, as a path."""
    from runtime.images import arrival, tar_reader
    from runtime.images.unpack import Unpacked

    def unpack(reader: tar_reader.TarReader, root: os.PathLike[str], **_named: object) -> Unpacked:
        for entry in reader:
            path = os.path.join(root, os.fsdecode(entry.name))
            parent, name = os.path.split(path)
            os.makedirs(parent, exist_ok=True)
            if name.startswith(".wh."):
                os.unlink(os.path.join(parent, name[4:]))
            elif entry.type == tar_reader.SYMLINK:
                os.symlink(os.fsdecode(entry.linkname), path)
            elif entry.type == tar_reader.HARD_LINK:
                os.link(os.path.join(root, os.fsdecode(entry.linkname)), path)
            elif entry.type == tar_reader.DIRECTORY:
                os.makedirs(path, exist_ok=True)
            else:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                reader.copy_to(fd)
                os.close(fd)
        return Unpacked(0, 0)

    patch(arrival, "unpack", unpack)


def _limits_of_layers(patch: Patch, value: str) -> None:
    from runtime.images import unpack

    patch(unpack.Limits, "of", lambda directory: unpack.Limits(1 << 40, 1 << 60))


def _room(patch: Patch, value: str) -> None:
    """A disk with ``value`` bytes free."""
    from runtime.images import unpack

    patch(unpack.Limits, "of", lambda directory: unpack.Limits(1 << 20, int(value)))


def _links_in_view(patch: Patch, value: str) -> None:
    """A link in layers or in a build's context leads where it leads on the machine."""
    from runtime.images.layer_view import LayerView, Node

    real = LayerView.child

    def child(self: LayerView, parent: Node, name: str) -> Node | None:
        node = real(self, parent, name)
        place = os.path.realpath(node.real) if node is not None and node.is_link else ""
        if node is None or not place or not os.path.exists(place):
            return node
        return Node(node.path, place, os.lstat(place), (place,))

    patch(LayerView, "child", child)


def _state_0700(patch: Patch, value: str) -> None:
    from runtime.paths import Paths

    real = Paths.ensure

    def ensure(self: Paths) -> None:
        real(self)
        for path in (self.state, self.layers, self.containers, self.volumes, self.run, self.run_containers):
            path.chmod(0o755)

    patch(Paths, "ensure", ensure)


# -- groups, namespaces, processes -----------------------------------------------------------------


def _devices(patch: Patch, value: str) -> None:
    for backend in (LegacyBackend, UnifiedBackend):
        patch(backend, "create", _creating(backend))


def _creating(backend: type[LegacyBackend] | type[UnifiedBackend]) -> object:
    real = backend.create

    def create(
        self: Any,
        path: str,
        resources: Mapping[str, object],
        devices: Sequence[Mapping[str, object]] | None,
    ) -> list[str]:
        return real(self, path, resources, [{"allow": True, "access": "rwm"}])

    return create


def _namespace(patch: Patch, value: str) -> None:
    """One of pid, network, ipc, uts, cgroup stays the machine's, which keeps its name. Never mount: what is
    mounted for a container would be mounted on the machine."""
    assert value != "mount"
    if value == "pid":
        patch(process_calls, "unshare", _nothing)  # the monitor asks for nothing else
    real = syscalls.unshare
    patch(syscalls, "unshare", lambda flags: real(flags & ~namespaces.FLAGS[value]))
    patch(syscalls, "sethostname", _nothing)


def _pivot(patch: Patch, value: str) -> None:
    """chroot(2) in its place: the machine's mounts are still there, in a copy, behind the new root."""

    def pivot(rootfs: str) -> None:
        os.chroot(rootfs)
        os.chdir("/")

    patch(mounts, "pivot", pivot)


def _controller(patch: Patch, value: str) -> None:
    """A machine without this controller."""
    real_init, real_write = LegacyBackend.__init__, groupfiles.write
    unified = "io" if value == "blkio" else value

    def start(self: LegacyBackend, hierarchies: Any) -> None:
        real_init(self, hierarchies)
        gone = self._roots.pop(value, None)
        if gone not in self._roots.values():
            self._hierarchies = tuple(root for root in self._hierarchies if root != gone)

    def write(path: str, text: str) -> None:
        name = path.rpartition("/")[2]
        if unified != "devices" and name.startswith(f"{unified}.") and os.path.exists(_CGROUP2):
            raise syscalls.SyscallError("write", path, errno.ENOENT)
        real_write(path, text)

    patch(LegacyBackend, "__init__", start)
    patch(sys.modules["runtime.cgroups.detect"], "_backend", None)  # found anew, without it
    patch(groupfiles, "write", write)


_CGROUP2 = "/sys/fs/cgroup/cgroup.controllers"


def _bpf(patch: Patch, value: str) -> None:
    """A kernel without BPF programs for devices: all allowed needs none."""
    from runtime.cgroups import devices_bpf

    real = devices_bpf.attach

    def attach(directory: str, rules: Sequence[Mapping[str, object]]) -> None:
        if not all(rule.get("allow") and not rule.get("type") for rule in rules):
            raise syscalls.SyscallError("bpf", "", errno.ENOSYS)
        real(directory, rules)

    patch(devices_bpf, "attach", attach)


def _sys_resource(patch: Patch, value: str) -> None:
    """The monitor and all below it lose a capability, as on a machine that withholds it."""
    real = process._isolate

    def isolate(plan: dict[str, Any], sync: Any, netns: int, founded: dict[str, int], first: bool) -> None:
        real(plan, sync, netns, founded, first)
        effective, permitted, inheritable = syscalls.capget()
        number = capabilities.NAMES.index("CAP_SYS_RESOURCE")
        syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)  # root would get it back with the program
        lost = ~(1 << number)
        syscalls.capset(effective & lost, permitted & lost, inheritable & lost)

    patch(process, "_isolate", isolate)


# -- premises --------------------------------------------------------------------------------------

LEAKED = 100
"""The descriptor that leaks; a program that looks for one tries them all."""


def _leak(patch: Patch, value: str) -> None:
    """Somebody forgot a descriptor of the machine's directory or file ``value``, inheritable too."""
    real = inside.reset_signals

    def forgetful() -> None:
        real()
        fd = os.open(value, os.O_RDONLY)
        os.dup2(fd, LEAKED, inheritable=True)
        os.close(fd)

    patch(inside, "reset_signals", forgetful)


def _slow(patch: Patch, value: str) -> None:
    """The moment before execve, with everything decided, lasts ``value`` seconds for an exec."""
    real = credentials.execute

    def execute(argv: list[str], env: dict[str, str]) -> None:
        if os.getpid() != 1:
            time.sleep(float(value))
        real(argv, env)

    patch(credentials, "execute", execute)


def _late_import(patch: Patch, value: str) -> None:
    """Some code imports the module ``value`` when the container's root is already ours."""
    real = credentials.environment

    def environment(pairs: list[str], user: credentials.User) -> dict[str, str]:
        try:
            __import__(value)
        except ImportError:
            pass
        return real(pairs, user)

    patch(credentials, "environment", environment)


MECHANISMS: dict[str, Callable[[Patch, str], None]] = {
    "capabilities": _capabilities,
    "no inheritable capabilities": _inheritable,
    "seccomp": _seccomp,
    "init's credentials": _init_credentials,
    "masked paths": _masks,
    "masks refuse links": _masks_refuse_links,
    "masks prove /dev/null": _masks_prove_null,
    "read-only paths": _readonly_paths,
    "read-only sysfs": _readonly("sysfs"),
    "read-only cgroup files": _readonly("cgroup"),
    "one door for paths": _door,
    "no links at trusted places": _trusted_places,
    "nothing over /proc": _nothing_over_proc,
    "proven procfs": _proven_procfs,
    "terminal from devpts": _ptmx,
    "descriptors closed": _descriptors,
    "not dumpable": _dumpable,
    "neutral titles": _titles,
    "no imports inside": _imports,
    "socket in a 0700 directory": _socket_in_a_directory,
    "no magic links as programs": _magic_programs,
    "working directory proven": _working_directory,
    "ids in range": _ids_in_range,
    "account files proven": _account_files,
    "interpreter sealed": _interpreter_sealed,
    "nothing run out of it": _nothing_run,
    "layers by descriptor": _layers_by_descriptor,
    "limits of layers": _limits_of_layers,
    "links stay in the layers": _links_in_view,
    "state 0700": _state_0700,
    "device rules": _devices,
    "namespace": _namespace,
    "pivot_root": _pivot,
    "controller": _controller,
    "bpf": _bpf,
    "CAP_SYS_RESOURCE": _sys_resource,
}


def _clock(patch: Patch, seconds: str) -> None:
    """Each look at the wall clock finds it set by so much more: what measures a time by it is far off."""
    real, looks = time.time_ns, itertools.count(1)

    def moved() -> int:
        return real() + next(looks) * int(seconds) * 1_000_000_000

    patch(time, "time_ns", moved)
    patch(time, "time", lambda: moved() / 1e9)


PREMISES: dict[str, Callable[[Patch, str], None]] = {
    "leak": _leak,
    "slow": _slow,
    "late import": _late_import,
    "room": _room,
    "clock": _clock,
}
