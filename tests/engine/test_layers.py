"""Unpacking layers: nothing lands outside whatever the archive says, and everything else is kept."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.context import Context
from runtime.engine import Engine
from runtime.errors import Cancelled, Failed, InvalidInput
from runtime.images.layers import LayerInfo, adopt_layer, open_layer_tar, temporary_directory, unpack_layer
from runtime.images.pack import LayerTar
from runtime.images.sweep import sweep
from runtime.images.tar_reader import TarReader
from runtime.images.unpack import Limits, unpack
from runtime.kernel.tree import remove_tree

pytestmark = pytest.mark.engine

Item = tuple[str, bytes] | tuple[str, bytes, str]
"""(name, type) or (name, type, link target or content)."""
FILE, DIR, LINK, HARD, CHAR, BLOCK, PIPE = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)


def archive(*items: Item, change: Callable[[tarfile.TarInfo], None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in items:
            info = tarfile.TarInfo()
            info.name, info.type = item[0], item[1]
            info.mode = 0o755 if item[1] == DIR else 0o644
            data = b""
            if len(item) == 3:
                if info.type in (LINK, HARD):
                    info.linkname = item[2]
                else:
                    data = item[2].encode()
                    info.size = len(data)
            if change is not None:
                change(info)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def ctx(fresh_engine: Engine) -> Context:
    return fresh_engine.context


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory that a hostile archive aims at; it must stay as it is."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "directory").mkdir()
    before = sorted(
        (str(path), path.lstat().st_mtime_ns, path.lstat().st_mode) for path in tmp_path.rglob("*")
    )
    yield tmp_path
    after = sorted(
        (str(path), path.lstat().st_mtime_ns, path.lstat().st_mode) for path in tmp_path.rglob("*")
    )
    assert after == before
    assert (tmp_path / "victim").read_text() == "mine"


def unpacked(ctx: Context, *items: Item) -> Path:
    return unpack_layer(ctx, io.BytesIO(archive(*items))).directory


def up(path: Path) -> str:
    """The path, from anywhere below the root."""
    return "../" * 20 + str(path).lstrip("/")


HOSTILE: dict[str, Callable[[Path], list[Item]]] = {
    "dots": lambda victim: [(up(victim), FILE, "evil")],
    "dots behind a directory": lambda victim: [("a", DIR), (f"a/{up(victim)}", FILE, "evil")],
    "dots to a directory": lambda victim: [(up(victim.parent / "directory"), DIR)],
    "hard link to outside": lambda victim: [("x", HARD, str(victim)), ("x", FILE, "evil")],
    "hard link with dots": lambda victim: [("x", HARD, up(victim))],
    "hard link through a symlink": lambda victim: [("s", LINK, str(victim.parent)), ("x", HARD, "s/victim")],
    "whiteout with dots": lambda victim: [(f"{up(victim.parent)}/.wh.victim", FILE)],
    "whiteout of the parent": lambda victim: [("a", DIR), ("a/.wh...", FILE)],
    "whiteout of itself": lambda victim: [(".wh..", FILE)],
    "whiteout of nothing": lambda victim: [(".wh.", FILE)],
    "the root as a symlink": lambda victim: [(".", LINK, str(victim.parent)), ("victim", FILE, "evil")],
    "the root as a file": lambda victim: [("./", FILE, "evil")],
    "a symlink loop": lambda victim: [("a", LINK, "b"), ("b", LINK, "a"), ("a/x", FILE, "evil")],
    "a file as a directory": lambda victim: [("a", FILE, "x"), ("a/b", FILE, "evil")],
    "a name too long": lambda victim: [("n" * 300, FILE)],
    "a path too deep": lambda victim: [("d/" * 1500 + "f", FILE)],
    "a hard link to a directory": lambda victim: [("d", DIR), ("h", HARD, "d")],
    "a hard link to nothing": lambda victim: [("h", HARD, "nothing")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(ctx: Context, outside: Path, name: str) -> None:
    before = len(os.listdir(ctx.paths.layers))
    with pytest.raises(InvalidInput) as caught:
        unpacked(ctx, *HOSTILE[name](outside / "victim"))
    assert "\n" not in caught.value.message
    assert len(os.listdir(ctx.paths.layers)) <= before + 1, "something half-made stayed"
    assert not [entry for entry in os.listdir(ctx.paths.content) if entry.startswith(".tmp")]


@pytest.mark.parametrize("target", ["absolute", "dots"])
def test_symlinks_are_followed_inside_only(ctx: Context, outside: Path, target: str) -> None:
    """A link that points out is kept as it is; what goes through it lands below the layer's root."""
    text = str(outside) if target == "absolute" else up(outside)
    root = unpacked(
        ctx,
        ("link", LINK, text),
        ("link/victim", FILE, "evil"),
        ("link/.wh.directory", FILE),
        ("link/new/x", FILE, "y"),
    )
    assert os.readlink(root / "link") == text
    inside = root / str(outside).lstrip("/")
    assert (inside / "victim").read_text() == "evil"
    assert stat.S_ISCHR((inside / "directory").lstat().st_mode)
    assert (inside / "new/x").read_text() == "y"


