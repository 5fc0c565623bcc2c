"""Files with holes: every format that GNU tar writes, and maps that lie."""

from __future__ import annotations

import io
import os
import random
import subprocess
from pathlib import Path

import pytest

from runtime.errors import InvalidInput
from runtime.images import tar_reader
from runtime.images.tar_reader import TarReader
from runtime.images.tar_writer import END, header, padding

FORMATS = [
    ("--format=gnu",),
    ("--format=posix", "--sparse-version=1.0"),
    ("--format=posix", "--sparse-version=0.1"),
]


def with_holes(path: Path, pieces: int, size: int) -> bytes:
    """``pieces`` blocks of 4 KiB, far apart, in a file of ``size`` bytes; its content."""
    dice = random.Random(pieces)
    with path.open("wb") as file:
        for number in range(pieces):
            file.seek(number * size // max(pieces, 1) // 4096 * 4096)
            file.write(dice.randbytes(4096))
        file.truncate(size)
    return path.read_bytes()


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize(("pieces", "size"), [(0, 1 << 20), (1, 1 << 20), (3, (1 << 20) + 77), (60, 3 << 20)])
def test_what_gnu_tar_writes(tmp_path: Path, options: tuple[str, ...], pieces: int, size: int) -> None:
    content = with_holes(tmp_path / "holes", pieces, size)
    (tmp_path / "after").write_bytes(b"next")
    long = "d" * 90
    (tmp_path / long).mkdir()
    os.link(tmp_path / "holes", tmp_path / long / ("n" * 60))
    done = subprocess.run(
        ["tar", "-c", "--hole-detection=raw", "--sparse", *options, "-C", tmp_path, "holes", "after", long],
        capture_output=True,
        check=True,
    )
    assert len(done.stdout) < size, "tar found the holes"
    found: dict[bytes, bytes] = {}
    reader = TarReader(io.BytesIO(done.stdout))
    for entry in reader:
        if entry.type == tar_reader.REGULAR:
            out = tmp_path / "out"
            with out.open("wb") as file:
                reader.copy_to(file.fileno())
            found[entry.name] = out.read_bytes()
            if entry.name == b"holes":
                assert entry.real_size == size
                assert out.stat().st_blocks * 512 <= pieces * 4096 + 8192, "holes stay holes"
    assert found == {b"holes": content, b"after": b"next"}


def pax(records: dict[bytes, bytes], payload: bytes) -> bytes:
    lines = b""
    for key, value in records.items():
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + len(str(len(body) + 2))
        lines += str(length).encode() + body
    return (
        header(b"p", b"x"[0], size=len(lines)) + lines + padding(len(lines))
        + header(b"f", tar_reader.REGULAR, size=len(payload)) + payload + padding(len(payload)) + END
    )  # fmt: skip


@pytest.mark.parametrize(
    ("records", "payload"),
    [
        ({b"map": b"0,5", b"size": b"4"}, b"abcde"),
        ({b"map": b"0,5,3,1", b"size": b"9"}, b"abcdef"),
        ({b"map": b"0,4", b"size": b"9"}, b"abcde"),
        ({b"map": b"0,5,7", b"size": b"9"}, b"abcde"),
        ({b"map": b"0,-5", b"size": b"9"}, b"abcde"),
        ({b"map": b"0,5", b"size": b"9" * 30}, b"abcde"),
        ({b"map": b"0,5", b"size": b"9" * 18}, b"abcde"),
        ({b"map": b"0,x", b"size": b"9"}, b"abcde"),
        ({b"size": b"9", b"numblocks": b"1"}, b"abcde"),
        ({b"major": b"1", b"realsize": b"9"}, b""),
        ({b"major": b"1", b"realsize": b"9"}, b"999999999\n" + bytes(502)),
        ({b"major": b"1", b"realsize": b"9"}, b"1\n5\n5\n" + bytes(506) + b"abcd"),
        ({b"major": b"1", b"realsize": b"9"}, b"x\n" + bytes(510)),
    ],
)
def test_maps_that_lie(records: dict[bytes, bytes], payload: bytes) -> None:
    data = pax({b"GNU.sparse." + key: value for key, value in records.items()}, payload)
    with pytest.raises(InvalidInput):
        for _ in TarReader(io.BytesIO(data)):
            pass
