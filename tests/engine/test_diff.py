"""diff and export on the real kernel."""

from __future__ import annotations

import io
import tarfile
import time

import pytest

from runtime.engine import Engine
from runtime.errors import Failed, NotFound
from runtime.model.container import ContainerConfig, ContainerStatus, Mount, MountType

pytestmark = pytest.mark.engine


def ended(engine: Engine, image: str, script: str, **options: object) -> str:
    """A container that has run the script; its id."""
    options.setdefault("network_mode", "none")
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), **options)  # type: ignore[arg-type]  # table of options
    container = engine.containers.run(config)
    assert engine.containers.wait(container.id) == 0
    return container.id


def changes(engine: Engine, reference: str) -> list[str]:
    return [f"{change.kind} {change.path}" for change in engine.containers.diff(reference)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("true", []),
        ("cat /etc/passwd >/dev/null", []),
        ("echo x > /new", ["A /new"]),
        ("mkdir -p /a/b; echo x > /a/b/c", ["A /a", "A /a/b", "A /a/b/c"]),
        ("echo x >> /etc/passwd", ["C /etc", "C /etc/passwd"]),
        ("rm /etc/group", ["C /etc", "D /etc/group"]),
        ("chmod 700 /home", ["C /home"]),
        ("rm -r /home", ["D /home"]),
        ("rm -r /bench; mkdir /bench", ["C /bench"]),
        ("rm -r /home; echo x > /home", ["C /home"]),
        ("echo x > /tmp/z; echo x > /tmp/a", ["C /tmp", "A /tmp/a", "A /tmp/z"]),
        ("echo x > /x; rm /x", []),
        ("ln -s /etc /l; mkfifo /p", ["A /l", "A /p"]),
    ],
)
def test_what_changed(engine: Engine, busybox: str, script: str, expected: list[str]) -> None:
    assert changes(engine, ended(engine, busybox, script)) == expected


def test_a_directory_made_anew_hides_what_was_there(engine: Engine, busybox: str) -> None:
    script = "cp /etc/passwd /p; rm -r /etc 2>/dev/null; rm -r /var; mkdir /var; echo x > /var/new"
    first = ended(engine, busybox, "mkdir /d; echo 1 > /d/one; echo 2 > /d/two")
    engine.containers.commit(first, "with-d")
    found = changes(engine, ended(engine, "with-d", "rm -r /d; mkdir /d; echo 3 > /d/three; echo 1 > /d/one"))
    assert found == ["C /d", "C /d/one", "A /d/three", "D /d/two"]
    assert "A /var/new" in changes(engine, ended(engine, busybox, script))


def test_a_running_one_and_one_that_never_ran(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", "echo x > /made; exec sleep 1000"),
        network_mode="none",
        mounts=(Mount(MountType.VOLUME, "vol", "/data"), Mount(MountType.TMPFS, "", "/scratch")),
    )
    container = engine.containers.create(config)
    assert changes(engine, container.id) == []
    engine.containers.start(container.id)
    deadline = time.monotonic() + 5
    while changes(engine, container.id) != ["A /data", "A /made", "A /scratch"]:
        assert time.monotonic() < deadline, changes(engine, container.id)
        time.sleep(0.02)
    assert engine.containers.get(container.id).state.status is ContainerStatus.RUNNING


def test_no_such_container(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no such container: ghost"):
        engine.containers.diff("ghost")


def exported(engine: Engine, reference: str) -> tarfile.TarFile:
    stream = io.BytesIO()
    engine.containers.export(reference, stream)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


def test_export_is_the_root_without_its_mounts(engine: Engine, busybox: str) -> None:
    script = (
        "echo v > /data/in-volume; echo x > /made; rm /etc/group; rm -r /home; mkdir /home; exec sleep 1000"
    )
    config = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", script),
        network_mode="none",
        mounts=(Mount(MountType.VOLUME, "vol", "/data"),),
    )
    container = engine.containers.run(config)
    deadline = time.monotonic() + 5
    while "C /home" not in changes(engine, container.id) and time.monotonic() < deadline:
        time.sleep(0.02)
    for stopped in (False, True):
        if stopped:
            engine.containers.kill(container.id)
        with exported(engine, container.id) as archive:
            names = archive.getnames()
            member = archive.extractfile("made")
            assert member is not None and member.read() == b"x\n"
        assert {"bin/busybox", "etc/passwd", "data", "home", "proc", "dev"} <= set(names)
        assert "etc/group" not in names
        assert not [name for name in names if name.startswith(("data/", "proc/", "dev/", "sys/", "/", "./"))]
        assert not [name for name in names if ".wh." in name]


def test_what_was_exported_can_be_imported(engine: Engine, busybox: str) -> None:
    stream = io.BytesIO()
    engine.containers.export(ended(engine, busybox, "echo kept > /made"), stream)
    stream.seek(0)
    engine.images.import_(stream, "again", changes=["ENV PATH=/bin"])
    assert changes(engine, ended(engine, "again", "test $(cat /made) = kept")) == []


def test_nesting_without_end_is_refused(engine: Engine, busybox: str) -> None:
    container = ended(engine, busybox, "i=0; while [ $i -lt 400 ]; do mkdir d && cd d; i=$((i+1)); done")
    with pytest.raises(Failed, match="nested more than 250 deep"):
        engine.containers.diff(container)
    with pytest.raises(Failed, match="nested more than 250 deep"):
        engine.containers.export(container, io.BytesIO())
