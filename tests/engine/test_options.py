"""Options of run and create, each by its effect in a real container."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.model.container import ContainerConfig
from runtime.model.image import ImageConfig
from tuidock.cli.container_config import build
from tuidock.cli.run import command as run_command
from tuidock.cli.run import configure

pytestmark = pytest.mark.engine


def config_of(engine: Engine, *arguments: str) -> ContainerConfig:
    """As the command line makes it."""
    options = dict(run_command.make_context("run", list(arguments)).params)
    return configure(engine, options.pop("image"), options.pop("argv"), options)


def run(engine: Engine, *arguments: str) -> tuple[int, str]:
    """``run --rm ARGUMENTS``, attached: exit code and both streams."""
    arguments = arguments if "--network" in arguments else ("--network", "none", *arguments)
    container = engine.containers.create(config_of(engine, "--rm", *arguments))
    session = engine.containers.start(container.id, attach=True)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    return session.wait(), text.decode(errors="replace")


def start(engine: Engine, name: str, *arguments: str) -> str:
    """Detached; the id."""
    arguments = arguments if "--network" in arguments else ("--network", "none", *arguments)
    return engine.containers.run(config_of(engine, *arguments), name=name).id


V1 = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
_DISKS = sorted(name for name in os.listdir("/sys/block") if Path(f"/dev/{name}").is_block_device())
DISK = "/dev/" + min(_DISKS, key=lambda name: name.startswith(("loop", "zram", "ram", "sr", "fd")))
"""A block device of this machine, a real disk if there is one."""


@pytest.mark.parametrize(
    ("arguments", "script", "expected"),
    [
        (["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn", "100\n200\n"),
        (["--ulimit", "core=-1"], "ulimit -c", "unlimited\n"),
        (["--shm-size", "8m"], "df -k /dev/shm | tail -1 | awk '{print $2}'", "8192\n"),
        (["--oom-score-adj", "321"], "cat /proc/self/oom_score_adj", "321\n"),
        (["--group-add", "77", "--group-add", "88"], "id -G", "0 77 88\n"),
        (["--read-only"], "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm",
         "refused\nshm\n"),
        (["--read-only", "--tmpfs", "/t"], "touch /t/x && echo yes", "yes\n"),
        (["--tmpfs", "/t:size=1m,mode=711,uid=5"], "stat -c '%a %u' /t; df -k /t | awk 'END{print $2}'",
         "711 5\n1024\n"),
        (["--tmpfs", "/t"], "cp /bin/busybox /t/sh && /t/sh true 2>/dev/null || echo noexec", "noexec\n"),
        (["--tmpfs", "/t:exec"], "cp /bin/busybox /t/busybox && /t/busybox echo ran", "ran\n"),
        (["--mount", "type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=700"],
         "stat -c %a /t; df -k /t | awk 'END{print $2}'", "700\n2048\n"),
        (["--hostname", "inner", "--domainname", "example.org"],
         "hostname; cat /proc/sys/kernel/domainname", "inner\nexample.org\n"),
        (["--sysctl", "net.ipv4.ip_forward=0", "--sysctl", "kernel.shmmax=12345"],
         "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", "0\n12345\n"),
        (["--security-opt", "no-new-privileges"], "awk '/NoNewPrivs/{print $2}' /proc/self/status", "1\n"),
        (["--security-opt", "no-new-privileges=false"], "awk '/NoNewPrivs/{print $2}' /proc/self/status",
         "0\n"),
        (["--security-opt", "seccomp=builtin"], "awk '/^Seccomp:/{print $2}' /proc/self/status", "2\n"),
        (["--security-opt", "systempaths=unconfined"], "grep -c ' /proc/' /proc/self/mountinfo; true", "0\n"),
        (["--cpuset-cpus", "0"], "awk '/Cpus_allowed_list/{print $2}' /proc/self/status", "0\n"),
        (["--cpuset-mems", "0"], "awk '/Mems_allowed_list/{print $2}' /proc/self/status", "0\n"),
        (["--init"], "cat /proc/1/comm | grep -c sh; true", "0\n"),
        (["--ipc", "none"], "test -e /dev/shm || echo none", "none\n"),
        (["-e", "A=1", "-u", "5:6", "-w", "/w"], "echo $A $(id -u):$(id -g) $PWD", "1 5:6 /w\n"),
        (["--dns", "10.9.8.7", "--dns-search", "lan", "--dns-option", "ndots:3"], "cat /etc/resolv.conf",
         "nameserver 10.9.8.7\nsearch lan\noptions ndots:3\n"),
        (["--cap-drop", "all", "--cap-add", "chown"], "awk '/CapEff/{print $2}' /proc/self/status",
         "0000000000000001\n"),
        (["--device", "/dev/zero:/dev/nought:r"],
         "head -c 2 /dev/nought | wc -c; stat -c %t:%T /dev/nought", "2\n1:5\n"),
        (["--annotation", "a=b", "--runtime", "tuidock", "--isolation", "default", "--volume-driver", "local",
          "--disable-content-trust", "--pull", "never", "--platform", "linux"], "echo ran", "ran\n"),
    ],
)  # fmt: skip
def test_effects(engine: Engine, busybox: str, arguments: list[str], script: str, expected: str) -> None:
    assert run(engine, *arguments, busybox, "sh", "-c", script) == (0, expected)


MIB = 1 << 20


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        # the option, then file and content under cgroup version 1 and 2
        (["--cpu-shares", "512"], ("cpu/cpu.shares", "512"), ("cpu.weight", "20")),
        (["--cpu-period", "50000", "--cpu-quota", "25000"],
         ("cpu/cpu.cfs_quota_us", "25000"), ("cpu.max", "25000 50000")),
        (["--cpus", "0.5"], ("cpu/cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")),
        (["--memory", "64m"], ("memory/memory.limit_in_bytes", f"{64 * MIB}"), ("memory.max", f"{64 * MIB}")),
        (["--memory-reservation", "32m"],
         ("memory/memory.soft_limit_in_bytes", f"{32 * MIB}"), ("memory.low", f"{32 * MIB}")),
        (["--memory", "64m", "--memory-swap", "96m"],
         ("memory/memory.memsw.limit_in_bytes", f"{96 * MIB}"), ("memory.swap.max", f"{32 * MIB}")),
        (["--pids-limit", "33"], ("pids/pids.max", "33"), ("pids.max", "33")),
        (["--device-read-bps", "DISK:1mb"], ("blkio/blkio.throttle.read_bps_device", "NUMBER 1048576"),
         ("io.max", "NUMBER rbps=1048576 wbps=max riops=max wiops=max")),
        (["--device-write-bps", "DISK:2m"], ("blkio/blkio.throttle.write_bps_device", "NUMBER 2097152"),
         ("io.max", "NUMBER rbps=max wbps=2097152 riops=max wiops=max")),
        (["--device-read-iops", "DISK:10"], ("blkio/blkio.throttle.read_iops_device", "NUMBER 10"),
         ("io.max", "NUMBER rbps=max wbps=max riops=10 wiops=max")),
        (["--device-write-iops", "DISK:20"], ("blkio/blkio.throttle.write_iops_device", "NUMBER 20"),
         ("io.max", "NUMBER rbps=max wbps=max riops=max wiops=20")),
    ],
)  # fmt: skip
def test_limits_reach_the_kernel(
    engine: Engine, busybox: str, arguments: list[str], first: tuple[str, str], second: tuple[str, str]
) -> None:
    file, content = first if V1 else second
    arguments = [text.replace("DISK", DISK) for text in arguments]
    code, text = run(engine, *arguments, busybox, "cat", f"/sys/fs/cgroup/{file}")
    number = os.stat(DISK).st_rdev
    assert code == 0
    assert text.strip() == content.replace("NUMBER", f"{os.major(number)}:{os.minor(number)}")


def test_swappiness_is_held_or_warned_about(engine: Engine, busybox: str) -> None:
    start(engine, "swap", "--memory-swappiness", "7", busybox, "sleep", "60")
    document = engine.containers.inspect("swap")
    held = list(Path("/sys/fs/cgroup").glob(f"**/{document['Id']}/memory.swappiness"))
    if held:
        assert held[0].read_text() == "7\n"
    else:
        assert [text for text in document["Warnings"] if "swappiness" in text]


def test_a_cgroup_namespace_of_its_own(engine: Engine, busybox: str) -> None:
    text = run(engine, "--cgroupns", "private", busybox, "cat", "/proc/self/cgroup")[1]
    assert all(line.endswith(":/") for line in text.splitlines())


def test_a_read_rate_is_kept(engine: Engine, busybox: str) -> None:
    where = engine.context.paths.state.stat().st_dev
    script = (
        "dd if=/dev/zero of=/f bs=256k count=8 conv=fsync 2>/dev/null;"
        " dd if=/f of=/dev/null bs=256k iflag=direct 2>/dev/null"
    )
    device = Path(f"/sys/dev/block/{os.major(where)}:{os.minor(where)}")
    assert device.exists(), "the tests' directory lies on no block device"
    disk = device.resolve().parent if (device / "partition").exists() else device.resolve()
    began = time.monotonic()
    code, _ = run(engine, "--device-read-bps", f"/dev/{disk.name}:1mb", busybox, "sh", "-c", script)
    assert code == 0
    assert time.monotonic() - began > 1.2


def test_block_weights_are_held_or_warned_about(engine: Engine, busybox: str) -> None:
    arguments = ("--blkio-weight", "300", "--blkio-weight-device", f"{DISK}:200", busybox, "sleep", "60")
    start(engine, "weight", *arguments)
    document = engine.containers.inspect("weight")
    host = document["HostConfig"]
    assert (host["BlkioWeight"], host["BlkioWeightDevice"]) == (300, [{"Path": DISK, "Weight": 200}])
    held = list(Path("/sys/fs/cgroup").glob(f"**/{document['Id']}/*weight*"))
    assert held or [text for text in document["Warnings"] if "block I/O weight" in text]


def test_memory_without_its_killer(engine: Engine, busybox: str) -> None:
    start(engine, "calm", "--memory", "32m", "--oom-kill-disable", busybox, "sleep", "60")
    document = engine.containers.inspect("calm")
    control = list(Path("/sys/fs/cgroup").glob(f"**/{document['Id']}/memory.oom_control"))
    if control:
        assert "oom_kill_disable 1" in control[0].read_text()
    else:
        assert [text for text in document["Warnings"] if "oom" in text]


def test_cgroup_parent_and_the_hosts_cgroup_namespace(engine: Engine, busybox: str) -> None:
    parent = f"/tuidock/{engine.context.root_id}/batch"
    arguments = ("--cgroup-parent", parent, "--cgroupns", "host", busybox, "cat", "/proc/self/cgroup")
    try:
        _code, text = run(engine, *arguments)
        assert all(
            line.split(":", 2)[2].startswith(f"{parent}/") for line in text.splitlines() if line[:2] != "0:"
        ), text
        start(engine, "grouped", "--cgroup-parent", parent, busybox, "sleep", "60")
        assert [row["CMD"] for row in engine.containers.top("grouped")] == ["sleep 60"]
        engine.containers.remove("grouped", force=True)
    finally:
        top = Path("/sys/fs/cgroup")
        for directory in [*top.glob(f"*{parent}"), *top.glob(parent[1:])]:
            directory.rmdir()


def test_a_device_rule_opens_what_the_default_shuts(engine: Engine, busybox: str) -> None:
    script = "mknod /kmsg c 1 11 && (head -c 1 /kmsg > /dev/null) 2>/dev/null && echo open || echo shut"
    shut = run(engine, "--cap-add", "MKNOD", "--cap-add", "SYSLOG", busybox, "sh", "-c", script)[1]
    rule = ("--device-cgroup-rule", "c 1:* rwm", "--cap-add", "SYSLOG")
    assert (shut, run(engine, *rule, busybox, "sh", "-c", script)[1]) == ("shut\n", "open\n")


def test_a_privileged_container_has_the_hosts_devices(engine: Engine, busybox: str) -> None:
    script = (
        f"test -b {DISK} && head -c 1 /dev/kmsg | wc -c;"
        " awk '/^Seccomp:/{print $2}' /proc/self/status; touch /proc/sys/kernel/x"
    )
    _code, text = run(engine, "--privileged", busybox, "sh", "-c", script)
    assert text.splitlines()[:2] == ["1", "0"]
    assert "Read-only" not in text
    assert run(engine, busybox, "sh", "-c", f"test -e {DISK} || echo none")[1] == "none\n"


def test_a_directory_of_devices(engine: Engine, busybox: str) -> None:
    expected = sorted(path.name for path in Path("/dev/net").iterdir()) if Path("/dev/net").is_dir() else []
    if expected:
        assert run(engine, "--device", "/dev/net", busybox, "ls", "/dev/net")[1].split() == expected


def test_a_seccomp_profile_is_kept_with_the_container(engine: Engine, busybox: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    config = config_of(
        engine, "--network", "none", "--security-opt", f"seccomp={profile}", busybox, "mkdir", "/x"
    )
    container = engine.containers.create(config, name="strict")
    profile.unlink()
    engine.containers.start(container.id)
    assert engine.containers.wait("strict") == 1
    assert b"Operation not permitted" in next(iter(engine.containers.logs("strict"))).line


def test_namespaces_of_the_host(engine: Engine, busybox: str) -> None:
    for option, name in (("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")):
        link = ("readlink", f"/proc/self/ns/{name}")
        mine = os.readlink(f"/proc/self/ns/{name}")
        if name != "cgroup":  # the monitor leaves the caller's control groups, not its namespace
            assert run(engine, option, "host", busybox, *link)[1].strip() == mine
        assert run(engine, busybox, *link)[1].strip() != mine
    assert run(engine, "--uts", "host", busybox, "hostname")[1].strip() == os.uname().nodename


def test_namespaces_of_another_container(engine: Engine, busybox: str) -> None:
    script = "echo shared > /dev/shm/note; exec sleep 77"
    donor = start(engine, "donor", "--ipc", "shareable", busybox, "sh", "-c", script)
    time.sleep(0.1)
    assert run(engine, "--ipc", "container:donor", busybox, "cat", "/dev/shm/note") == (0, "shared\n")
    assert "sleep 77" in run(engine, "--pid", "container:donor", busybox, "ps")[1]
    inside = run(engine, "--network", "container:donor", busybox, "readlink", "/proc/self/ns/net")[1].strip()
    pid = engine.containers.get("donor").state.pid
    assert inside == os.readlink(f"/proc/{pid}/ns/net")
    config = config_of(engine, "--network", "none", "--pid", "container:donor", busybox, "true")
    assert engine.containers.create(config).config.pid_mode == f"container:{donor}"
    start(engine, "closed", busybox, "sleep", "60")
    with pytest.raises(Conflict, match="non-shareable IPC"):
        engine.containers.create(config_of(engine, "--ipc", "container:closed", busybox, "true"))
    with pytest.raises(NotFound):
        engine.containers.create(config_of(engine, "--pid", "container:nosuch", busybox, "true"))


def test_volumes_from(engine: Engine, busybox: str) -> None:
    start(engine, "source", "-v", "named:/n", "-v", "/anonymous", busybox, "sh", "-c",
          "echo n > /n/f; echo a > /anonymous/f; exec sleep 60")  # fmt: skip
    time.sleep(0.1)
    script = "cat /n/f /anonymous/f; touch /n/x 2>/dev/null || echo refused"
    assert run(engine, "--volumes-from", "source:ro", busybox, "sh", "-c", script)[1] == "n\na\nrefused\n"
    script = "cat /n/f /anonymous/f; touch /n/x && echo written"
    assert run(engine, "--volumes-from", "source", busybox, "sh", "-c", script)[1] == "n\na\nwritten\n"
    assert len(engine.volumes.list()) == 2  # --rm took nothing of the other's


def test_a_part_of_a_volume(engine: Engine, busybox: str) -> None:
    run(engine, "-v", "data:/d", busybox, "sh", "-c",
        "mkdir -p /d/a/b; echo part > /d/a/b/f; ln -s /../../../etc /d/out")  # fmt: skip
    mount = "type=volume,src=data,dst=/p,volume-subpath="
    assert run(engine, "--mount", f"{mount}a/b", busybox, "cat", "/p/f")[1] == "part\n"
    with pytest.raises(NotFound, match="cannot access path none"):
        run(engine, "--mount", f"{mount}none", busybox, "true")
    code, text = 1, ""
    try:
        code, text = run(engine, "--mount", f"{mount}out", busybox, "ls", "/p/passwd")
    except Exception as error:
        text = str(error)
    assert code != 0, text


@pytest.fixture
def shared_tree(tmp_path: Path) -> Iterator[Path]:
    """A shared mount with a mount below it."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for command in (
        ["mount", "-t", "tmpfs", "tree", str(tree)],
        ["mount", "--make-shared", str(tree)],
        ["mkdir", str(tree / "below"), str(tree / "late")],
        ["mount", "-t", "tmpfs", "below", str(tree / "below")],
        ["touch", str(tree / "below" / "file")],
    ):
        subprocess.run(command, check=True)
    yield tree
    subprocess.run(["umount", "-R", str(tree)], check=True)


