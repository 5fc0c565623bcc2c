"""A large image, the same on every machine: 800 MB in 27,000 files and four layers, as docker saves it.

Sizes and how well it compresses are those of a Python image with its packages: many small files of text, some
large ones of machine code.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path
from typing import IO

__all__ = ["BYTES", "FILES", "NAME", "write"]

NAME = "bench-large:latest"
FILES = 27_000
BYTES = 800_000_000
_LAYERS = (0.25, 0.35, 0.3, 0.1)
_PER_DIRECTORY = 40
_LARGE = 100
"""Files that hold half of the bytes."""


class _Content:
    """Pieces of words and of noise, from one seed."""

    def __init__(self) -> None:
        self._random = random.Random(20_240_501)
        words = [self._random.randbytes(self._random.randint(2, 9)).hex().encode() for _ in range(4000)]
        self._text = b" ".join(self._random.choices(words, k=600_000))
        self._noise = self._random.randbytes(4 << 20)

    def of(self, size: int) -> bytes:
        parts: list[bytes] = []
        left = size
        while left:
            pool = self._noise if self._random.random() < 0.12 else self._text
            length = min(left, self._random.randint(512, 64 << 10))
            start = self._random.randrange(len(pool) - length)
            parts.append(pool[start : start + length])
            left -= length
        return b"".join(parts)


def write(target: IO[bytes]) -> None:
    """The archive; takes some seconds."""
    content = _Content()
    with tarfile.open(fileobj=target, mode="w") as archive:
        names, diff_ids = [], []
        for number, share in enumerate(_LAYERS):
            layer = _layer(content, number, share)
            digest = hashlib.sha256(layer).hexdigest()
            names.append(f"{digest}/layer.tar")
            diff_ids.append(f"sha256:{digest}")
            _add(archive, names[-1], layer)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-05-01T10:00:00Z",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": f"layer {number}"} for number in range(len(_LAYERS))],
        }
        data = json.dumps(config).encode()
        config_name = f"{hashlib.sha256(data).hexdigest()}.json"
        _add(archive, config_name, data)
        manifest = [{"Config": config_name, "RepoTags": [NAME], "Layers": names}]
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _layer(content: _Content, number: int, share: float) -> bytes:
    files, large = int(FILES * share), int(_LARGE * share)
    size = int(BYTES * share)
    small_size, large_size = size // 2 // (files - large), size // 2 // large
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index in range(files):
            directory = f"usr/lib/part{number}/package{index // _PER_DIRECTORY}"
            if index % _PER_DIRECTORY == 0:
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            length = (
                large_size
                if index % (files // large) == 0 and index // (files // large) < large
                else small_size
            )
            _add(archive, f"{directory}/module{index}.py", content.of(length), mtime=1_700_000_000 + index)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mtime: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o644, mtime
    archive.addfile(entry, io.BytesIO(data))


def large_archive(directory: Path) -> Path:
    """The archive as a file below ``directory``."""
    path = directory / "large.tar"
    if not path.exists():
        with path.open("wb") as file:
            write(file)
    return path
