"""Layers that a process of its own unpacks: the same outcome, the same refusals, nothing left behind."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from runtime.context import Context
from runtime.engine import Engine
from runtime.errors import Cancelled, Failed, InvalidInput
from runtime.images import arrival, unpack_apart, unpack_worker, worker
from runtime.images.layers import LayerInfo, open_layer_tar, unpack_layer
from runtime.images.member import Member
from runtime.images.pack import LayerTar
from runtime.store import images as rows
from tests.engine.test_layers import CHAR, DIR, FILE, HARD, HOSTILE, LINK, PIPE, archive, read

pytestmark = pytest.mark.engine


@pytest.fixture
def ctx(fresh_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Even the smallest layer gets its process."""
    monkeypatch.setattr(arrival, "_APART", 0)
    return fresh_engine.context


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Callable[[bytes], Member]]:
    opened: list[int] = []

    def make(data: bytes) -> Member:
        path = tmp_path / f"archive{len(opened)}"
        path.write_bytes(b"before" + data + b"after")
        opened.append(os.open(path, os.O_RDONLY))
        return Member(opened[-1], len(b"before"), len(data))

    yield make
    for fd in opened:
        os.close(fd)


def everything() -> bytes:
    def change(info: tarfile.TarInfo) -> None:
        info.mtime = 1_600_000_000
        if info.name.startswith("shared"):
            info.mode = {"shared": 0o2775, "shared/suid": 0o4755}.get(info.name, 0o640)
            info.gid = 50 if info.name == "shared" else 0
        if info.name == "owned":
            info.uid, info.gid, info.mode = 1234, 2_500_000, 0o604
        if info.name == "xattrs":
            info.pax_headers = {"SCHILY.xattr.user.colour": "red"}

    return archive(
        ("open", FILE, "0" * 5000),
        ("d", DIR),
        ("d/first", FILE, "1"),
        ("shared", DIR),
        ("shared/plain", FILE, "2"),
        ("shared/suid", FILE, "3"),
        ("shared/below", DIR),
        ("owned", FILE, "4"),
        ("xattrs", FILE, "5"),
        ("empty", FILE),
        ("link", LINK, "d"),
        ("link/second", FILE, "6"),
        ("hard", HARD, "open"),
        ("pipe", PIPE),
        ("null", CHAR),
        (".wh.gone", FILE, "whiteouts have no data, but this one has"),
        ("d/.wh..wh..opq", FILE),
        ("made/on/the/way", FILE, "7"),
        change=change,
    )


def tree(layer: LayerInfo) -> bytes:
    return b"".join(LayerTar(layer.directory))


def test_it_makes_the_same_tree(ctx: Context, member: Callable[[bytes], Member]) -> None:
    data = everything()
    here = unpack_layer(ctx, io.BytesIO(data))
    expected = tree(here)
    with ctx.db.write() as tx:
        rows.delete_layer(tx, here.diff_id)
    before = os.umask(0o077)
    try:
        apart = unpack_layer(ctx, member(data))
    finally:
        os.umask(before)
    assert apart.directory != here.directory
    assert tree(apart) == expected
    assert read(ctx, apart) == data, "headers, padding and what follows the end included"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(
    ctx: Context, tmp_path: Path, member: Callable[[bytes], Member], name: str
) -> None:
    victim = tmp_path / "outside" / "victim"
    (tmp_path / "outside" / "directory").mkdir(parents=True)
    victim.write_text("mine")
    with pytest.raises(InvalidInput) as caught:
        unpack_layer(ctx, member(archive(*HOSTILE[name](victim))))
    assert "\n" not in caught.value.message
    assert victim.read_text() == "mine"
    assert sorted(os.listdir(victim.parent)) == ["directory", "victim"]
    assert_nothing(ctx)


def assert_nothing(ctx: Context) -> None:
    assert os.listdir(ctx.paths.layers) == [".lock"]
    assert not [entry for entry in os.listdir(ctx.paths.content) if entry.startswith(".tmp")]
    blobs = ctx.paths.content / "blobs/sha256"
    assert not blobs.exists() or os.listdir(blobs) == []


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "posix", "ustar", "v7"])
def test_other_writers_archives_are_made_again(
    ctx: Context, tmp_path: Path, member: Callable[[bytes], Member], form: str
) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / ("n" * 85)).write_bytes(os.urandom(70_000))
    (source / "odd").write_bytes(b"x" * 511)
    (source / "link").symlink_to("odd")
    (source / "hard").hardlink_to(source / "odd")
    if form in ("gnu", "oldgnu", "posix"):
        with (source / "sparse").open("wb") as file:
            file.write(b"begin")
            file.seek(1 << 20)
            file.write(b"middle")
            file.truncate(3 << 20)
    # The end is padded to 64 KiB, as other writers' blocking factors do.
    sparse = ["-S"] if (source / "sparse").exists() else []
    command = ["tar", "-b128", *sparse, f"--format={form}", "-C", str(source), "-c", "."]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    layer = unpack_layer(ctx, member(data))
    assert read(ctx, layer) == data
    row = rows.get_layer(ctx.db, layer.diff_id)
    assert row is not None
    assert (row.blob_digest, row.blob_size, bool(row.recipe)) == ("", len(data), True)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("replaced", ["file", "directory"])