def test_bind_recursion(engine: Engine, busybox: str, shared_tree: Path) -> None:
    mount = f"type=bind,src={shared_tree},dst=/m"
    script = (
        "ls /m/below; touch /m/below/x 2>/dev/null && rm /m/below/x && echo rw;"
        " touch /m/y 2>/dev/null || echo ro"
    )
    look = (busybox, "sh", "-c", script)
    for options, expected in (
        (",readonly", "file\nro\n"),
        (",readonly,bind-recursive=writable", "file\nrw\nro\n"),
        (",readonly,bind-recursive=readonly,bind-propagation=rprivate", "file\nro\n"),
        (",readonly,bind-recursive=disabled", "ro\n"),
    ):
        assert run(engine, "--mount", mount + options, *look)[1] == expected, options


def test_bind_propagation(engine: Engine, busybox: str, shared_tree: Path) -> None:
    mount = f"type=bind,src={shared_tree},dst=/m,bind-propagation="
    inside = (busybox, "sh", "-c", "mount -t tmpfs seen /m/late && touch /m/late/seen; sleep 60")
    for name, kind, visible in (("tight", "rprivate", False), ("open", "rshared", True)):
        start(engine, name, "--privileged", "--mount", mount + kind, *inside)
        deadline = time.monotonic() + (3 if visible else 0.3)
        while not (shared_tree / "late" / "seen").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (shared_tree / "late" / "seen").exists() is visible, kind
        engine.containers.remove(name, force=True)


