"""cp on the real kernel: docker's rules for paths, both ways, running and stopped; and hostile containers."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, Denied, EngineError, InvalidInput, NotFound
from runtime.model.container import Container, ContainerConfig, Mount, MountType

pytestmark = pytest.mark.engine

SETUP = (
    "mkdir -p /src/sub /empty; echo one > /src/one; echo two > /src/sub/two; chmod 640 /src/one;"
    " ln -s one /src/link; ln -s /src /srclink; ln /src/one /src/hard; chown 7:8 /src/sub/two;"
)

Make = Callable[..., Container]


@pytest.fixture(params=["running", "stopped"])
def make(engine: Engine, busybox: str, request: pytest.FixtureRequest) -> Make:
    """A container named "box" that has run the script; it runs on, or has ended."""

    def build(script: str = SETUP, **options: object) -> Container:
        options.setdefault("network_mode", "none")
        argv = ("sh", "-c", f"{script} touch /ready; exec sleep 1000")
        config = ContainerConfig(image=busybox, cmd=argv, **options)  # type: ignore[arg-type]  # table of options
        container = engine.containers.run(config, name="box")
        until_ready(engine)
        if request.param == "stopped":
            engine.containers.kill("box")
        return container

    return build


def until_ready(engine: Engine) -> None:
    deadline = time.monotonic() + 10
    while not any(change.path == "/ready" for change in engine.containers.diff("box")):
        assert time.monotonic() < deadline, "the script did not come to its end"
        time.sleep(0.01)


def tar_of(engine: Engine, path: str) -> tarfile.TarFile:
    stream = io.BytesIO()
    engine.containers.copy_from("box", path, stream)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


TREE = ["hard", "link", "one", "sub", "sub/two"]


# -- docker's table: what exists, what does not, slashes at the end --------------------------------


@pytest.mark.parametrize(
    ("source", "destination", "found"),
    [
        ("/src/one", "new", ["dir", "file", "new"]),
        ("/src/one", "dir", ["dir", "dir/one", "file"]),
        ("/src/one", "dir/", ["dir", "dir/one", "file"]),
        ("/src/one", "file", ["dir", "file"]),
        ("/src", "new", ["dir", "file", "new", *(f"new/{name}" for name in TREE)]),
        ("/src/", "new/", ["dir", "file", "new", *(f"new/{name}" for name in TREE)]),
        ("/src/.", "new", ["dir", "file", "new", *(f"new/{name}" for name in TREE)]),
        ("/src", "dir", ["dir", "dir/src", *(f"dir/src/{name}" for name in TREE), "file"]),
        ("/src/.", "dir", ["dir", *(f"dir/{name}" for name in TREE), "file"]),
        ("/src/sub/..", "dir", ["dir", "dir/src", *(f"dir/src/{name}" for name in TREE), "file"]),
        ("src/one", "dir/renamed", ["dir", "dir/renamed", "file"]),
        ("/srclink/", "new", ["dir", "file", "new", *(f"new/{name}" for name in TREE)]),
        ("/srclink/one", "new", ["dir", "file", "new"]),
    ],
)
def test_out_of_a_container(
    engine: Engine, make: Make, tmp_path: Path, source: str, destination: str, found: list[str]
) -> None:
    make()
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("before")
    size = engine.containers.copy_from("box", source, f"{tmp_path}/{destination}")
    assert listing(tmp_path) == found
    assert size % 512 == 0 and size > 0
    if destination == "file":
        assert (tmp_path / "file").read_text() == "one\n"


@pytest.mark.parametrize(
    ("source", "destination", "error", "words"),
    [
        ("/nope", "dir", NotFound, "could not find the file /nope in container box"),
        ("/src/one/", "dir", NotFound, "could not find the file /src/one/ in container box: Not a directory"),
        ("/src", "file", Conflict, "cannot copy a directory to a file"),
        ("/src/one", "new/", NotFound, "no such directory"),
        ("/src/one", "nowhere/new", NotFound, "no such file or directory"),
        ("/src/one", "file/new", NotFound, "Not a directory"),
        ("/proc/1/status", "new", NotFound, "files of the kernel"),
    ],
)
def test_out_is_refused(
    engine: Engine, make: Make, tmp_path: Path, source: str, destination: str, error: type, words: str
) -> None:
    make()
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("before")
    if source.startswith("/proc") and not engine.containers.get("box").state.status.alive:
        words = "could not find the file"
    with pytest.raises(error, match=words):
        engine.containers.copy_from("box", source, f"{tmp_path}/{destination}")
    assert listing(tmp_path) == ["dir", "file"]
    assert (tmp_path / "file").read_text() == "before"


@pytest.mark.parametrize(
    ("source", "destination", "found"),
    [
        ("file", "/new", ["new"]),
        ("file", "/empty", ["empty", "empty/file"]),
        ("file", "/empty/", ["empty", "empty/file"]),
        ("file", "/src/one", ["src/one"]),
        ("file", "/src/link", ["src/one"]),
        ("file", "/srclink", ["src/file"]),
        ("file", "empty/name", ["empty", "empty/name"]),
        ("tree", "/new", ["new", "new/a", "new/b", "new/b/c"]),
        ("tree", "/new/", ["new", "new/a", "new/b", "new/b/c"]),
        ("tree", "/empty", ["empty", "empty/tree", "empty/tree/a", "empty/tree/b", "empty/tree/b/c"]),
        ("tree/.", "/empty", ["empty", "empty/a", "empty/b", "empty/b/c"]),
        ("tree/.", "/new", ["new", "new/a", "new/b", "new/b/c"]),
    ],
)
def test_into_a_container(
    engine: Engine, make: Make, tmp_path: Path, source: str, destination: str, found: list[str]
) -> None:
    make()
    (tmp_path / "file").write_text("new contents")
    (tmp_path / "tree/b").mkdir(parents=True)
    (tmp_path / "tree/a").write_text("a")
    (tmp_path / "tree/b/c").write_text("c")
    engine.containers.copy_to("box", f"{tmp_path}/{source}", destination)
    with tar_of(engine, "/") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
        assert set(found) <= names
        if source == "file":
            member = archive.extractfile(f"./{found[-1]}")
            assert member is not None and member.read() == b"new contents"
            info = archive.getmember(f"./{found[-1]}")
            assert (info.uid, info.gid) == (0, 0)
        assert not [name for name in names if ".tuidock" in name]


@pytest.mark.parametrize(
    ("source", "destination", "error", "words"),
    [
        ("nope", "/empty", NotFound, "no such file or directory: .*/nope"),
        ("tree", "/src/one", Conflict, "cannot copy a directory to a file"),
        ("file", "/new/", NotFound, "no such directory"),
        ("file", "/nope/x", NotFound, "could not find the file /nope in container box"),
        ("file", "/src/one/x", NotFound, "Not a directory"),
        ("clash", "/src", Conflict, "cannot overwrite directory"),
        ("other/.", "/src", Conflict, "cannot overwrite non-directory"),
    ],
)
def test_into_is_refused(
    engine: Engine, make: Make, tmp_path: Path, source: str, destination: str, error: type, words: str
) -> None:
    make()
    (tmp_path / "file").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "other/one").mkdir(parents=True)
    if source == "clash":
        source = "sub"
        (tmp_path / "sub").write_text("x")
    with pytest.raises(error, match=words):
        engine.containers.copy_to("box", f"{tmp_path}/{source}", destination)
    with tar_of(engine, "/src") as archive:
        assert sorted(archive.getnames()) == ["src", *(f"src/{name}" for name in TREE)]


# -- what is copied: modes, owners, links, times ---------------------------------------------------


def test_metadata_comes_along(engine: Engine, make: Make, tmp_path: Path) -> None:
    make(SETUP + "chmod 4755 /src/sub/two; touch -d '2001-02-03 04:05:06' /src/one;")
    engine.containers.copy_from("box", "/src", str(tmp_path / "plain"))
    engine.containers.copy_from("box", "/src", str(tmp_path / "exact"), archive=True)
    one, two = tmp_path / "plain/one", tmp_path / "plain/sub/two"
    assert stat.S_IMODE(one.stat().st_mode) == 0o640
    assert time.gmtime(one.stat().st_mtime)[:3] == (2001, 2, 3)
    assert (tmp_path / "plain/hard").samefile(one)
    assert os.readlink(tmp_path / "plain/link") == "one"
    assert (two.stat().st_uid, two.stat().st_gid) == (os.geteuid(), os.getegid())
    assert stat.S_IMODE(two.stat().st_mode) == 0o755  # no set-id program of an image without -a
    exact = (tmp_path / "exact/sub/two").stat()
    assert (exact.st_uid, exact.st_gid, stat.S_IMODE(exact.st_mode)) == (7, 8, 0o4755)


def test_owners_into_a_container(engine: Engine, make: Make, tmp_path: Path) -> None:
    make()
    (tmp_path / "f").write_text("x")
    os.chown(tmp_path / "f", 1234, 4321)
    engine.containers.copy_to("box", str(tmp_path / "f"), "/plain")
    engine.containers.copy_to("box", str(tmp_path / "f"), "/exact", archive=True)
    with tar_of(engine, "/") as archive:
        plain, exact = archive.getmember("./plain"), archive.getmember("./exact")
    assert (plain.uid, plain.gid, exact.uid, exact.gid) == (0, 0, 1234, 4321)


def test_links_are_copied_or_followed(engine: Engine, make: Make, tmp_path: Path) -> None:
    make()
    engine.containers.copy_from("box", "/srclink", str(tmp_path / "as-link"))
    assert os.readlink(tmp_path / "as-link") == "/src"
    (tmp_path / "into").mkdir()
    engine.containers.copy_from("box", "/srclink", str(tmp_path / "into"), follow_link=True)
    assert listing(tmp_path / "into/srclink") == TREE
    (tmp_path / "real").write_text("real")
    (tmp_path / "alias").symlink_to("real")
    engine.containers.copy_to("box", str(tmp_path / "alias"), "/empty")
    engine.containers.copy_to("box", str(tmp_path / "alias"), "/followed", follow_link=True)
    with tar_of(engine, "/empty/alias") as archive:
        assert archive.getmembers()[0].linkname == "real"
    with tar_of(engine, "/followed") as archive:
        assert archive.getmembers()[0].isreg()


def test_a_tar_on_the_streams(engine: Engine, make: Make) -> None:
    make()
    with tar_of(engine, "/src") as archive:
        assert sorted(archive.getnames()) == ["src", *(f"src/{name}" for name in TREE)]
    with tar_of(engine, "/src/.") as archive:
        assert "./sub/two" in archive.getnames()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as given:
        entry = tarfile.TarInfo("x/y")
        entry.size, entry.uid = 3, 55
        given.addfile(entry, io.BytesIO(b"abc"))
    stream.seek(0)
    engine.containers.copy_to("box", stream, "/empty")
    with tar_of(engine, "/empty/x/y") as archive:
        member = archive.getmembers()[0]
        assert (member.uid, member.size) == (55, 3)
    with pytest.raises(InvalidInput, match="destination box:/src/one must be a directory"):
        engine.containers.copy_to("box", io.BytesIO(b""), "/src/one")
    with pytest.raises(InvalidInput, match="not a readable tar archive"):
        engine.containers.copy_to("box", io.BytesIO(b"rubbish" * 200), "/empty")


def test_volumes_and_binds_are_part_of_it(engine: Engine, make: Make, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/there").write_text("bound")
    (tmp_path / "f").write_text("into")
    mounts = (
        Mount(MountType.VOLUME, "vol", "/data"),
        Mount(MountType.BIND, str(tmp_path / "host"), "/bound", read_only=True),
    )
    make("echo v > /data/v;", mounts=mounts)
    engine.containers.copy_from("box", "/data/v", str(tmp_path / "v"))
    engine.containers.copy_from("box", "/bound/there", str(tmp_path / "t"))
    assert ((tmp_path / "v").read_text(), (tmp_path / "t").read_text()) == ("v\n", "bound")
    engine.containers.copy_to("box", str(tmp_path / "f"), "/data/sub")
    assert (engine.context.paths.volume("vol") / "sub").read_text() == "into"
    with pytest.raises(Denied, match="mounted read-only"):
        engine.containers.copy_to("box", str(tmp_path / "f"), "/bound")
    assert listing(tmp_path / "host") == ["there"]
    assert not (engine.context.paths.container(engine.containers.get("box").id) / "upper/data/sub").exists()


def test_a_read_only_root_stays_so(engine: Engine, make: Make, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    mounts = (Mount(MountType.VOLUME, "vol", "/data"),)
    argv = ("sh", "-c", "exec sleep 1000")
    config = ContainerConfig(
        image=engine.images.get("busybox").id, cmd=argv, network_mode="none", read_only=True, mounts=mounts
    )
    for start in (False, True):
        name = f"ro{int(start)}"
        engine.containers.create(config, name=name)
        if start:
            engine.containers.start(name)
        with pytest.raises(Denied, match="mounted read-only"):
            engine.containers.copy_to(name, str(tmp_path / "f"), "/root")
        engine.containers.copy_to(name, str(tmp_path / "f"), "/data")
        assert (engine.context.paths.volume("vol") / "f").read_text() == "x"


def test_a_file_that_is_mounted_on_is_written_in_place(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """A rename over it from outside would take the mount out of the container."""
    config = ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none")
    container = engine.containers.run(config, name="box")
    (tmp_path / "hosts").write_text("10.0.0.1 mine\n")
    engine.containers.copy_to("box", str(tmp_path / "hosts"), "/etc/hosts")
    assert (engine.context.paths.container(container.id) / "hosts").read_text() == "10.0.0.1 mine\n"
    inside = Path(f"/proc/{engine.containers.get('box').state.pid}/mountinfo").read_text()
    assert " /etc/hosts " in inside


def test_the_next_start_sees_it(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/script").write_text("echo from the copy")
    script = "cat /etc/passwd >/dev/null && sh /etc/deep/script"
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", script), network_mode="none")
    engine.containers.create(config, name="box")
    engine.containers.copy_to("box", f"{tmp_path}/tree/.", "/etc")
    engine.containers.start("box")
    assert engine.containers.wait("box") == 0
    assert [entry.line.strip() for entry in engine.containers.logs("box")] == [b"from the copy"]


# -- hostile containers and archives ---------------------------------------------------------------

SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
root = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
os.fchdir(root)
print("swapping", flush=True)
while True:
    libc.renameat2(-100, b"swap/dir", -100, b"swap/link", 2)
"""


