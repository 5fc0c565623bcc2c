"""Digests of trees: what counts, what is read again, and that remembering changes no answer."""

from __future__ import annotations

import marshal
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.build import tree_digests
from runtime.build.context_files import SourceTree, digest, select
from runtime.build.dockerignore import read_rules
from runtime.build.tree_digests import TreeDigests
from runtime.images.layer_view import LayerView
from runtime.kernel.tree import remove_tree

LONG_AGO = -3600 * 10**9


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was just written counts as written long ago: the clock's step is that of the machine at hand."""
    monkeypatch.setattr(tree_digests, "_SETTLED", LONG_AGO)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose content is read."""
    made: list[str] = []
    hash_ = tree_digests._hash

    def counted(path: str) -> bytes:
        made.append(path.rpartition("/")[2])
        return hash_(path)

    monkeypatch.setattr(tree_digests, "_hash", counted)
    return made


def of(
    context: Path,
    source: str = ".",
    *,
    memo: Path | None = None,
    ignore: str = "",
    exclude: tuple[str, ...] = (),
) -> str:
    """The digest by a build of its own, which remembers in ``memo``."""
    digests = TreeDigests(memo, mapped=True)
    tree = SourceTree("context", LayerView([context], overlay=False), digests, read_rules(ignore))
    found = digest(select(tree, source, exclude))
    digests.save()
    return found


def tick(directory: Path) -> None:
    """Until the file system's clock has moved on: what is changed from now on has another time."""
    probe = directory / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()
    probe.unlink()


def sample(context: Path) -> Path:
    context.mkdir()
    for name in ("a", "b", "d/c", "d/e/f", "g/h"):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (context / "link").symlink_to("d/c")
    os.mkfifo(context / "pipe")
    tick(context.parent)
    return context


def linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: list[tuple[str, Callable[[Path], object], bool]] = [
    ("content", lambda c: (c / "d/e/f").write_text("F"), True),
    ("content, same size", lambda c: (c / "a").write_text("A"), True),
    ("longer", lambda c: (c / "a").write_text("aa"), True),
    ("mode", lambda c: (c / "a").chmod(0o755), True),
    ("a directory's mode", lambda c: (c / "d/e").chmod(0o700), True),
    ("a new file", lambda c: (c / "d/e/new").touch(), True),
    ("a new directory", lambda c: (c / "d/e/new").mkdir(), True),
    ("removed", lambda c: (c / "d/e/f").unlink(), True),
    ("renamed", lambda c: (c / "a").rename(c / "z"), True),
    ("moved", lambda c: (c / "d/e").rename(c / "g/e"), True),
    ("another target", lambda c: linked(c / "link", "d/e/f"), True),
    ("a link instead of a file", lambda c: linked(c / "a", "b"), True),
    (
        "swapped",
        lambda c: [(c / old).rename(c / new) for old, new in (("a", "t"), ("b", "a"), ("t", "b"))],
        True,
    ),
    ("touched", lambda c: os.utime(c / "a", ns=(1, 1)), False),
    ("a date that fits no signed number", lambda c: os.utime(c / "a", (2**33, 2**33)), False),
    ("the root's mode", lambda c: c.chmod(0o700), False),
    ("written again", lambda c: (c / "a").write_text("a"), False),
    ("another inode", lambda c: ((c / "t").write_text("a"), (c / "t").rename(c / "a")), False),
    ("a hard link outside", lambda c: (c.parent / "other").hardlink_to(c / "a"), False),
    ("a socket", lambda c: socket.socket(socket.AF_UNIX).bind(str(c / "s")), False),
]


