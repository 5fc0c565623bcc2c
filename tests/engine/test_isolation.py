"""More hostile images and containers: variants of what the tables of test_isolation_escapes.py and
test_isolation_defaults.py try, where it is shown for each mechanism that its absence would be seen."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import time
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.model.container import ContainerConfig, Mount, MountType

pytestmark = pytest.mark.engine


def output(engine: Engine, image: str, script: str, **options: object) -> tuple[int, str]:
    options.setdefault("network_mode", "none")
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), auto_remove=True, **options)  # type: ignore[arg-type]  # table of options
    container = engine.containers.create(config)
    session = engine.containers.start(container.id, attach=True)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    return session.wait(), text.decode(errors="replace")


def hostile(engine: Engine, busybox_tar: bytes, changes: dict[str, tarfile.TarInfo]) -> str:
    """busybox with entries put in the place of its own; a directory's content goes with it."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(busybox_tar)) as source,
        tarfile.open(fileobj=buffer, mode="w") as target,
    ):
        for entry in source:
            if not any(entry.name == name or entry.name.startswith(name + "/") for name in changes):
                target.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
        for name, entry in changes.items():
            entry.name = name
            target.addfile(entry)
    buffer.seek(0)
    engine.images.import_(buffer, "hostile:latest", changes=["ENV PATH=/bin"])
    return "hostile:latest"


def link(target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo()
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def special(kind: bytes, major: int = 0, minor: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo()
    entry.type, entry.devmajor, entry.devminor, entry.mode = kind, major, minor, 0o666
    return entry


@pytest.mark.parametrize(
    "path", ["/proc/self/exe", "/proc/1/exe", "/proc/self/fd/3", "/proc/thread-self/exe"]
)
def test_our_own_program_is_not_an_entrypoint(engine: Engine, busybox: str, path: str) -> None:
    with pytest.raises(EngineError):
        engine.containers.run(
            ContainerConfig(image=busybox, entrypoint=(path,), cmd=("-c", "1"), auto_remove=True)
        )


@pytest.mark.parametrize("number", [*range(3, 12), 100])
def test_no_working_directory_outside(engine: Engine, busybox: str, number: int) -> None:
    config = ContainerConfig(
        image=busybox,
        cmd=("pwd",),
        working_dir=f"/proc/self/fd/{number}",
        network_mode="none",
        auto_remove=True,
    )
    with pytest.raises(EngineError):
        engine.containers.run(config)


def test_no_descriptor_of_ours_is_inherited(engine: Engine, busybox: str) -> None:
    _code, text = output(engine, busybox, "ls -l /proc/self/fd")
    targets = [line.split(" -> ")[1] for line in text.splitlines() if " -> " in line]
    assert len(targets) == 3, text  # and 3, the directory that ls reads, which is closed when it looks
    assert all(target == "/dev/null" or target.startswith("pipe:") for target in targets), text


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
@pytest.mark.parametrize("target", ["/tmp", "/../../../../tmp", "etc"])
def test_proc_sys_and_dev_are_no_links(engine: Engine, busybox_tar: bytes, name: str, target: str) -> None:
    image = hostile(engine, busybox_tar, {name: link(target)})
    with pytest.raises(EngineError):
        engine.containers.run(
            ContainerConfig(image=image, cmd=("true",), network_mode="none", auto_remove=True)
        )
    assert engine.containers.list(all=True) == []


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "pts", "shm", "fd"])
def test_what_the_image_has_below_dev_does_not_count(engine: Engine, busybox_tar: bytes, name: str) -> None:
    image = hostile(engine, busybox_tar, {f"dev/{name}": link("/../../../../etc/passwd")})
    code, text = output(engine, image, "stat -c '%F %t:%T' /dev/null; readlink /proc/self/fd/0")
    assert (code, text.splitlines()) == (0, ["character special file 1:3", "/dev/null"])


def test_a_mount_point_that_is_a_link_stays_inside(
    engine: Engine, busybox_tar: bytes, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    image = hostile(engine, busybox_tar, {"data": link(f"/../../../../../../../..{outside}")})
    mounts = (Mount(MountType.VOLUME, "trap", "/data"),)
    code, text = output(engine, image, "echo here > /data/mark; cat /data/mark", mounts=mounts)
    assert (code, text) == (0, "here\n")
    assert list(outside.iterdir()) == []
    assert (Path(engine.volumes.get("trap").mountpoint) / "mark").exists()


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/proc/self/attr", "/proc/../proc/acpi"])
def test_nothing_is_mounted_over_proc(engine: Engine, busybox: str, tmp_path: Path, target: str) -> None:
    config = ContainerConfig(
        image=busybox,
        cmd=("true",),
        network_mode="none",
        auto_remove=True,
        mounts=(Mount(MountType.BIND, str(tmp_path), target),),
    )
    with pytest.raises(EngineError):
        engine.containers.run(config)


@pytest.mark.parametrize("user", ["4294967296", "4294967295", "0x0", "-1", "nosuch", "0:nosuch", "nosuch:0"])
def test_users_that_are_none_are_refused(engine: Engine, busybox: str, user: str) -> None:
    config = ContainerConfig(image=busybox, cmd=("id",), user=user, network_mode="none", auto_remove=True)
    with pytest.raises(EngineError):
        engine.containers.run(config)


@pytest.mark.parametrize("name", ["etc/passwd", "etc/group"])
@pytest.mark.parametrize(
    "entry",
    [special(tarfile.FIFOTYPE), special(tarfile.CHRTYPE, 1, 5), link("/proc/self/fd/3"), link("/dev/zero")],
)
def test_an_account_file_that_is_no_file_does_not_hang(
    engine: Engine, busybox_tar: bytes, name: str, entry: tarfile.TarInfo
) -> None:
    image = hostile(engine, busybox_tar, {name: entry})
    began = time.monotonic()
    with pytest.raises(EngineError):
        engine.containers.run(
            ContainerConfig(
                image=image, cmd=("id",), user="someone:some", network_mode="none", auto_remove=True
            )
        )
    assert time.monotonic() - began < 5
    assert output(engine, image, "echo started")[1] == "started\n"


def test_a_volume_of_the_image_stays_inside(engine: Engine, busybox_tar: bytes) -> None:
    engine.images.import_(
        io.BytesIO(busybox_tar), "hostile:latest", changes=["ENV PATH=/bin", "VOLUME /../../etc/cron.d"]
    )
    before = sorted(os.listdir("/etc"))
    assert output(engine, "hostile:latest", "echo '* * * * *' > /etc/cron.d/x; ls /etc/cron.d") == (0, "x\n")
    assert sorted(os.listdir("/etc")) == before


def test_others_cannot_traverse_the_state(engine: Engine, busybox: str) -> None:
    container = engine.containers.create(ContainerConfig(image=busybox, cmd=("true",), network_mode="none"))
    paths = engine.context.paths
    for directory in (
        paths.state,
        paths.layers,
        paths.containers,
        paths.container(container.id),
        paths.volumes,
        paths.run,
    ):
        assert stat.S_IMODE(directory.stat().st_mode) & 0o077 == 0, directory
    engine.containers.remove(container.id)