def test_a_symlink_in_place_of_a_directory_does_not_lead_out(ctx: Context, outside: Path) -> None:
    root = unpacked(
        ctx,
        ("d", DIR),
        ("d/first", FILE, "1"),
        ("d", LINK, str(outside)),
        ("d/victim", FILE, "evil"),
        ("d/directory", LINK, "/etc"),
        ("d/directory/passwd", FILE, "evil"),
    )
    assert os.readlink(root / "d") == str(outside)
    assert (root / str(outside).lstrip("/") / "victim").read_text() == "evil"
    assert (root / "etc/passwd").read_text() == "evil"


def test_files_are_never_written_through_links(ctx: Context, outside: Path) -> None:
    root = unpacked(
        ctx,
        ("x", LINK, str(outside / "victim")),
        ("x", FILE, "evil"),
        ("y", LINK, str(outside / "victim")),
        ("z", HARD, "y"),
        ("z", FILE, "evil"),
    )
    assert (root / "x").read_text() == "evil"
    assert not (root / "x").is_symlink()
    assert (root / "y").is_symlink()
    assert not (root / "z").is_symlink()


def test_absolute_names_are_below_the_root(ctx: Context, outside: Path) -> None:
    root = unpacked(ctx, (str(outside / "victim"), FILE, "evil"), ("./a/./b//c/../d", FILE, "x"))
    assert (root / str(outside / "victim").lstrip("/")).read_text() == "evil"
    assert (root / "a/b/d").read_text() == "x"


def test_metadata_is_kept(ctx: Context) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.uid, info.gid, info.mtime = 1234, 2_500_000, 1_600_000_000.25
        info.mode = {"suid": 0o4755, "sticky": 0o1777}.get(info.name, info.mode)
        if info.name in ("caps", "sticky"):
            info.pax_headers = {
                "SCHILY.xattr.user.colour": "red",
                "SCHILY.xattr.trusted.overlay.redirect": "/etc",
                "SCHILY.xattr.trusted.overlay.metacopy": "y",
            }
        if info.name in ("null", "disk"):
            info.devmajor, info.devminor = 8, 300

    data = archive(
        ("sticky", DIR),
        ("sticky/inner", FILE, "x"),
        ("suid", FILE, "x"),
        ("caps", FILE, "x"),
        ("null", CHAR),
        ("disk", BLOCK),
        ("pipe", PIPE),
        ("link", LINK, "nowhere"),
        ("hard", HARD, "suid"),
        change=change,
    )
    root = unpack_layer(ctx, io.BytesIO(data)).directory
    for name in ("sticky", "sticky/inner", "suid", "caps", "null", "disk", "pipe", "link"):
        info = (root / name).lstat()
        assert (info.st_uid, info.st_gid) == (1234, 2_500_000), name
        assert info.st_mtime_ns == 1_600_000_000_250_000_000, name
    assert stat.S_IMODE((root / "suid").stat().st_mode) == 0o4755
    assert stat.S_IMODE((root / "sticky").stat().st_mode) == 0o1777
    assert os.getxattr(root / "caps", "user.colour") == b"red"
    assert not [name for name in os.listxattr(root / "sticky") if "overlay" in name]
    assert (root / "null").lstat().st_rdev == os.makedev(8, 300)
    assert stat.S_ISBLK((root / "disk").lstat().st_mode)
    assert stat.S_ISFIFO((root / "pipe").lstat().st_mode)
    assert (root / "hard").stat().st_ino == (root / "suid").stat().st_ino


def test_names_are_bytes(ctx: Context) -> None:
    name = os.fsdecode(b"caf\xe9 \n \xff")
    root = unpacked(ctx, (name, FILE, "x"), ("ünïcode" * 20, FILE, "y"))
    assert sorted(os.listdir(os.fsencode(root))) == sorted([os.fsencode(name), ("ünïcode" * 20).encode()])