def test_names_in_the_hosts_file(engine: Engine, busybox: str) -> None:
    address = start(engine, "db", "--network", "bridge", busybox, "sleep", "60")
    address = engine.containers.get("db").endpoints[0].ipv4_address
    arguments = ("--network", "bridge", "--add-host", "x:10.1.2.3", "--add-host", "gw:host-gateway",
                 "--link", "db:store")  # fmt: skip
    _code, text = run(engine, *arguments, busybox, "cat", "/etc/hosts")
    gateway = engine.containers.get("db").endpoints[0].gateway
    for line in ("10.1.2.3\tx", f"{gateway}\tgw", f"{address}\tstore", f"{address}\tdb"):
        assert line in text.splitlines()
    _code, text = run(
        engine, "--network", "host", "--add-host", "gw:host-gateway", busybox, "cat", "/etc/hosts"
    )
    assert "127.0.0.1\tgw" in text.splitlines()
    engine.containers.stop("db", timeout=0)
    with pytest.raises(Conflict, match="cannot link to db"):
        run(engine, "--network", "bridge", "--link", "db", busybox, "true")


def test_addresses(engine: Engine, busybox: str) -> None:
    mac = "92:d0:c6:0a:29:33"
    arguments = ("--network", "bridge", "--mac-address", mac)
    assert run(engine, *arguments, busybox, "cat", "/sys/class/net/eth0/address")[1].strip() == mac
    engine.networks.create("fixed", subnet="10.213.7.0/24")
    start(engine, "peer", "--network", "fixed", "--network-alias", "other", "--ip", "10.213.7.9",
          busybox, "sleep", "60")  # fmt: skip
    assert engine.containers.get("peer").endpoints[0].ipv4_address == "10.213.7.9"
    assert "10.213.7.9" in run(engine, "--network", "fixed", busybox, "nslookup", "other")[1]


