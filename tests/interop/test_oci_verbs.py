"""list, ps, update, spec, features, terminals, processes from a file and the hooks inside the container: what
runc does, ``tuidock oci`` does (Debian: runc, busybox-static)."""

from __future__ import annotations

import array
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.oci_lab import REPOSITORY, Runtime, both, document, place, write

__all__ = ["both", "place"]  # fixtures

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc (Debian: runc)"),
]


@contextmanager
def running(runtime: Runtime, place: Path, *argv: str) -> Iterator[None]:
    write(place, document(*argv))
    runtime.create(place)
    runtime("start", "x")
    try:
        yield
    finally:
        runtime("delete", "--force", "x", check=False)


def test_list(both: list[Runtime], place: Path) -> None:
    seen = []
    for runtime in both:
        assert runtime("list", "--quiet").stdout == ""
        with running(runtime, place, "sleep", "60"):
            [item] = json.loads(runtime("list", "--format", "json").stdout)
            [head, row] = (line.split() for line in runtime("list").stdout.splitlines())
            quiet = runtime("list", "-q").stdout
        assert row[1] == str(item["pid"])
        columns = dict(zip(head, row))
        seen.append(
            (
                quiet,
                columns["ID"],
                columns["STATUS"],
                columns["BUNDLE"],
                item["id"],
                item["status"],
                item["bundle"],
                item["ociVersion"].split(".")[0],
                Path(item["rootfs"]).name if "rootfs" in item else "rootfs",
            )
        )
    assert seen[0] == seen[1]


def test_ps_shows_the_processes_of_the_container(both: list[Runtime], place: Path) -> None:
    for runtime in both:
        with running(runtime, place, "sh", "-c", "sleep 60 & wait"):
            for _ in range(200):
                pids = json.loads(runtime("ps", "--format", "json", "x").stdout)
                table = runtime("ps", "x").stdout
                if "sleep 60" in table:
                    break
            assert len(pids) == 2
            head, *rows = table.splitlines()
            assert {"UID", "PID", "PPID", "CMD"} <= set(head.split())
            assert len(rows) == 2
            assert all(any(str(pid) in row.split() for row in rows) for pid in pids)


def test_update_changes_the_limits_of_a_running_container(both: list[Runtime], place: Path) -> None:
    v1 = Path("/sys/fs/cgroup/memory").is_dir()
    files = (
        ["memory/memory.limit_in_bytes", "pids/pids.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.shares"]
        if v1
        else ["memory.max", "pids.max", "cpu.max", "cpu.weight"]
    )
    shown = []
    for runtime in both:
        with running(runtime, place, "sleep", "60"):
            runtime("update", "--memory", str(48 << 20), "--pids-limit", "17", "--cpu-share", "256", "x")
            request = place / "resources.json"
            request.write_text(json.dumps({"cpu": {"quota": 30000, "period": 100000}}))
            runtime("update", "--resources", str(request), "x")
            reads = "; ".join(f"cat /sys/fs/cgroup/{name}" for name in files)
            shown.append(runtime("exec", "x", "sh", "-c", reads).stdout)
            # A limit below what is in use, or nonsense, is an error and changes nothing.
            assert runtime("update", "--cpuset-cpus", "9999", "x", check=False).returncode != 0
            assert runtime("exec", "x", "sh", "-c", reads).stdout == shown[-1]
    assert shown[0] == shown[1]
    assert str(48 << 20) in shown[0]


def test_spec_is_a_bundle_that_both_run(both: list[Runtime], place: Path) -> None:
    ours, _ = both
    ours("spec", "--bundle", str(place))
    assert ours("spec", "--bundle", str(place), check=False).returncode != 0
    made = json.loads((place / "config.json").read_text())
    made["process"].update(
        terminal=False, args=["sh", "-c", "id -u; hostname; pwd; ls /dev/shm; cat /proc/1/comm"]
    )
    write(place, made)
    outputs = [runtime("run", "--bundle", str(place), "x").stdout for runtime in both]
    assert outputs[0] == outputs[1] != ""


def test_features_tells_what_is_there(both: list[Runtime]) -> None:
    found = json.loads(both[0]("features").stdout)
    assert {"mount", "pid", "network", "ipc", "uts", "cgroup"} <= set(found["linux"]["namespaces"])
    assert "SCMP_ACT_ERRNO" in found["linux"]["seccomp"]["actions"]
    assert {"createRuntime", "createContainer", "startContainer", "poststart", "poststop"} <= set(
        found["hooks"]
    )


def test_hooks_of_the_container_run_inside_it(both: list[Runtime], place: Path) -> None:
    """startContainer's path is resolved in the container (config.md, "POSIX-platform Hooks")."""
    seen = []
    (place / "rootfs" / "log").mkdir()
    hook = place / "rootfs" / "bin" / "hook"
    hook.write_text('#!/bin/sh\ncat > /log/state\nhostname > /log/name\necho "$0 $A" > /log/argv\n')
    hook.chmod(0o755)
    for runtime in both:
        made = document("cat", "/log/name", "/log/argv", "/log/state")
        made["root"]["readonly"] = False
        made["hostname"] = "inside"
        made["hooks"] = {
            "startContainer": [{"path": "/bin/hook", "args": ["/bin/hook"], "env": ["A=b", "PATH=/bin"]}]
        }
        write(place, made)
        name, argv, state = runtime("run", "--bundle", str(place), "x").stdout.split("\n", 2)
        seen.append((name, argv, json.loads(state)["id"], json.loads(state)["bundle"]))
    assert seen[0] == seen[1]
    assert seen[0][0] == "inside"