def test_directories_merge_and_anything_else_replaces(ctx: Context) -> None:
    root = unpacked(
        ctx,
        ("d", DIR),
        ("d/kept", FILE, "1"),
        ("d", DIR),
        ("was_dir", DIR),
        ("was_dir/sub/gone", FILE, "1"),
        ("was_dir", FILE, "file"),
        ("was_file", FILE, "1"),
        ("was_file", DIR),
        ("was_file/in", FILE, "2"),
        ("was_link", LINK, "d"),
        ("was_link", DIR),
        ("was_link/in", FILE, "3"),
        ("was_pipe", PIPE),
        ("was_pipe", LINK, "d"),
    )
    assert (root / "d/kept").read_text() == "1"
    assert not (root / "d/in").exists()
    assert (root / "was_dir").read_text() == "file"
    assert (root / "was_file/in").read_text() == "2"
    assert (root / "was_link/in").read_text() == "3"
    assert os.readlink(root / "was_pipe") == "d"


def is_whiteout(path: Path) -> bool:
    info = path.lstat()
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def test_whiteouts_speak_of_lower_layers_in_any_order(ctx: Context) -> None:
    root = unpacked(
        ctx,
        (".wh.gone", FILE),
        ("a/b/.wh.deep", FILE),
        ("kept", FILE, "1"),
        (".wh.kept", FILE),
        (".wh.back", FILE),
        ("back", FILE, "2"),
        (".wh.newdir", FILE),
        ("newdir", DIR),
        ("newdir/x", FILE, "3"),
        ("olddir", DIR),
        ("olddir/x", FILE, "4"),
        (".wh.olddir", FILE),
        ("opaque", DIR),
        ("opaque/first", FILE, "5"),
        ("opaque/.wh..wh..opq", FILE),
        ("opaque/last", FILE, "6"),
        (".wh.through", FILE),
        ("through/x", FILE, "7"),
        (".wh..wh.plnk", FILE),
    )
    assert is_whiteout(root / "gone")
    assert is_whiteout(root / "a/b/deep")
    assert (root / "kept").read_text() == "1"
    assert (root / "back").read_text() == "2"
    for name in ("newdir", "olddir", "opaque", "through"):
        assert is_opaque(root / name), name
    assert sorted(os.listdir(root / "opaque")) == ["first", "last"]
    assert not [path for path in root.rglob("*") if path.name.startswith(".wh.")]


def test_bombs_are_stopped(tmp_path: Path) -> None:
    def run(data: bytes, limits: Limits) -> None:
        (tmp_path / "root").mkdir(exist_ok=True)
        unpack(TarReader(io.BytesIO(data)), tmp_path / "root", limits=limits)

    with pytest.raises(InvalidInput, match="more than 3 entries"):
        run(archive(*((f"f{i}", FILE) for i in range(4))), Limits(3, 100))
    with pytest.raises(Failed, match="no space left"):
        run(archive(("a", FILE, "x" * 60), ("b", FILE, "x" * 60)), Limits(10, 100))

    def claim(info: tarfile.TarInfo) -> None:
        info.pax_headers = {"size": str(1 << 60)}

    huge = archive(("a", FILE), change=claim)
    with pytest.raises(Failed, match="no space left"):
        run(huge, Limits.of(tmp_path))
    assert not (tmp_path / "root/b").exists()


@pytest.mark.parametrize("change", ["uid", "device", "type"])
def test_impossible_values_are_refused(ctx: Context, change: str) -> None:
    def alter(info: tarfile.TarInfo) -> None:
        if change == "uid":
            info.uid = 1 << 32
        elif change == "device":
            info.type, info.devmajor = CHAR, 1 << 20
        else:
            info.type = b"Z"

    with pytest.raises(InvalidInput):
        unpack_layer(ctx, io.BytesIO(archive(("x", FILE), change=alter)))


def test_the_digest_is_checked_before_anything_is_kept(ctx: Context) -> None:
    data = archive(("x", FILE, "1"))
    with pytest.raises(InvalidInput, match="does not match its digest"):
        unpack_layer(ctx, io.BytesIO(data), diff_id="sha256:" + "0" * 64)
    with pytest.raises(InvalidInput, match="does not match its digest"):
        unpack_layer(ctx, io.BytesIO(gzip.compress(data)), blob_digest="sha256:" + "0" * 64)
    assert os.listdir(ctx.paths.layers) == [".lock"]
    assert os.listdir(ctx.paths.content / "blobs/sha256") == []


@pytest.mark.parametrize("form", ["plain", "gzip", "two gzip members", "zstd", "bzip2", "xz"])
def test_compressions(ctx: Context, form: str) -> None:
    import bz2
    import lzma

    import zstandard

    data = archive(("x", FILE, "abc" * 100_000))
    packed = {
        "plain": lambda: data,
        "gzip": lambda: gzip.compress(data),
        "two gzip members": lambda: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
        "zstd": lambda: zstandard.compress(data),
        "bzip2": lambda: bz2.compress(data),
        "xz": lambda: lzma.compress(data),
    }[form]()
    layer = unpack_layer(ctx, io.BytesIO(packed))
    assert layer.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (layer.directory / "x").read_text() == "abc" * 100_000
    assert read(ctx, layer) == data


