"""Contexts that are odd, or that change while they are read."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.build import run_mounts, workdir
from runtime.build.cache import CachedLayer, LayerCache
from runtime.build.layer_writer import LayerWriter
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.images.layer_view import Node
from tests.engine.build_lab import build, fill, read, view

pytestmark = pytest.mark.engine

COPY_ALL = "FROM scratch\nCOPY . /c/\n"


def kinds(engine: Engine, image: str) -> dict[str, int]:
    """What is in /c, by name, without the Dockerfile."""
    merged = view(engine, image)
    directory = merged.lookup("c")
    assert directory is not None
    found = {
        node.path.removeprefix("c/"): stat.S_IFMT(node.stat.st_mode) for node in merged.children(directory)
    }
    del found["Dockerfile"]
    return found


def test_every_kind_of_file_is_copied_and_a_socket_left_out(engine: Engine, tmp_path: Path) -> None:
    fill(
        tmp_path,
        {"with\nnewline": "1", "caf\udce9": "2", "-rf": "3", "loop": "-> loop", "gone": "-> ../../x"},
    )
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tmp_path / "self").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        first = build(engine, tmp_path, COPY_ALL)
    assert kinds(engine, first.image_id) == {
        "with\nnewline": stat.S_IFREG,
        "caf\udce9": stat.S_IFREG,
        "-rf": stat.S_IFREG,
        "loop": stat.S_IFLNK,
        "gone": stat.S_IFLNK,
        "self": stat.S_IFLNK,
        "pipe": stat.S_IFIFO,
        "null": stat.S_IFCHR,
    }
    again = build(engine, tmp_path, COPY_ALL)
    assert (again.image_id, again.cached_steps) == (first.image_id, 1)


@pytest.mark.parametrize("name", ["loop", "self/loop/x"])
def test_a_source_that_is_a_link_to_itself_gets_one_line(engine: Engine, tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"loop": "-> loop"})
    (tmp_path / "self").symlink_to(".")
    with pytest.raises(EngineError, match=r"Dockerfile:2: COPY failed: .*loop") as raised:
        build(engine, tmp_path, f"FROM scratch\nCOPY {name} /c/\n")
    assert "\n" not in raised.value.message


def test_a_file_that_cannot_be_read_is_named(engine: Engine, tmp_path: Path) -> None:
    """Root may read what others may not, so this one is broken: reading its first byte is an I/O error."""
    fill(tmp_path, {"d/bad": ""})
    layers = sorted(engine.context.paths.layers.glob("[!.]*"))
    with ExitStack() as mounted:
        subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/mem", tmp_path / "d/bad"], check=True)
        mounted.callback(lambda: subprocess.run(["umount", tmp_path / "d/bad"], check=True))
        with pytest.raises(EngineError) as raised:
            build(engine, tmp_path, COPY_ALL)
    assert raised.value.message == f"Dockerfile:2: COPY failed: Input/output error: {tmp_path}/d/bad"
    assert sorted(engine.context.paths.layers.glob("[!.]*")) == layers


@pytest.fixture
def before_copy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], object]], list[str]]:
    """Makes something happen just before each file is copied; returns the names as they come."""
    copy = LayerWriter.copy

    def install(action: Callable[[Path], object]) -> list[str]:
        seen: list[str] = []

        def acting(self: LayerWriter, path: str, source: Node, **rest: object) -> None:
            seen.append(path)
            action(Path(source.real))
            copy(self, path, source, **rest)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr(LayerWriter, "copy", acting)
        return seen

    return install


def test_a_file_that_vanishes_before_it_is_copied_is_left_out(
    engine: Engine, tmp_path: Path, before_copy: Callable[[Callable[[Path], object]], list[str]]
) -> None:
    fill(tmp_path, {"a": "a", "b": "b"})
    before_copy(lambda path: path.unlink(missing_ok=True) if path.name == "b" else None)
    made = build(engine, tmp_path, COPY_ALL)
    assert sorted(kinds(engine, made.image_id)) == ["a"]


def test_files_that_vanish_each_time_end_the_build_in_one_line(
    engine: Engine, tmp_path: Path, before_copy: Callable[[Callable[[Path], object]], list[str]]
) -> None:
    fill(tmp_path, {"a": "always on the move"})

    def move(path: Path) -> None:
        if path.name != "Dockerfile":
            path.rename(path.with_name(path.name + "a"))

    before_copy(move)
    with pytest.raises(EngineError) as raised:
        build(engine, tmp_path, COPY_ALL)
    reason = f"No such file or directory: {tmp_path}/aaa"
    assert raised.value.message == f"Dockerfile:2: COPY failed: {reason}"


@pytest.mark.parametrize("instruction", ["COPY . /c/", "RUN --mount=type=bind,target=/c cat /c/a > /seen"])
def test_what_changes_while_it_is_copied_is_not_cached(
    engine: Engine,
    base_image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before_copy: Callable[[Callable[[Path], object]], list[str]],
    instruction: str,
) -> None:
    dockerfile = f"FROM {base_image}\n{instruction}\n"
    fill(tmp_path, {"a": "old"})
    before_copy(lambda path: path.write_text("new") if path.name == "a" else None)
    first = build(engine, tmp_path, dockerfile)
    assert [warning.message.partition(":")[0] for warning in first.warnings] == [
        "a changed while it was copied"
    ]
    monkeypatch.undo()
    place = "c/a" if instruction.startswith("COPY") else "seen"
    assert read(engine, first.image_id, place) == "new"
    fill(tmp_path, {"a": "old"})
    second = build(engine, tmp_path, dockerfile)
    assert read(engine, second.image_id, place) == "old", "the old content's key must not bring the new"
    assert second.warnings == ()
    assert build(engine, tmp_path, dockerfile).cached_steps == second.steps


def test_bound_files_are_not_copied_for_a_cached_command(
    engine: Engine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerfile = f"FROM {base_image}\nRUN --mount=type=bind,target=/c cat /c/a > /seen\n"
    fill(tmp_path, {"a": "a"})
    build(engine, tmp_path, dockerfile)

    def refuse(*arguments: object) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr(run_mounts, "transfer", refuse)
    assert build(engine, tmp_path, dockerfile).cached_steps == 2


def test_with_parents_the_source_s_place_counts(engine: Engine, tmp_path: Path) -> None:
    fill(tmp_path, {"x/a/f": "same", "y/a/f": "same"})
    for place in ("x", "y"):
        made = build(engine, tmp_path, f"FROM scratch\nCOPY --parents {place}/a /c/\n")
        assert read(engine, made.image_id, f"c/{place}/a/f") == "same"


def test_extended_attributes_make_another_layer(engine: Engine, tmp_path: Path) -> None:
    fill(tmp_path, {"a": "a"})
    before = build(engine, tmp_path, COPY_ALL)
    # Of capabilities(7), as setcap writes it: CAP_NET_RAW. A memory-backed file system has no user.* names.
    capabilities = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tmp_path / "a", "security.capability", capabilities)
    after = build(engine, tmp_path, COPY_ALL)
    node = view(engine, after.image_id).lookup("c/a")
    assert node is not None
    assert os.getxattr(node.real, "security.capability") == capabilities
    assert after.image_id != before.image_id


def test_two_builds_at_once_make_a_directory_once(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = workdir._make
    made: list[str] = []
    both = threading.Barrier(2)
    waited: set[threading.Thread] = set()
    find = LayerCache.find

    def counted(*arguments: object) -> CachedLayer:
        made.append("made")
        return make(*arguments)  # type: ignore[arg-type]  # passed on as they came

    def together(self: LayerCache, key: str, *, enabled: bool = True) -> CachedLayer | None:
        found = find(self, key, enabled=enabled)
        if not self.records and threading.current_thread() not in waited:
            waited.add(threading.current_thread())
            both.wait(60)
        return found

    monkeypatch.setattr(workdir, "_make", counted)
    monkeypatch.setattr(LayerCache, "find", together)
    images: list[str] = []

    def run(context: Path) -> None:
        context.mkdir()
        images.append(build(engine, context, "FROM scratch\nWORKDIR /made\n").image_id)

    threads = [threading.Thread(target=run, args=(tmp_path / name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["made"]
    assert len(images) == 2
    assert len(set(images)) == 1