def test_exposed_ports_are_published(engine: Engine, busybox: str) -> None:
    start(engine, "web", "--network", "bridge", "-P", "--expose", "81", "--expose", "90-91/udp", busybox,
          "sleep", "60")  # fmt: skip
    found = engine.containers.get("web").ports
    ports = sorted((port.container_port, port.protocol) for port in found)
    assert ports == [(81, "tcp"), (90, "udp"), (91, "udp")]
    assert all(port.host_port for port in found)


def test_log_options_reach_the_monitor(engine: Engine, busybox: str) -> None:
    script = (
        "i=0; while [ $i -lt 400 ]; do echo line $i of the log, padded to sixty bytes or so; i=$((i+1)); done"
    )
    options = ("--log-opt", "max-size=4k", "--log-opt", "max-file=2")
    identity = start(engine, "chatty", *options, busybox, "sh", "-c", script)
    assert engine.containers.wait("chatty") == 0
    directory = engine.context.paths.container(identity)
    logs = sorted(path.name for path in directory.glob("log*") if not path.name.endswith(".idx"))
    assert logs == ["log", "log.1"]
    assert (directory / "log.1").stat().st_size <= 4096
    assert [entry.line for entry in engine.containers.logs("chatty")][-1].startswith(b"line 399")
    start(engine, "silent", "--log-driver", "none", busybox, "echo", "unheard")
    engine.containers.wait("silent")
    assert not (engine.context.paths.container(engine.containers.get("silent").id) / "log").exists()


