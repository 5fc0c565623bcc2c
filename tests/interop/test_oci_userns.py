"""A bundle with a user namespace: what runc shows, ``tuidock oci`` shows (Debian: runc, busybox-static)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.oci_lab import Runtime, both, document, place, shown, write

__all__ = ["both", "place"]  # fixtures

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc (Debian: runc)"),
]

START = 2_100_000_000
RANGES = [
    {"containerID": 0, "hostID": START, "size": 1000},
    {"containerID": 1000, "hostID": START + 5000, "size": 64536},
]


def mapped(place: Path, *argv: str) -> dict[str, Any]:
    """A document whose root file system belongs to the container's root, as podman hands it over."""
    for directory, names, files in os.walk(place / "rootfs"):
        for name in (".", *names, *files):
            os.lchown(f"{directory}/{name}", START, START)
    place.chmod(0o755)
    made = document(*argv)
    made["root"]["readonly"] = False
    made["linux"]["namespaces"].append({"type": "user"})
    made["linux"].update(uidMappings=RANGES, gidMappings=RANGES)
    return made


def test_what_a_container_sees(both: list[Runtime], place: Path) -> None:
    script = (
        "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; grep Cap /proc/self/status; ls -ln /bin/sh;"
        " stat -c %u:%g /dev /dev/pts/ptmx /dev/shm /t /; stat -c %u /dev/mqueue;"
        " touch /made && stat -c %u /made;"
        " hostname; mount -t tmpfs t /mnt; mknod /tmp/d b 8 0; cat /proc/sys/kernel/msgmax; : > /dev/stdout;"
        " echo > /dev/null; ulimit -n"
    )
    made = mapped(place, "sh", "-c", f"({script}) 2>&1")
    made["linux"]["sysctl"] = {"kernel.msgmax": "4096"}
    made["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]
    made["mounts"].append(
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777", "size=64k"]}
    )
    made["mounts"].append(
        {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["uid=1000", "gid=7", "mode=750"]}
    )
    ours, runcs = shown(both, place, made)
    assert "4096" in ours and "1000:7" in ours and str(START + 5000) in ours
    assert ours == runcs


def test_a_user_and_exec(both: list[Runtime], place: Path) -> None:
    made = mapped(place, "sleep", "60")
    made["process"]["user"] = {"uid": 1000, "gid": 1000}
    seen = []
    for runtime in both:
        write(place, made)
        runtime.create(place)
        pid = json.loads(runtime("state", "x").stdout)["pid"]
        runtime("start", "x")
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        uids = [line.split()[1:] for line in status if line.startswith(("Uid:", "Gid:"))]
        said = runtime(
            "exec", "--user", "0:0", "x", "sh", "-c", "id -u; id -g; touch /by-exec; : > /dev/stdout"
        ).stdout
        said += runtime("exec", "--user", "1000", "x", "sh", "-c", "id -u; cat /proc/self/uid_map").stdout
        made_by = (place / "rootfs" / "by-exec").stat().st_uid
        (place / "rootfs" / "by-exec").unlink()
        runtime("delete", "--force", "x")
        seen.append((uids, said, made_by))
    assert seen[0][0] == [[str(START + 5000)] * 4] * 2 and seen[0][2] == START
    assert seen[0] == seen[1]


def test_a_user_namespace_that_exists_is_joined(both: list[Runtime], place: Path) -> None:
    """What podman does for the containers of a pod. runc 1.1 needs the ids told, which the specification does
    not; ours asks the kernel."""
    holder = subprocess.Popen(["unshare", "--user", "sleep", "1000"])
    try:
        while Path(f"/proc/{holder.pid}/ns/user").readlink() == Path("/proc/self/ns/user").readlink():
            pass
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{name}").write_text(f"0 {START} 65536\n")
        made = mapped(
            place, "sh", "-c", "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user; touch /x"
        )
        del made["linux"]["uidMappings"], made["linux"]["gidMappings"]
        made["linux"]["namespaces"][-1]["path"] = f"/proc/{holder.pid}/ns/user"
        write(place, made)
        text = both[0]("run", "--bundle", str(place), "x").stdout.split()
        assert text == ["0", "0", str(START), "65536", str(Path(f"/proc/{holder.pid}/ns/user").readlink())]
        assert (place / "rootfs" / "x").stat().st_uid == START
    finally:
        holder.kill()
        holder.wait()


def test_an_idmapped_bind(both: list[Runtime], place: Path) -> None:
    """runc has it since 1.2, which Debian 12 has not."""
    data = place / "data"
    data.mkdir()
    os.chown(data, 5, 6)
    data.chmod(0o777)
    made = mapped(place, "sh", "-c", "stat -c %u:%g /data; touch /data/made")
    made["mounts"].append(
        {"destination": "/data", "type": "bind", "source": str(data), "options": ["bind", "idmap"]}
    )
    write(place, made)
    assert both[0]("run", "--bundle", str(place), "x").stdout == "5:6\n"
    assert (data / "made").stat().st_uid == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"uidMappings": []}, "linux.uidMappings is missing"),
        (
            {"gidMappings": [{"containerID": 1, "hostID": START, "size": 5}]},
            "id 0 of the container is not mapped",
        ),
        (
            {"gidMappings": [{"containerID": 0, "hostID": "x", "size": 5}]},
            "needs containerID, hostID and size",
        ),
        ({"namespaces": [{"type": "mount"}]}, "linux.uidMappings needs a new user namespace"),
    ],
)
def test_wrong_mappings_are_named(
    both: list[Runtime], place: Path, change: dict[str, Any], named: str
) -> None:
    made = mapped(place, "true")
    made["linux"].update(change)
    write(place, made)
    done = both[0]("run", "--bundle", str(place), "x", check=False)
    assert done.returncode != 0 and named in done.stderr
