"""What must be known of an ELF file to take it along: its interpreter and libraries (elf(5), ld.so(8)).

Only little-endian 64-bit files are read: x86-64, aarch64, riscv64.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import Unavailable

__all__ = ["Elf", "LibraryFinder", "loadable", "read_elf", "without_path"]

_NEUTRAL = b"/usr/local"
_MAGIC = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")


@dataclass(frozen=True)
class Elf:
    """``run_path`` are the directories that the file itself names, $ORIGIN resolved."""

    machine: int
    interpreter: str
    needed: tuple[str, ...]
    run_path: tuple[str, ...]


def read_elf(path: Path) -> Elf | None:
    """None for a file that is not (this kind of) ELF."""
    with path.open("rb") as file:
        if file.read(6) != _MAGIC:
            return None
        file.seek(0)
        data = file.read()
    return _parse(data, os.fspath(path.parent))


def _parse(data: bytes, origin: str) -> Elf:
    header = _HEADER.unpack_from(data)
    machine, program_offset, entry_size, entries = header[1], header[4], header[8], header[9]
    segments = [_SEGMENT.unpack_from(data, program_offset + i * entry_size) for i in range(entries)]
    interpreter = ""
    dynamic: list[tuple[int, int]] = []
    for kind, _, offset, _, _, size, _, _ in segments:
        if kind == _PT_INTERP:
            interpreter = data[offset : offset + size].split(b"\0", 1)[0].decode()
        elif kind == _PT_DYNAMIC:
            dynamic = [_DYNAMIC.unpack_from(data, offset + i) for i in range(0, size, _DYNAMIC.size)]
    strings = 0
    for tag, value in dynamic:
        if tag == _DT_STRTAB:
            strings = next(
                value - address + offset
                for kind, _, offset, address, _, size, _, _ in segments
                if kind == _PT_LOAD and address <= value < address + size
            )

    def text(position: int) -> str:
        start = strings + position
        return os.fsdecode(data[start : data.index(b"\0", start)])

    run_path: list[str] = []
    for tag, value in dynamic:
        if tag in (_DT_RPATH, _DT_RUNPATH):
            for item in text(value).split(":"):
                run_path.append(item.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
    needed = tuple(text(value) for tag, value in dynamic if tag == _DT_NEEDED)
    return Elf(machine, interpreter, needed, tuple(item for item in run_path if item))


def loadable(data: bytes) -> bytes:
    """The file without what no loader reads: section headers, symbols and debug information after the last
    segment. Worth it for interpreters built with debug information, where that is three quarters."""
    if not data.startswith(_MAGIC):
        return data
    header = list(_HEADER.unpack_from(data))
    program_offset, entry_size, entries = header[4], header[8], header[9]
    end = program_offset + entries * entry_size
    for i in range(entries):
        segment = _SEGMENT.unpack_from(data, program_offset + i * entry_size)
        end = max(end, segment[2] + segment[5])
    header[5] = 0  # e_shoff
    header[11] = header[12] = 0  # e_shnum, e_shstrndx
    kept = bytearray(data[:end])
    _HEADER.pack_into(kept, 0, *header)
    kept[:16] = data[:16]
    return bytes(kept)


def without_path(data: bytes, path: str) -> bytes:
    """The file with the directory of ``path`` replaced, wherever it is written, by a neutral one of the same
    length. The last component stays: linkers let other strings share the end of a string ("3.11.7" may be the
    tail of ".../versions/3.11.7"). Unchanged when there is not enough room."""
    head = os.path.dirname(path).encode()  # noqa: PTH120
    room = len(head) - len(_NEUTRAL)
    if room < 0 or head == _NEUTRAL:
        return data
    neutral = _NEUTRAL + b"/." * (room // 2) + b"/" * (room % 2)
    return data.replace(path.encode(), neutral + path.encode()[len(head) :])


class LibraryFinder:
    """Where ld.so(8) would find a library: the file's own directories, then the system's."""

    def __init__(self) -> None:
        multiarch = f"{os.uname().machine}-linux-gnu"
        system = [f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
        self._directories = [*system, *_configured(Path("/etc/ld.so.conf"), 0)]
        self._found: dict[tuple[str, tuple[str, ...]], Path | None] = {}

    def find(self, name: str, elf: Elf, extra: tuple[str, ...] = ()) -> Path | None:
        """``extra`` are directories to search after the file's own."""
        key = (name, elf.run_path + extra)
        if key not in self._found:
            self._found[key] = self._search(name, elf, [*key[1], *self._directories])
        return self._found[key]

    def require(self, name: str, elf: Elf, wanted_by: str, extra: tuple[str, ...] = ()) -> Path:
        """Raises Unavailable."""
        found = self.find(name, elf, extra)
        if found is None:
            raise Unavailable(f"the library {name}, which {wanted_by} needs, is not on this machine")
        return found

    @staticmethod
    def _search(name: str, elf: Elf, directories: list[str]) -> Path | None:
        if "/" in name:
            directories, name = [os.path.dirname(name)], os.path.basename(name)  # noqa: PTH119, PTH120
        for directory in directories:
            path = Path(directory, name)
            if path.is_file():
                found = read_elf(path)
                if found is not None and found.machine == elf.machine:
                    return path
        return None


def _configured(path: Path, depth: int) -> list[str]:
    """The directories of ld.so.conf and what it includes."""
    directories: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return directories
    for line in lines:
        text = line.partition("#")[0].strip()
        if text.startswith("include ") and depth < 4:
            for item in sorted(Path("/").glob(text[8:].strip().lstrip("/"))):
                directories += _configured(item, depth + 1)
        elif text.startswith("/"):
            directories.append(text)
    return directories
