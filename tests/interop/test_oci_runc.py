"""The same bundle under runc and under ``tuidock oci`` shows the same, and podman works with either
(Debian: runc, podman, conmon, busybox-static)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.rootfs import busybox_tar
from tests.interop.oci_lab import REPOSITORY, Runtime, both, document, place, shown, write

__all__ = ["both", "place"]  # fixtures

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc (Debian: runc)"),
]


def test_identity_limits_and_capabilities(both: list[Runtime], place: Path) -> None:
    made = document("sh", "-c", "id; hostname; pwd; umask; ulimit -n; env | sort; "
                    "grep -E 'Cap|NoNew|Secc|Groups' /proc/self/status; "
                    "cat /proc/self/oom_score_adj; ls /dev | grep -v core")  # fmt: skip
    made["process"].update(
        user={"uid": 65534, "gid": 7, "additionalGids": [8, 9], "umask": 0o27},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        cwd="/tmp",
        oomScoreAdj=500,
    )
    made["process"]["capabilities"]["ambient"] = ["CAP_NET_BIND_SERVICE"]
    made["process"]["capabilities"]["inheritable"] = ["CAP_NET_BIND_SERVICE"]
    made["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }
    ours, theirs = shown(both, place, made)
    assert ours == theirs
    assert "uid=65534" in ours


def mounts_of(output: str) -> list[tuple[str, str, list[str], list[str]]]:
    """(mount point, type, options, propagation) in order, without the covers of masked paths."""
    found = []
    for line in output.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if fields[4].startswith(("/proc/", "/sys/firmware", "/sys/devices")) or fields[4] == "/sys/fs/cgroup":
            continue
        propagation = sorted(word.split(":")[0] for word in fields[6:])
        found.append((fields[4], after.split()[0], sorted(fields[5].split(",")), propagation))
    return found


@pytest.mark.parametrize("propagation", ["", "rprivate", "rslave"])
def test_mounts(both: list[Runtime], place: Path, propagation: str) -> None:
    source = place / "data"
    source.mkdir()
    made = document("cat", "/proc/self/mountinfo")
    made["linux"]["rootfsPropagation"] = propagation
    made["mounts"] += [
        {"destination": "/mnt/a", "type": "bind", "source": "data", "options": ["rbind", "ro", "nosuid"]},
        {"destination": "/mnt/b", "type": "none", "source": str(source), "options": ["bind", "rprivate"]},
        {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nodev"]},
    ]
    made["root"]["readonly"] = False
    ours, theirs = shown(both, place, made)
    assert mounts_of(ours) == mounts_of(theirs)


def test_a_copied_up_tmpfs_holds_what_it_covers(both: list[Runtime], place: Path) -> None:
    made = document("sh", "-c", "cat /etc/passwd; ls -ld /etc /etc/group")
    made["mounts"].append(
        {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}
    )
    ours, theirs = shown(both, place, made)
    assert "nobody" in ours
    assert ours.splitlines()[:2] == theirs.splitlines()[:2]


def test_namespaces_new_and_shared(both: list[Runtime], place: Path) -> None:
    made = document("sh", "-c", "for n in ipc net pid uts cgroup mnt; do readlink /proc/self/ns/$n; done")
    made["linux"]["namespaces"] = [
        {"type": "mount"}, {"type": "pid"}, {"type": "network", "path": f"/proc/{os.getpid()}/ns/net"},
    ]  # fmt: skip
    made["hostname"] = ""
    made["mounts"] = [mount for mount in made["mounts"] if mount["type"] not in ("mqueue",)]
    ours, theirs = (output.split() for output in shown(both, place, made))
    same = [index for index in range(6) if index not in (2, 5)]
    assert [ours[index] for index in same] == [theirs[index] for index in same]
    for index in (2, 5):
        host = Path(f"/proc/self/ns/{('ipc', 'net', 'pid', 'uts', 'cgroup', 'mnt')[index]}").readlink()
        assert ours[index] != str(host)


def test_resources(both: list[Runtime], place: Path) -> None:
    files = ("memory/memory.limit_in_bytes", "pids/pids.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.shares",
             "devices/devices.list")  # fmt: skip
    made = document("sh", "-c", "; ".join(f"sort /sys/fs/cgroup/{name}" for name in files))
    made["linux"]["resources"].update(
        memory={"limit": 64 << 20},
        pids={"limit": 33},
        cpu={"quota": 50000, "period": 100000, "shares": 512},
    )
    ours, theirs = shown(both, place, made)
    assert ours.splitlines()[:4] == theirs.splitlines()[:4]
    tun = {"c 10:200 rwm"}  # runc before 1.2 allows it to everybody
    assert set(ours.splitlines()[4:]) == set(theirs.splitlines()[4:]) - tun


def test_hooks_run_in_order_with_the_state(both: list[Runtime], place: Path) -> None:
    """The point, the status and whether the pid is known, for each hook."""
    points = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    script = place / "hook.py"
    script.write_text(
        "import json, sys\nstate = json.load(sys.stdin)\n"
        "with open(sys.argv[1], 'a') as file:\n"
        "    print(sys.argv[2], state['status'], state.get('pid', 0) > 0, state['id'], file=file)\n"
    )
    seen = []
    for number, runtime in enumerate(both):
        log = place / f"log{number}"
        made = document("true")
        made["hooks"] = {
            point: [{"path": sys.executable, "args": ["python3", str(script), str(log), point]}]
            for point in points
        }
        write(place, made)
        runtime.create(place)
        assert json.loads(runtime("state", "x").stdout)["status"] == "created"
        runtime("start", "x")
        runtime("delete", "--force", "x")
        # runc before 1.2 still says created to poststart hooks; runtime.md has the program running by then.
        seen.append(log.read_text().replace("poststart created", "poststart running").splitlines())
    assert seen[0] == seen[1]
    assert [line.split()[0] for line in seen[0]] == list(points)


def test_a_failing_hook_leaves_nothing(both: list[Runtime], place: Path) -> None:
    made = document("true")
    made["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
    write(place, made)
    for runtime in both:
        assert runtime("create", "--bundle", str(place), "x", check=False).returncode != 0
        assert runtime("state", "x", check=False).returncode != 0


def test_life_of_a_container(both: list[Runtime], place: Path) -> None:
    """States, exec's exit code, pause, kill, and what is refused in which state."""
    write(place, document("sleep", "60"))
    said = []
    for runtime in both:
        steps: list[object] = []

        def status(runtime: Runtime = runtime) -> str:
            return str(json.loads(runtime("state", "x").stdout)["status"])

        with (place / "null").open("w") as null:
            subprocess.run(
                [*runtime.command, "create", "--bundle", str(place), "x"],
                stdin=subprocess.DEVNULL, stdout=null, stderr=null, check=True, timeout=30, cwd=REPOSITORY,
            )  # fmt: skip
        steps.append(status())
        runtime("start", "x")
        steps += [status(), runtime("start", "x", check=False).returncode]
        steps.append(runtime("exec", "x", "sh", "-c", "exit 3", check=False).returncode)
        steps.append(runtime("exec", "--user", "5:6", "--cwd", "/tmp", "x", "sh", "-c", "id; pwd").stdout)
        steps.append(runtime("exec", "x", "nosuch", check=False).returncode)
        runtime("pause", "x")
        steps.append(status())
        runtime("resume", "x")
        steps.append(runtime("delete", "x", check=False).returncode)
        runtime("kill", "x", "KILL")
        for _ in range(100):
            if status() == "stopped":
                break
        steps += [status(), runtime("kill", "x", check=False).returncode]
        runtime("delete", "x")
        steps.append(runtime("state", "x", check=False).returncode)
        said.append(steps)
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"linux": {"intelRdt": {"closID": "a"}}}, "intelRdt"),
        ({"linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}}, "uidMappings"),
        ({"process": {"apparmorProfile": "x"}}, "apparmorProfile"),
        ({"linux": {"sysctl": {"kernel.panic": "1"}}}, "kernel.panic"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    both: list[Runtime], place: Path, change: dict[str, dict[str, Any]], name: str
) -> None:
    made = document("true")
    for section, fields in change.items():
        made[section].update(fields)
    write(place, made)
    done = both[0](
        "--log", str(place / "log"), "--log-format", "json", "run", "-b", str(place), "x", check=False
    )
    assert done.returncode == 1
    assert name in done.stderr
    assert name in json.loads((place / "log").read_text())["msg"]


@pytest.mark.skipif(shutil.which("podman") is None, reason="needs podman (Debian: podman, conmon)")
def test_podman(place: Path) -> None:
    launcher = place / "tuidock-oci"
    launcher.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from tuidock.cli.oci import main\nsys.exit(main())\n"
    )
    launcher.chmod(0o755)
    options = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096", "--network", "none")

    def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["podman", "--root", str(place / "p"), "--runroot", str(place / "r"), "--storage-driver",
                   "vfs", "--cgroup-manager", "cgroupfs", "--runtime", str(launcher)]  # fmt: skip
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)

    (place / "root.tar").write_bytes(busybox_tar())
    assert podman("import", str(place / "root.tar"), "box").returncode == 0
    try:
        done = podman("run", "--rm", *options, "box", "/bin/sh", "-c", "echo hello; exit 7")
        assert (done.stdout, done.returncode) == ("hello\n", 7), done.stderr
        assert podman("run", "--rm", *options, "box", "/nosuch").returncode == 127
        done = podman("run", "-d", "--name", "x", "--memory", "64m", *options, "box", "/bin/sleep", "60")
        assert done.returncode == 0, done.stderr
        limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; exit 3"
        done = podman("exec", "x", "/bin/sh", "-c", limit)
        assert (done.stdout, done.returncode) == (f"{64 << 20}\n", 3), done.stderr
    finally:
        podman("rm", "--force", "--time", "0", "--all")
        podman("rmi", "--all", "--force")
