"""Tar headers, read and written: against the standard library's, byte for byte and in odd chunks."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.images import tar_reader
from runtime.images.tar_reader import Entry, TarReader
from runtime.images.tar_writer import END, header, padding


class Trickle:
    """A stream that gives ``step`` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, n: int = -1, /) -> bytes:
        return self._stream.read(self._step)


def entries(data: bytes, step: int = 1 << 20) -> list[tuple[Entry, bytes]]:
    reader = TarReader(Trickle(data, step))
    return [(entry, b"".join(reader.payload())) for entry in reader]


def archive(tar_format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for name, data in (("short", b"x" * 700), ("n" * 140, b"y"), ("deep/" * 30 + "é", b"")):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid, info.mode = len(data), 1700000000, 1234, 0o4755
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * 150
        tar.addfile(link)
        directory = tarfile.TarInfo("dir")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
    return buffer.getvalue()


@pytest.mark.parametrize("step", [1, 7, 512, 1000, 1 << 20])
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_tarfile_writes(tar_format: int, step: int) -> None:
    found = entries(archive(tar_format), step)
    assert [entry.name for entry, _ in found] == [
        b"short",
        b"n" * 140,
        b"deep/" * 30 + "é".encode(),
        b"link",
        b"dir/",
    ]
    assert found[0][1] == b"x" * 700
    assert (found[0][0].uid, found[0][0].mode, found[0][0].mtime) == (1234, 0o4755, 1700000000 * 10**9)
    assert found[3][0].linkname == b"t" * 150
    assert found[4][0].type == tar_reader.DIRECTORY


def test_global_headers_hold_until_overridden() -> None:
    data = archive_of(
        header_of_pax(b"g", [(b"uid", b"77")]),
        header(b"a", tar_reader.REGULAR),
        header_of_pax(b"x", [(b"uid", b"78")]),
        header(b"b", tar_reader.REGULAR),
        header(b"c", tar_reader.REGULAR),
    )
    assert [entry.uid for entry, _ in entries(data)] == [77, 78, 77]


def archive_of(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def header_of_pax(kind: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b""
    for key, value in records:
        text = b" " + key + b"=" + value + b"\n"
        length = len(text) + 2
        body += b"%d" % length + text
    return header(b"pax", kind[0], size=len(body)) + body + padding(len(body))


def test_times_have_nanoseconds() -> None:
    data = archive_of(header_of_pax(b"x", [(b"mtime", b"12.123456789")]), header(b"a", tar_reader.REGULAR))
    assert entries(data)[0][0].mtime == 12_123_456_789


@pytest.mark.parametrize(
    "data",
    [
        b"not a tar archive at all" * 100,
        archive(tarfile.GNU_FORMAT)[:900],
        archive(tarfile.GNU_FORMAT)[:300],
        archive_of(header_of_pax(b"x", [(b"size", b"-1")]), header(b"a", tar_reader.REGULAR)),
        archive_of(header_of_pax(b"x", [(b"size", b"ten")]), header(b"a", tar_reader.REGULAR)),
        archive_of(header(b"pax", b"x"[0], size=1 << 30)),
        archive_of(header(b"pax", b"x"[0], size=512) + b"z" * 512, header(b"a", tar_reader.REGULAR)),
        archive_of(header_of_pax(b"x", [(b"GNU.sparse.major", b"1")]), header(b"a", tar_reader.REGULAR)),
        archive_of(header(b"a", b"S"[0], size=512) + bytes(512)),
        bytes(512) + header(b"a", tar_reader.REGULAR) + END,
    ],
)
def test_damaged_archives_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        entries(data)


def test_an_archive_may_end_without_its_empty_blocks() -> None:
    assert len(entries(header(b"a", tar_reader.REGULAR))) == 1
    assert entries(b"") == []


names = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))


@settings(max_examples=200, deadline=None)
@given(
    name=names,
    linkname=names,
    uid=st.integers(0, (1 << 32) - 2),
    mtime=st.integers(-(1 << 33), 1 << 35),
    xattrs=st.dictionaries(
        st.from_regex(rb"user\.[a-z]{1,9}", fullmatch=True), st.binary(max_size=300), max_size=3
    ),
    step=st.sampled_from([1, 511, 512, 4096]),
)
def test_what_is_written_is_read_back(
    name: bytes, linkname: bytes, uid: int, mtime: int, xattrs: dict[bytes, bytes], step: int
) -> None:
    block = header(name, tar_reader.SYMLINK, uid=uid, gid=uid, mtime=mtime, linkname=linkname, xattrs=xattrs)
    ((entry, _),) = entries(block + END, step)
    assert (entry.name, entry.linkname, entry.uid, entry.gid) == (name, linkname, uid, uid)
    assert entry.mtime == mtime * 10**9
    assert (entry.xattrs or {}) == xattrs


def test_the_standard_library_reads_what_is_written() -> None:
    data = (
        header(b"d" * 120 + b"/f", tar_reader.REGULAR, size=3, uid=3_000_000, mtime=5)
        + b"abc"
        + padding(3)
        + END
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (info,) = tar.getmembers()
        assert (info.name, info.uid, info.mtime, info.size) == ("d" * 120 + "/f", 3_000_000, 5, 3)


@pytest.mark.parametrize("kind", [b"0", b"\0"])
def test_a_name_cut_behind_a_slash_is_still_a_file(kind: bytes) -> None:
    """GNU tar writes the first 100 bytes of a long name into the header; the 100th may be a slash."""
    name = b"d" * 99 + b"/file"
    long_name = header(b"././@LongLink", b"L"[0], size=len(name) + 1) + name + b"\0" + padding(len(name) + 1)
    data = archive_of(long_name, header(name[:100], kind[0], size=3), b"abc" + padding(3))
    ((entry, payload),) = entries(data)
    assert (entry.name, entry.type, payload) == (name, tar_reader.REGULAR, b"abc")


def test_an_old_directory_is_told_by_its_name() -> None:
    ((entry, _),) = entries(archive_of(header(b"dir/", 0)))
    assert entry.type == tar_reader.DIRECTORY