@pytest.mark.parametrize("cut", [10, 600, 1500])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_cut_archives_leave_nothing(ctx: Context, cut: int, compress: Callable[[bytes], bytes]) -> None:
    data = compress(archive(("x", FILE, os.urandom(2000).hex())))
    with pytest.raises(InvalidInput):
        unpack_layer(ctx, io.BytesIO(data[:cut]))
    assert os.listdir(ctx.paths.layers) == [".lock"]


def test_cancelling_leaves_nothing(ctx: Context) -> None:
    class Set:
        def is_set(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        unpack_layer(ctx, io.BytesIO(archive(*((f"f{i}", FILE) for i in range(600)))), cancel=Set())
    assert os.listdir(ctx.paths.layers) == [".lock"]


def read(ctx: Context, layer: LayerInfo) -> bytes:
    stream = open_layer_tar(ctx, layer.diff_id)
    return b"".join(iter(lambda: stream.read(4096), b""))


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""cap_net_raw+ep as the kernel keeps it (linux/capability.h, vfs_cap_data)."""


def make_tree(ctx: Context) -> Path:
    """An upper directory with one of everything."""
    root = temporary_directory(ctx)
    (root / "d").mkdir()
    (root / "d/file").write_text("x" * 5000)
    (root / "d/hard").hardlink_to(root / "d/file")
    (root / "link").symlink_to("d/file")
    (root / ("long" * 40)).write_text("long")
    (root / os.fsdecode(b"\xff")).write_text("bytes")
    os.mkfifo(root / "pipe")
    os.mknod(root / "gone", stat.S_IFCHR, os.makedev(0, 0))
    os.setxattr(root / "d", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "d", "trusted.overlay.origin", b"whatever")
    os.chown(root / "d/file", 7, 3_000_000)
    os.setxattr(root / "d/file", "user.k", b"v=\n\0")
    os.setxattr(root / "d/file", "security.capability", CAPABILITY)
    for path in root.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    return root


def test_a_directory_becomes_a_layer_and_back(ctx: Context, fresh_engine: Engine) -> None:
    layer = adopt_layer(ctx, make_tree(ctx))
    data = read(ctx, layer)
    assert layer.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert layer.size == 5000 + 4 + 5
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert names == sorted(
        names, key=lambda name: os.fsencode(name).replace(b".wh..wh..opq", b"").replace(b".wh.", b"")
    )
    assert {".wh.gone", "d/.wh..wh..opq", "d/hard"} <= set(names)
    again = adopt_layer(ctx, make_tree(ctx))
    assert again == layer, "the same directory is the same layer"
    elsewhere = ctx.paths.state / "elsewhere"
    elsewhere.mkdir()
    unpack(TarReader(io.BytesIO(data)), elsewhere)
    assert b"".join(LayerTar(elsewhere)) == data
    assert is_whiteout(elsewhere / "gone")
    assert is_opaque(elsewhere / "d")
    assert os.getxattr(elsewhere / "d/file", "security.capability") == CAPABILITY


def test_redirects_of_overlayfs_are_refused(ctx: Context) -> None:
    root = temporary_directory(ctx)
    (root / "moved").mkdir()
    os.setxattr(root / "moved", "trusted.overlay.redirect", b"/old")
    with pytest.raises(Failed, match="redirect"):
        adopt_layer(ctx, root)
    remove_tree(root)


def test_deep_trees_can_be_removed(tmp_path: Path) -> None:
    """Deeper than Python's recursion and than PATH_MAX."""
    top = tmp_path / "deep"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 10, dir_fd=fd)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(top)
    assert not top.exists()


def test_sweeping_removes_what_dead_processes_left(ctx: Context) -> None:
    dead = ctx.paths.layers / ".tmp-4000000-5-abcd"
    (dead / "x").mkdir(parents=True)
    reused = ctx.paths.layers / ".tmp-1-5-abcd"
    reused.mkdir()
    (ctx.paths.layers / "0123456789").mkdir()
    own = temporary_directory(ctx)
    orphan = unpack_layer(ctx, io.BytesIO(archive(("x", FILE, "1"))))
    sweep(ctx)
    assert not dead.exists()
    assert not reused.exists(), "the pid is another process's by now"
    assert not orphan.directory.exists(), "no image, container or cache uses it"
    assert own.exists()
    assert sorted(os.listdir(ctx.paths.layers)) == sorted([".lock", own.name])
    assert os.listdir(ctx.paths.content / "blobs/sha256") == []
    own.rmdir()
