"""Paths inside a hostile root file system never lead out of it."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.kernel import rootpath, syscalls

pytestmark = pytest.mark.engine

RENAME_EXCHANGE = 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system next to a directory that must stay untouched."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    directory = tmp_path / "root"
    for name in ("etc", "data", "run"):
        (directory / name).mkdir(parents=True)
    (directory / "etc" / "passwd").write_text("inside")
    return directory


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


def outside(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root.parent)) for path in (root.parent / "outside").rglob("*"))


def where(fd: int) -> str:
    path = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return path


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../../../etc/passwd", "/../etc/passwd", "../outside/../etc/passwd"]
)
def test_links_stay_inside(root: Path, root_fd: int, target: str) -> None:
    (root / "link").symlink_to(target)
    (root / "outside").mkdir()
    fd = rootpath.open_in_root(root_fd, "/link", os.O_RDONLY)
    assert os.read(fd, 100) == b"inside"
    os.close(fd)


@pytest.mark.parametrize("path", ["/../outside/secret", "../../outside/secret", "/etc/../../outside/secret"])
def test_dots_stay_inside(root_fd: int, path: str) -> None:
    with pytest.raises(syscalls.SyscallError) as raised:
        rootpath.open_in_root(root_fd, path, os.O_RDONLY)
    assert raised.value.errno == errno.ENOENT


def test_magic_links_are_refused(root_fd: int, root: Path) -> None:
    host = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        try:
            with pytest.raises(syscalls.SyscallError) as raised:
                rootpath.open_in_root(proc, f"/self/fd/{host}/etc", os.O_RDONLY)
        finally:
            os.close(proc)
    finally:
        os.close(host)
    assert raised.value.errno == errno.ELOOP


def test_no_follow_refuses_links_on_the_way(root: Path, root_fd: int) -> None:
    (root / "dev").symlink_to("/etc")
    with pytest.raises(syscalls.SyscallError) as raised:
        rootpath.open_in_root(root_fd, "/dev/passwd", os.O_RDONLY, follow=False)
    assert raised.value.errno == errno.ELOOP
    with pytest.raises(syscalls.SyscallError) as raised:
        rootpath.make_in_root(root_fd, "/dev/new/deep", True, follow=False)
    assert raised.value.errno == errno.ELOOP
    assert not (root / "etc" / "new").exists()


def test_make_directories_and_files(root: Path, root_fd: int) -> None:
    assert where(rootpath.make_in_root(root_fd, "/a/b/c", True)) == f"{root}/a/b/c"
    assert where(rootpath.make_in_root(root_fd, "/a/b/file", False)) == f"{root}/a/b/file"
    assert (root / "a" / "b" / "c").is_dir()
    assert (root / "a" / "b" / "file").is_file()
    assert where(rootpath.make_in_root(root_fd, "/a/b/file", False)) == f"{root}/a/b/file"


@pytest.mark.parametrize("target", ["/run/later", "run/later", "../../../run/later"])
def test_make_through_a_dangling_link(root: Path, root_fd: int, target: str) -> None:
    (root / "var").symlink_to(target)
    assert where(rootpath.make_in_root(root_fd, "/var/lib/x", True)) == f"{root}/run/later/lib/x"


def test_make_through_an_escaping_link(root: Path, root_fd: int) -> None:
    (root / "data" / "up").symlink_to(root.parent / "outside")
    before = outside(root)
    made = where(rootpath.make_in_root(root_fd, "/data/up/planted", True))
    assert made.startswith(f"{root}/")
    assert outside(root) == before


def test_make_gives_up_on_link_loops(root: Path, root_fd: int) -> None:
    (root / "a").symlink_to("b/x")
    (root / "b").symlink_to("a/x")
    with pytest.raises(syscalls.SyscallError) as raised:
        rootpath.make_in_root(root_fd, "/a/new", True)
    assert raised.value.errno == errno.ELOOP


def test_make_refuses_a_file_in_the_way(root_fd: int) -> None:
    with pytest.raises(syscalls.SyscallError) as raised:
        rootpath.make_in_root(root_fd, "/etc/passwd/x", True)
    assert raised.value.errno == errno.ENOTDIR


def test_exchange_while_making(root: Path, root_fd: int) -> None:
    """A container that swaps a directory for a link outwards, again and again, gets nothing outside."""
    (root / "data" / "real").mkdir()
    (root / "data" / "trap").symlink_to("../../outside")
    before = outside(root)
    stop = threading.Event()

    def swap() -> None:
        a, b = (os.fsencode(root / "data" / name) for name in ("real", "trap"))
        libc = ctypes.CDLL(None)
        while not stop.is_set():
            assert libc.renameat2(syscalls.AT_FDCWD, a, syscalls.AT_FDCWD, b, RENAME_EXCHANGE) == 0

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for index in range(300):
            try:
                made = where(rootpath.make_in_root(root_fd, f"/data/real/x{index}", bool(index % 2)))
            except OSError:
                continue
            assert made.startswith(f"{root}/")
    finally:
        stop.set()
        thread.join()
    assert outside(root) == before