def test_health_of_the_image_with_other_times(engine: Engine, busybox: str) -> None:
    from runtime.containers.create import merge
    from runtime.model.container import HealthCheck

    image = ImageConfig(healthcheck=HealthCheck(("CMD", "true"), interval=7, retries=9))
    given = build(busybox, ("true",), {"health_interval": "1s", "health_retries": "2"})
    merged = merge(given, image).healthcheck
    assert merged is not None
    assert (merged.test, merged.interval, merged.retries) == (("CMD", "true"), 1_000_000_000, 2)
    assert merge(given, ImageConfig()).healthcheck is None


def test_health_stop_and_life(engine: Engine, busybox: str) -> None:
    arguments = ("--health-cmd", "test -e /ok", "--health-interval", "100ms", "--health-retries", "2")
    stop = ("--stop-signal", "USR1", "--stop-timeout", "5")
    script = "trap 'echo usr1; exit 9' USR1; touch /ok; while :; do sleep 0.05; done"
    start(engine, "alive", *arguments, *stop, busybox, "sh", "-c", script)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        health = engine.containers.get("alive").state.health
        if health is not None and health.status == "healthy":
            break
        time.sleep(0.05)
    assert health is not None and health.status == "healthy"
    engine.containers.stop("alive")
    assert engine.containers.get("alive").state.exit_code == 9