def test_an_archive_that_replaces_its_own_files_is_kept_whole(
    ctx: Context,
    member: Callable[[bytes], Member],
    monkeypatch: pytest.MonkeyPatch,
    replaced: str,
    apart: bool,
) -> None:
    if not apart:
        monkeypatch.setattr(arrival, "_APART", 1 << 40)
    old = [("x", FILE, "old")] if replaced == "file" else [("x", DIR), ("x/y", FILE, "old")]
    data = archive(*old, ("x", FILE, "new"))
    layer = unpack_layer(ctx, member(data))
    assert (layer.directory / "x").read_text() == "new"
    assert read(ctx, layer) == data
    row = rows.get_layer(ctx.db, layer.diff_id)
    assert row is not None
    assert row.media_type.endswith("+gzip")
    assert not row.recipe


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_what_came_compressed_is_kept_as_it_came(
    ctx: Context, member: Callable[[bytes], Member], compress: Callable[[bytes], bytes]
) -> None:
    data = everything()
    packed = compress(data)
    layer = unpack_layer(ctx, member(packed), blob_digest=f"sha256:{hashlib.sha256(packed).hexdigest()}")
    row = rows.get_layer(ctx.db, layer.diff_id)
    assert row is not None
    assert row.blob_digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert read(ctx, layer) == data


def test_the_digests_are_checked_before_anything_is_kept(
    ctx: Context, member: Callable[[bytes], Member]
) -> None:
    data, wrong = everything(), "sha256:" + "0" * 64
    for packed in (data, gzip.compress(data)):
        for diff_id, blob_digest in ((wrong, None), (None, wrong)):
            with pytest.raises(InvalidInput, match="does not match its digest"):
                unpack_layer(ctx, member(packed), diff_id=diff_id, blob_digest=blob_digest)
            assert_nothing(ctx)


@pytest.mark.parametrize("cut", [10, 600, 3000])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_cut_archives_leave_nothing(
    ctx: Context, member: Callable[[bytes], Member], cut: int, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(archive(("x", FILE, os.urandom(8000).hex())))
    with pytest.raises(InvalidInput):
        unpack_layer(ctx, member(data[:cut]))
    assert_nothing(ctx)


class Growing:
    """A file that somebody writes: nothing of it is there until ``grow``."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.start, self.size = fd, 0, size
        self.here = (0, False)
        self.error: Exception | None = None

    def reached(self) -> tuple[int, bool]:
        if self.error is not None:
            raise self.error
        return self.here


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    (tmp_path / "growing").write_bytes(everything())
    fd = os.open(tmp_path / "growing", os.O_RDONLY)
    (tmp_path / "tree").mkdir(mode=0o755)
    yield Growing(fd, os.fstat(fd).st_size)
    os.close(fd)


def running(directory: Path) -> list[int]:
    """Processes that unpack into ``directory``."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if b"unpack_worker" in command and os.fsencode(directory) in command:
                found.append(int(name))
    return found


def test_a_file_is_followed_while_it_grows(growing: Growing, tmp_path: Path) -> None:
    heard: list[int] = []

    def grow() -> None:
        for step in range(1, 8):
            growing.here = (growing.size * step // 8, False)
            time.sleep(0.05)
        growing.here = (growing.size, True)

    thread = threading.Thread(target=grow)
    thread.start()
    found = unpack_apart.unpack_apart(growing, tmp_path / "tree", on_bytes=heard.append)
    thread.join()
    assert found.diff_id == f"sha256:{hashlib.sha256(everything()).hexdigest()}"
    assert (tmp_path / "tree/made/on/the/way").read_text() == "7"
    assert sum(heard) <= growing.size
    assert running(tmp_path / "tree") == []


@pytest.mark.parametrize("how", ["cancelled", "the writer fails"])
def test_it_ends_with_the_caller_and_the_writer(growing: Growing, tmp_path: Path, how: str) -> None:
    growing.here = (2000, False)

    def check() -> None:
        if (tmp_path / "tree/open").exists():
            if how == "cancelled":
                raise Cancelled("cancelled")
            growing.error = Failed("the line was cut")

    with pytest.raises(Cancelled if how == "cancelled" else Failed, match=r"cancelled|the line was cut"):
        unpack_apart.unpack_apart(growing, tmp_path / "tree", check=check)
    assert running(tmp_path / "tree") == []


def test_one_that_is_killed_is_told(growing: Growing, tmp_path: Path) -> None:
    def check() -> None:
        for pid in running(tmp_path / "tree"):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Failed, match="ended before its time"):
        unpack_apart.unpack_apart(growing, tmp_path / "tree", check=check)


def test_a_layer_whose_files_are_gone_is_not_given_as_if_it_were_whole(
    ctx: Context, member: Callable[[bytes], Member]
) -> None:
    layer = unpack_layer(ctx, member(everything()))
    (layer.directory / "d/first").unlink()
    with pytest.raises(Failed, match="d/first"):
        read(ctx, layer)
    stream = open_layer_tar(ctx, layer.diff_id)
    (layer.directory / "open").write_text("short")
    with pytest.raises(Failed, match="shorter"):
        stream.read(-1)


def test_what_two_threads_tell_is_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of the recipe are larger than what a pipe takes at once; the other thread counts meanwhile."""
    there, here = os.pipe()
    monkeypatch.setattr(worker, "_STARTER", here)
    bodies = {unpack_worker.RECIPE: b"r" * 300_000, unpack_worker.READ: b"1" * 20}

    def tell(kind: int, times: int) -> None:
        for _ in range(times):
            worker.tell(kind, bodies[kind])

    tellers = [
        threading.Thread(target=tell, args=item)
        for item in ((unpack_worker.RECIPE, 20), (unpack_worker.READ, 2000))
    ]
    for teller in tellers:
        teller.start()
    with os.fdopen(there, "rb") as pipe:
        for _ in range(2020):
            kind, length = worker.FRAME.unpack(pipe.read(worker.FRAME.size))
            assert pipe.read(length) == bodies[kind]
    for teller in tellers:
        teller.join()
    os.close(here)