@contextmanager
def swapping(root: str) -> Iterator[None]:
    """RENAME_EXCHANGE of a directory and a link, as fast as it goes, on the container's own mount."""
    process = subprocess.Popen([sys.executable, "-c", SWAP, root], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def trap(engine: Engine, busybox: str, tmp_path: Path) -> Path:
    """A container whose /swap/dir becomes a link to a directory of the host again and again."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("outside")
    script = f"mkdir -p /swap/dir; echo inside > /swap/dir/secret; ln -s {outside} /swap/link; touch /ready;"
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", script + "exec sleep 1000"), network_mode="none")
    engine.containers.run(config, name="box")
    until_ready(engine)
    return outside


def test_a_swapped_component_does_not_lead_out(engine: Engine, trap: Path, tmp_path: Path) -> None:
    """CVE-2018-15664: while a component is exchanged with a link, nothing of the host is read or written."""
    root = f"/proc/{engine.containers.get('box').state.pid}/root"
    (tmp_path / "given").mkdir()
    (tmp_path / "given/planted").write_text("planted")
    naive = inside = 0
    with swapping(root):
        deadline = time.monotonic() + 20
        for attempt in range(100_000):
            try:
                # What a look-up by path does, to know that the trap is a trap.
                naive += Path(f"{root}/swap/dir/secret").read_text() == "outside"
            except OSError:
                pass
            for path in ("/swap/dir/secret", "/swap/dir", "/swap"):
                stream = io.BytesIO()
                try:
                    engine.containers.copy_from("box", path, stream)
                except EngineError:
                    continue
                assert b"outside" not in stream.getvalue().replace(os.fsencode(trap), b"")
                inside += b"inside" in stream.getvalue()
            try:
                engine.containers.copy_to("box", f"{tmp_path}/given/.", "/swap/dir")
            except EngineError:
                pass
            assert [path.name for path in trap.iterdir()] == ["secret"]
            if (attempt >= 40 and naive and inside) or time.monotonic() > deadline:
                break
    assert naive, "the trap never caught a look-up by path: this test proves nothing"
    assert inside, "nothing was copied at all"


def test_a_swap_on_the_way_of_an_archive_does_not_lead_out(
    engine: Engine, trap: Path, tmp_path: Path
) -> None:
    """The same below the destination: the archive's own directories are what is exchanged."""
    root = f"/proc/{engine.containers.get('box').state.pid}/root"
    (tmp_path / "given/dir").mkdir(parents=True)
    for number in range(50):
        (tmp_path / f"given/dir/planted{number}").write_text("planted")
    arrived = 0
    with swapping(root):
        for _ in range(40):
            try:
                engine.containers.copy_to("box", f"{tmp_path}/given/.", "/swap")
                arrived += 1
            except EngineError:
                pass
            assert [path.name for path in trap.iterdir()] == ["secret"]
    assert (trap / "secret").read_text() == "outside"
    assert os.stat(trap).st_uid == os.geteuid()


def test_links_of_an_image_stay_inside(engine: Engine, make: Make, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("outside")
    make(
        f"mkdir /x; ln -s {outside} /x/abs; ln -s ../../../../..{outside} /x/rel; ln -s /proc/1/root /x/proc;"
    )
    for link in ("abs", "rel", "proc" + str(outside)):
        with pytest.raises(NotFound):
            engine.containers.copy_from("box", f"/x/{link}/secret", io.BytesIO())
    (tmp_path / "f").write_text("planted")
    for link in ("abs", "rel"):
        with pytest.raises(NotFound):
            engine.containers.copy_to("box", str(tmp_path / "f"), f"/x/{link}/f")
    assert listing(outside) == ["secret"]


def tar_with(*entries: tuple[str, bytes, str]) -> io.BytesIO:
    """(name, type, link target) of each; regular files say "evil"."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            entry.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(b"evil"))
    stream.seek(0)
    return stream


def test_hostile_archives_stay_inside(engine: Engine, make: Make, tmp_path: Path) -> None:
    make()
    regular, link, hard = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    outside = str(tmp_path)
    with pytest.raises(InvalidInput, match="leads out"):
        engine.containers.copy_to("box", tar_with(("../../evil", regular, "")), "/empty")
    with pytest.raises(InvalidInput, match="leads out"):
        engine.containers.copy_to("box", tar_with(("evil", hard, "../../etc/passwd")), "/empty")
    # Over a link of its own the archive stays in the container, as one unpacked there would.
    engine.containers.copy_to("box", tar_with(("l", link, "/src"), ("l/evil", regular, "")), "/empty")
    with tar_of(engine, "/src/evil") as archive:
        assert archive.getnames() == ["evil"]
    engine.containers.copy_to("box", tar_with(("o", link, outside), ("o/evil", regular, "")), "/empty")
    assert not (tmp_path / "evil").exists()
    with tar_of(engine, f"{outside}/evil") as archive:
        assert archive.getnames() == ["evil"]


def test_nothing_of_the_host_is_written_through_a_link(engine: Engine, make: Make, tmp_path: Path) -> None:
    """The destination has a link where the container has a directory or a file of that name."""
    make()
    (tmp_path / "victim").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "dir/src").mkdir(parents=True)
    (tmp_path / "dir/src/sub").symlink_to(tmp_path / "victim")
    with pytest.raises(Conflict, match="cannot overwrite non-directory"):
        engine.containers.copy_from("box", "/src", str(tmp_path / "dir"))
    (tmp_path / "dir/src/sub").unlink()
    (tmp_path / "dir/src/one").unlink()
    (tmp_path / "dir/src/one").symlink_to(tmp_path / "precious")
    engine.containers.copy_from("box", "/src", str(tmp_path / "dir"))
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "dir/src/one").is_symlink()
    assert listing(tmp_path / "victim") == []


def test_a_fifo_does_not_hang_and_a_device_is_not_opened(engine: Engine, make: Make, tmp_path: Path) -> None:
    make("mkdir /odd; mkfifo /odd/fifo; mknod /odd/disk b 7 0; chmod 666 /odd/disk;")
    engine.containers.copy_from("box", "/odd", str(tmp_path / "odd"))
    assert stat.S_ISFIFO((tmp_path / "odd/fifo").stat().st_mode)
    disk = (tmp_path / "odd/disk").stat()
    assert stat.S_ISBLK(disk.st_mode) and stat.S_IMODE(disk.st_mode) == 0o600


def test_odd_names_come_through_both_ways(engine: Engine, make: Make, tmp_path: Path) -> None:
    make("mkdir /o; touch /o/.wh.x /o/-rf '/o/sp ace' \"/o/$(printf 'a\\nb')\" \"/o/$(printf '\\377')\";")
    names = {b".wh.x", b"-rf", b"sp ace", b"a\nb", b"\xff"}
    engine.containers.copy_from("box", "/o", str(tmp_path / "o"))
    assert set(os.listdir(os.fsencode(tmp_path / "o"))) == names
    engine.containers.copy_to("box", f"{tmp_path}/o/.", "/empty")
    with tar_of(engine, "/empty/.") as archive:
        found = {os.fsencode(name).removeprefix(b"./") for name in archive.getnames()}
    assert found - {b"."} == names


def test_a_start_waits_for_a_copy_into_a_stopped_container(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """Two mounts of one upper directory at a time are what overlayfs does not allow."""
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", "ls /tree | wc -l"), network_mode="none")
    engine.containers.create(config, name="box")
    (tmp_path / "tree").mkdir()
    for number in range(500):
        (tmp_path / f"tree/{number}").touch()
    began = threading.Event()

    def copy() -> None:
        engine.containers.copy_to("box", cast("IO[bytes]", _Slow(tmp_path, began)), "/")

    thread = threading.Thread(target=copy)
    thread.start()
    assert began.wait(10)
    engine.containers.start("box")
    thread.join()
    engine.containers.wait("box")
    assert [entry.line.strip() for entry in engine.containers.logs("box")] == [b"500"]


class _Slow(io.RawIOBase):
    """A tar of ``tree`` that takes half a second to come."""

    def __init__(self, directory: Path, began: threading.Event) -> None:
        self._stream, self._began = io.BytesIO(), began
        with tarfile.open(fileobj=self._stream, mode="w") as archive:
            archive.add(directory / "tree", "tree")
        self._stream.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._began.set()
        time.sleep(0.05)
        return data


_watched: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is not None and event in (
        "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system", "ctypes.dlopen",
    ):  # fmt: skip
        _watched.append(f"{event} {arguments}")


def test_nothing_of_the_container_is_run_or_loaded(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """CVE-2019-14271: neither its tar nor its name service modules."""
    global _watched
    sys.addaudithook(_hook)
    script = "mkdir /d; echo x > /d/f; chown 4242:4242 /d/f; echo 'passwd: evil' > /etc/nsswitch.conf;"
    script += "mkdir -p /lib/x86_64-linux-gnu; cp /bin/busybox /lib/x86_64-linux-gnu/libnss_evil.so.2;"
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", script), network_mode="none")
    engine.containers.run(config, name="box")
    engine.containers.wait("box")
    _watched = []
    try:
        engine.containers.copy_from("box", "/d", str(tmp_path / "d"), archive=True)
        engine.containers.copy_to("box", str(tmp_path / "d"), "/d")
        engine.containers.export("box", io.BytesIO())
        assert _watched == []
        with open("/proc/self/maps") as maps:
            assert str(engine.context.paths.containers) not in maps.read()
    finally:
        _watched = None


def test_cp_needs_a_container_that_is_there(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such container: ghost"):
        engine.containers.copy_from("ghost", "/x", str(tmp_path))
