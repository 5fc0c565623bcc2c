"""The merged view of layers against the kernel's own overlayfs, on made-up and on random layers."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.build.layer_writer import LayerWriter, Owner, WriteRefused
from runtime.images.layer_view import LayerView, Node, TreeLoop

pytestmark = pytest.mark.engine

NAMES = ("a", "b", "c")


@contextmanager
def mounted(layers: list[Path], place: Path) -> Iterator[Path]:
    """overlayfs over the layers, lowest first (an empty one below: the kernel wants two)."""
    place.mkdir()
    below = place.with_name("below")
    below.mkdir()
    lower = ":".join(str(layer) for layer in [*reversed(layers), below])
    subprocess.run(
        ["mount", "-t", "overlay", "-o", f"ro,lowerdir={lower}", "overlay", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
        below.rmdir()


def describe(stat_result: os.stat_result, path: str) -> str:
    kind = stat.S_IFMT(stat_result.st_mode)
    if kind == stat.S_IFREG:
        return f"file {stat.S_IMODE(stat_result.st_mode):o} {Path(path).read_text()}"
    if kind == stat.S_IFLNK:
        return f"link {os.readlink(path)}"
    return f"{kind:o} {stat.S_IMODE(stat_result.st_mode):o}"


def of_kernel(root: Path) -> dict[str, str]:
    """A whiteout in a directory that is not merged shows up in its list and has no inode: not there."""
    found = {}
    for parent, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = f"{parent}/{name}"
            if os.path.lexists(path):
                found[os.path.relpath(path, root)] = describe(os.lstat(path), path)
    return found


def of_view(view: LayerView) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(node: Node) -> None:
        for child in view.children(node):
            found[child.path] = describe(child.stat, child.real)
            if child.is_directory:
                walk(child)

    assert view.root is not None
    walk(view.root)
    return found


def whiteout(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, stat.S_IFCHR | 0o600, 0)


def grow(directory: Path, chance: random.Random, depth: int = 0) -> None:
    """Random entries: files, links, whiteouts, directories, opaque ones too."""
    directory.mkdir(exist_ok=True)
    if depth and chance.random() < 0.2:
        os.setxattr(directory, "trusted.overlay.opaque", b"y")
    for name in NAMES:
        path = directory / name
        what = chance.random()
        if what < 0.25:
            path.write_text(f"{chance.random()}")
        elif what < 0.35:
            path.symlink_to(chance.choice(["a", "../b", "/c/a", "nowhere"]))
        elif what < 0.5:
            whiteout(path)
        elif what < 0.8 and depth < 3:
            grow(path, chance, depth + 1)


@pytest.mark.parametrize("seed", range(40))
def test_view_is_what_overlayfs_shows(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    layers = [tmp_path / f"layer{number}" for number in range(chance.randint(1, 5))]
    for layer in layers:
        grow(layer, chance)
    with mounted(layers, tmp_path / "merged") as merged:
        assert of_view(LayerView(layers)) == of_kernel(merged)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_what_overlayfs_shows(tmp_path: Path, seed: int) -> None:
    """Writing through LayerWriter gives, merged, the lower tree with exactly the new entries on top."""
    chance = random.Random(seed)
    layers = [tmp_path / f"layer{number}" for number in range(3)]
    for layer in layers:
        grow(layer, chance)
    before = of_view(LayerView(layers))
    writer = LayerWriter(layers, tmp_path / "upper")
    expected = dict(before)
    for number in range(6):
        path = writer.resolve(
            "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3))) + f"/new{number}"
        )
        try:
            writer.write(path, f"{number}".encode(), owner=Owner())
        except WriteRefused:
            continue
        for length in range(1, path.count("/") + 1):
            expected.setdefault("/".join(path.split("/")[:length]), f"{stat.S_IFDIR:o} 755")
        expected[path] = f"file 644 {number}"
    writer.close()
    with mounted([*layers, tmp_path / "upper"], tmp_path / "merged") as merged:
        assert of_kernel(merged) == expected


def fill(root: Path) -> Path:
    for name in ("usr/bin", "var/run", "data"):
        (root / name).mkdir(parents=True)
    (root / "usr/bin/sh").write_text("sh")
    (root / "bin").symlink_to("usr/bin")
    (root / "abs").symlink_to("/usr")
    (root / "up").symlink_to("../../../data")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("/no/where")
    (root / "usr/back").symlink_to("../data")
    return root


@pytest.mark.parametrize(
    ("path", "resolved"),
    [("", ""), ("/", ""), ("bin", "usr/bin"), ("bin/sh", "usr/bin/sh"), ("/abs/bin/sh", "usr/bin/sh"),
     ("up", "data"), ("up/x/y", "data/x/y"), ("usr/back/../usr", "usr"),
     ("usr/../../..", ""), ("..", ""), ("new/../x", "x"),
     ("dangling", "no/where"), ("dangling/x", "no/where/x"), ("./usr//bin/.", "usr/bin"),
     ("abs/back/z", "data/z"),
     ("usr/bin/sh/x", "usr/bin/sh/x")],
)  # fmt: skip
def test_resolve(tmp_path: Path, path: str, resolved: str) -> None:
    assert LayerView([fill(tmp_path)]).resolve(path) == resolved


def test_loops_and_last_links(tmp_path: Path) -> None:
    view = LayerView([fill(tmp_path)])
    with pytest.raises(TreeLoop):
        view.resolve("loop/x")
    node = view.lookup("loop", follow=False)
    assert node is not None
    assert node.is_link
    assert view.lookup("dangling") is None
    assert view.lookup("nothing/at/all") is None


def test_no_layer_at_all() -> None:
    view = LayerView([])
    assert view.root is None
    assert view.lookup("a") is None
    assert view.resolve("/a/../b") == "b"


def test_devices_of_a_plain_directory_are_no_whiteouts(tmp_path: Path) -> None:
    whiteout(tmp_path / "w")
    assert LayerView([tmp_path], overlay=False).lookup("w") is not None
    assert LayerView([tmp_path]).lookup("w") is None


def test_writer_keeps_lower_metadata_and_xattrs(tmp_path: Path) -> None:
    lower = tmp_path / "lower"
    (lower / "d/e").mkdir(parents=True)
    os.setxattr(lower / "d", "user.note", b"x")
    os.chown(lower / "d", 3, 4)
    (lower / "d").chmod(0o2751)
    os.utime(lower / "d", (1000, 2000))
    writer = LayerWriter([lower], tmp_path / "upper")
    writer.write("d/e/f", b"", owner=Owner(9, 9))
    writer.close()
    made = (tmp_path / "upper/d").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode), made.st_mtime) == (3, 4, 0o2751, 2000)
    assert os.getxattr(tmp_path / "upper/d", "user.note") == b"x"
    assert (tmp_path / "upper/d/e/f").stat().st_uid == 9


def test_writer_refuses_to_turn_directories_into_files(tmp_path: Path) -> None:
    lower = fill(tmp_path / "lower")
    writer = LayerWriter([lower], tmp_path / "upper")
    with pytest.raises(WriteRefused, match="cannot replace the directory /data"):
        writer.write("data", b"", owner=Owner())
    with pytest.raises(WriteRefused, match="cannot copy to non-directory: /usr/bin/sh"):
        writer.make_directory("usr/bin/sh")
    with pytest.raises(WriteRefused, match="cannot copy to non-directory: /usr/bin/sh"):
        writer.write("usr/bin/sh/x", b"", owner=Owner())