def test_what_inspect_says(engine: Engine, busybox: str) -> None:
    arguments = ("--annotation", "a=b", "--cgroupns", "host", "--device-cgroup-rule", "c 1:3 r",
                 "--memory-swappiness", "5", "--network", "none", busybox, "true")  # fmt: skip
    container = engine.containers.create(config_of(engine, *arguments))
    host = engine.containers.inspect(container.id)["HostConfig"]
    assert host["Annotations"] == {"a": "b"}
    assert host["CgroupnsMode"] == "host"
    assert host["DeviceCgroupRules"] == ["c 1:3 r"]
    assert host["MemorySwappiness"] == 5
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sysctl", "kernel.core_pattern=x"], "'kernel.core_pattern' is not allowed"),
        (["--sysctl", "net.ipv4/../../kernel=x"], "invalid sysctl"),
        (["--sysctl", "net.ipv4.ip_forward=1", "--network", "host"], "network namespace is not"),
        (["--sysctl", "kernel.shmmax=1", "--ipc", "host"], "IPC namespace is not"),
        (["--cpus", "1000"], "range of CPUs for --cpus"),
        (["--cpu-quota", "10"], "--cpu-quota"),
        (["--cpuset-cpus", "9999"], "--cpuset-cpus: requested CPUs are not available"),
        (["--cpuset-cpus", "a"], "invalid value 'a' for --cpuset-cpus"),
        (["--cpuset-mems", "77"], "--cpuset-mems"),
        (["--memory-reservation", "1m"], "--memory-reservation"),
        (["--device", "/dev/nosuch"], "/dev/nosuch"),
        (["--device", "/etc/passwd"], "is not a device node"),
        (["--device", "/dev/null:/dev/x:q"], "bad mode specified: q"),
        (["--device-read-bps", "/dev/nosuch:1mb"], "--device-read-bps: /dev/nosuch"),
        (["--device-write-iops", "/dev/null:5"], "is not a block device"),
        (["--device-cgroup-rule", "c 1 r"], "invalid device cgroup format"),
        (["--tmpfs", "/t:colour=red"], "invalid tmpfs option 'colour=red'"),
        (["--security-opt", "magic"], "invalid --security-opt: 'magic'"),
        (["--security-opt", "apparmor=a b"], "not the name of an AppArmor profile"),
        (["--security-opt", "seccomp=/nosuch.json"], "opening seccomp profile (/nosuch.json)"),
        (["--cgroupns", "mine"], "--cgroupns: 'mine'"),
        (["--cgroup-parent", "a/../../b"], "--cgroup-parent"),
        (["--mac-address", "zz"], "--mac-address"),
        (["--mac-address", "01:00:00:00:00:01"], "--mac-address"),
        (["--uts", "host", "-h", "x"], "hostname and the UTS mode"),
        (["--volumes-from", "x:qq"], "--volumes-from: 'x:qq'"),
        (["--link", ":x"], "--link: ':x'"),
        (["--ulimit", "nofile=20:10"], "--ulimit"),
        (["--ulimit", "files=20"], "--ulimit"),
        (["--platform", "linux/s390x", "--pull", "never"], "does not provide the specified platform"),
        (["--network", "none", "--add-host", "a:host-gateway"], "host-gateway with --network none"),
    ],
)  # fmt: skip
def test_wrong_values_make_nothing(engine: Engine, busybox: str, arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        engine.containers.create(config_of(engine, *arguments, busybox, "true"))
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert engine.containers.list(all=True) == []
    assert engine.volumes.list() == []


def test_a_named_container_that_is_missing(engine: Engine, busybox: str) -> None:
    for arguments in (["--volumes-from", "nosuch"], ["--link", "nosuch"], ["--ipc", "container:nosuch"]):
        with pytest.raises(NotFound, match="nosuch"):
            engine.containers.create(config_of(engine, *arguments, busybox, "true"))
    assert engine.containers.list(all=True) == []


def test_restarts_keep_what_was_joined(engine: Engine, busybox: str) -> None:
    """A second start makes the plan anew: nothing of the first one's descriptors is in it."""
    start(engine, "donor", "--ipc", "shareable", busybox, "sleep", "60")
    config = replace(
        config_of(engine, "--network", "none", "--ipc", "container:donor", busybox, "ls", "/dev/shm")
    )
    container = engine.containers.create(config)
    for _ in range(2):
        engine.containers.start(container.id)
        assert engine.containers.wait(container.id) == 0


def test_inspect_with_sizes(engine: Engine, busybox: str) -> None:
    from tuidock.cli.inspect import _find

    engine.containers.run(config_of(engine, "--network", "none", busybox, "dd", "if=/dev/zero", "of=/f",
                                    "bs=1024", "count=64"), name="sized")  # fmt: skip
    engine.containers.wait("sized")
    assert "SizeRw" not in _find(engine, "sized", ("container",), False)
    document = _find(engine, "sized", ("container",), True)
    assert document["SizeRw"] >= 65536
    assert document["SizeRootFs"] > document["SizeRw"]


def test_the_id_file(engine: Engine, busybox: str, tmp_path: Path) -> None:
    from tuidock.cli.run import CidFile

    path = tmp_path / "cid"
    with CidFile(str(path)) as tell:
        tell("0123")
    assert path.read_text() == "0123"
    with pytest.raises(Conflict, match="container ID file"), CidFile(str(path)):
        pass