def test_a_failing_start_hook_stops_the_container(both: list[Runtime], place: Path) -> None:
    made = document("true")
    made["hooks"] = {"startContainer": [{"path": "/bin/false", "args": ["false"]}]}
    write(place, made)
    for runtime in both:
        assert runtime("run", "--bundle", str(place), "x", check=False).returncode != 0
        runtime("delete", "--force", "x", check=False)
        assert runtime("state", "x", check=False).returncode != 0


def test_exec_of_a_process_from_a_file(both: list[Runtime], place: Path) -> None:
    shown = []
    process = place / "process.json"
    for runtime in both:
        with running(runtime, place, "sleep", "60"):
            process.write_text(
                json.dumps(
                    {
                        "terminal": False,
                        "user": {"uid": 3, "gid": 4, "additionalGids": [5]},
                        "args": [
                            "sh",
                            "-c",
                            "id; pwd; env | sort; grep -E 'Cap|NoNew' /proc/self/status; exit 9",
                        ],
                        "env": ["PATH=/bin", "A=b"],
                        "cwd": "/tmp",
                        "noNewPrivileges": True,
                        "capabilities": {"bounding": ["CAP_KILL"], "permitted": [], "effective": []},
                    }
                )
            )
            done = runtime("exec", "--process", str(process), "x", check=False)
            pid_file = place / "pid"
            pid_file.unlink(missing_ok=True)
            with (place / "null").open("w") as null:
                subprocess.run(
                    [*runtime.command, "exec", "-d", "--pid-file", str(pid_file), "x", "sleep", "50"],
                    stdin=subprocess.DEVNULL, stdout=null, stderr=null, check=True, cwd=REPOSITORY,
                )  # fmt: skip
            command = Path(f"/proc/{int(pid_file.read_text())}/cmdline").read_bytes()
            shown.append((done.stdout, done.returncode, command))
    assert shown[0] == shown[1]
    assert shown[0][1] == 9


def test_the_terminal_goes_over_the_console_socket(both: list[Runtime], place: Path) -> None:
    """create --console-socket: the master's descriptor, with the process's controlling terminal behind it."""
    said = []
    for runtime in both:
        made = document("sh", "-c", "tty; stty size; read line; echo got $line")
        made["process"].update(terminal=True, consoleSize={"height": 33, "width": 77})
        write(place, made)
        path = place / "console"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            runtime("create", "--bundle", str(place), "--console-socket", str(path), "x")
            connection, _ = listener.accept()
            with connection:
                descriptors = array.array("i")
                _, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(4))
                descriptors.frombytes(ancillary[0][2][:4])
        master = descriptors[0]
        runtime("start", "x")
        os.write(master, b"hello\n")
        output = b""
        try:
            while piece := os.read(master, 1000):
                output += piece
        except OSError:
            pass  # EIO: the last slave is closed (pty(7))
        os.close(master)
        runtime("delete", "--force", "x")
        said.append(sorted(output.decode().split("\r\n")))
    assert said[0] == said[1]
    assert "got hello" in said[0]
    assert "33 77" in said[0]


def test_run_passes_signals_on_and_gives_the_exit_code(both: list[Runtime], place: Path) -> None:
    codes = []
    for runtime in both:
        write(place, document("sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done"))
        process = subprocess.Popen(
            [*runtime.command, "run", "--bundle", str(place), "x"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=REPOSITORY,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        codes.append(process.wait(30))
        process.stdout.close()
        assert runtime("state", "x", check=False).returncode != 0
    assert codes == [42, 42]


def test_descriptors_are_passed_on_only_when_asked(both: list[Runtime], place: Path) -> None:
    seen = []
    for runtime in both:
        write(place, document("sh", "-c", "ls /proc/self/fd | sort -n | head -n 4; cat <&3"))
        reading, writing = os.pipe()
        os.write(writing, b"through\n")
        os.close(writing)
        saved = os.dup(3)  # whoever's it is
        os.dup2(reading, 3)
        try:
            done = subprocess.run(
                [*runtime.command, "run", "--preserve-fds", "1", "--bundle", str(place), "x"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
                cwd=REPOSITORY, pass_fds=(3,),
            )  # fmt: skip
        finally:
            os.dup2(saved, 3)
            os.close(saved)
            os.close(reading)
        seen.append(done.stdout)
        done = runtime("run", "--bundle", str(place), "x", check=False)
        seen.append(done.stdout)
    assert seen[:2] == seen[2:]
    assert "through" in seen[0]
    assert "through" not in seen[1]


def test_many_at_once_leave_nothing(both: list[Runtime], place: Path) -> None:
    """Names are reserved before anything is made: of the same name one wins, of others all."""
    ours, _ = both
    write(place, {**document("true"), "linux": {**document("true")["linux"], "cgroupsPath": ""}})
    codes: list[int] = []

    def run(name: str) -> None:
        codes.append(ours("run", "--bundle", str(place), name, check=False).returncode)

    threads = [threading.Thread(target=run, args=(f"n{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 8
    assert json.loads(ours("list", "--format", "json").stdout) == []