@pytest.mark.parametrize(
    ("change", "counts"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_what_counts(tmp_path: Path, settled: None, change: Callable[[Path], object], counts: bool) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    before = of(context, memo=memo)
    change(context)
    after = of(context, memo=memo)
    assert (after != before) is counts
    assert after == of(context), "remembering must not change the answer"


def test_a_cached_build_reads_nothing_and_a_changed_file_alone(
    tmp_path: Path, settled: None, reads: list[str]
) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    of(context, memo=memo)
    assert sorted(reads) == ["a", "b", "c", "f", "h"]
    reads.clear()
    of(context, memo=memo)
    assert reads == []
    (context / "d/new").write_text("new")
    (context / "d/c").write_text("changed")
    of(context, memo=memo)
    assert sorted(reads) == ["c", "new"]


def test_other_rules_read_only_what_was_hidden(tmp_path: Path, settled: None, reads: list[str]) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    hidden = of(context, memo=memo, ignore="d/e\nb")
    assert sorted(reads) == ["a", "c", "h"]
    reads.clear()
    assert of(context, memo=memo, ignore="d/e") != hidden
    assert reads == ["b"]
    assert of(context, memo=memo, ignore="d/e\nb") == hidden
    assert of(context, memo=memo, exclude=("d/e", "b")) == hidden, "--exclude hides as .dockerignore does"
    assert reads == ["b"]


def test_what_was_just_written_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    of(context, memo=memo)
    reads.clear()
    of(context, memo=memo)
    assert sorted(reads) == ["a", "b", "c", "f", "h"]


def test_a_single_file_is_remembered(tmp_path: Path, settled: None, reads: list[str]) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    first = of(context, "d/c", memo=memo)
    assert of(context, "d/c", memo=memo) == first
    assert reads == ["c"]
    (context / "d/c").write_text("C")
    assert of(context, "d/c", memo=memo) != first


def test_content_that_changes_under_the_same_times(tmp_path: Path, settled: None) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    before = of(context, memo=memo)
    stat = (context / "a").stat()
    (context / "a").write_text("x")
    os.utime(context / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert of(context, memo=memo) != before


def test_extended_attributes_count(tmp_path: Path, settled: None) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    seen = {of(context, memo=memo)}
    os.setxattr(context / "a", "user.x", b"1")
    seen.add(of(context, memo=memo))
    tick(tmp_path)
    os.setxattr(context / "a", "user.x", b"2")
    seen.add(of(context, memo=memo))
    os.setxattr(context / "d", "user.x", b"2")
    seen.add(of(context, memo=memo))
    assert len(seen) == 4


@pytest.mark.parametrize("name", ["with\nnewline", "caf\udce9", "-rf", "*", "\\", " ", "\x01"])
def test_any_name(tmp_path: Path, settled: None, name: str) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    before = of(context, memo=memo)
    (context / name).write_text("x")
    after = of(context, memo=memo)
    assert after != before
    assert of(context, memo=memo) == after == of(context)


def test_names_and_contents_cannot_be_taken_for_each_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for directory, name in ((one, "a\nb"), (other, "a")):
        directory.mkdir()
        (directory / name).write_text("")
    (other / "b").write_text("")
    assert of(one) != of(other)


@pytest.mark.parametrize(
    ("ignore", "path", "counts"),
    [
        ("d\n!d/e", "d/c", False),
        ("d\n!d/e", "d/e/f", True),
        ("d\n!d/e/f", "d/e/f", True),
        ("*\n!g/*", "a", False),
        ("*\n!g/*", "g/h", True),
        ("**/f", "d/e/f", False),
    ],
)
def test_only_what_is_visible_counts(
    tmp_path: Path, settled: None, ignore: str, path: str, counts: bool
) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    before = of(context, memo=memo, ignore=ignore)
    (context / path).write_text("changed")
    assert (of(context, memo=memo, ignore=ignore) != before) is counts


def test_a_hidden_directory_counts_when_something_in_it_shows(tmp_path: Path, settled: None) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    shown, nothing = "d\n!d/e/f", "d\n!d/e/none"
    before = of(context, memo=memo, ignore=shown), of(context, memo=memo, ignore=nothing)
    (context / "d").chmod(0o700)
    after = of(context, memo=memo, ignore=shown), of(context, memo=memo, ignore=nothing)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_file_that_vanishes_meanwhile_is_left_out(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    hash_ = tree_digests._hash

    def vanishing(path: str) -> bytes:
        if path.endswith("/f"):
            os.unlink(path)
        return hash_(path)

    monkeypatch.setattr(tree_digests, "_hash", vanishing)
    found = of(context, memo=memo)
    monkeypatch.setattr(tree_digests, "_hash", hash_)
    assert found == of(context) == of(context, memo=memo)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_a_file_that_becomes_something_else_is_neither_read_nor_remembered(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    makers: dict[str, Callable[[str], object]] = {
        "fifo": os.mkfifo,
        "link": lambda path: os.symlink("/etc/passwd", path),
        "directory": os.mkdir,
    }
    hash_ = tree_digests._hash

    def turning(path: str) -> bytes:
        if path.endswith("/f"):
            os.unlink(path)
            makers[kind](path)
        return hash_(path)

    monkeypatch.setattr(tree_digests, "_hash", turning)
    of(context, memo=memo)
    monkeypatch.setattr(tree_digests, "_hash", hash_)
    assert of(context, memo=memo) == of(context)


@pytest.mark.parametrize("memo", [b"", b"x", marshal.dumps((1, {})), marshal.dumps((2, False, {}, {}, {}))])
def test_a_memo_that_is_not_ours_is_begun_anew(tmp_path: Path, settled: None, memo: bytes) -> None:
    context, path = sample(tmp_path / "c"), tmp_path / "memo"
    path.write_bytes(memo)
    assert of(context, memo=path) == of(context)
    assert of(context, memo=path) == of(context)


def test_another_copy_of_a_part_does_not_forget_the_rest(
    tmp_path: Path, settled: None, reads: list[str]
) -> None:
    context, memo = sample(tmp_path / "c"), tmp_path / "memo"
    whole = of(context, memo=memo)
    (context / "g/h").write_text("H")
    of(context, "g", memo=memo)
    reads.clear()
    assert of(context, memo=memo) != whole
    assert reads == []


def test_a_tree_deeper_than_calls_may_nest(tmp_path: Path, settled: None) -> None:
    context = place = str(tmp_path / "c")
    os.mkdir(place)
    for _ in range(1200):
        place += "/a"
        os.mkdir(place)
    try:
        tree = SourceTree("context", LayerView([context], overlay=False), TreeDigests(None, mapped=True))
        (selection,) = select(tree, ".")
        assert len(selection.entries) == 1201
        assert digest([selection]) == of(Path(context), memo=tmp_path / "memo")
    finally:
        remove_tree(context)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.binary(max_size=1)), max_size=8))
def test_any_sequence_of_changes_gives_what_a_build_without_a_memo_gives(
    changes: list[tuple[str, str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_digests, "_SETTLED", LONG_AGO)
        top = Path(place)
        context = top / "c"
        context.mkdir()
        for number, (directory, name, content) in enumerate(changes):
            (context / directory).mkdir(exist_ok=True)
            path = context / directory / name
            if path.exists():
                # Kept, so that its inode's number is not given away within one step of the clock.
                path.rename(top / str(number))
            if content:
                (top / "t").write_bytes(content)
                (top / "t").rename(path)
            assert of(context, memo=top / "memo") == of(context)
