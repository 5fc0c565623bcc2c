"""The base image as a plan: which path is made of what. Planned as data first, then written.

Paths in the image are those of a merged /usr (``/bin`` is a link to ``usr/bin``), so every target begins with
``/usr``, ``/etc`` and so on. Nothing of a home directory is taken, and nothing that looks like a key.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import Unavailable
from runtime.images.elf import LibraryFinder, read_elf

__all__ = ["BasePlan", "PlannedFile"]

_MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_PRIVATE = ("/root/", "/home/", "/etc/ssl/private/", "/etc/ssh/", "/run/", "/var/")
Transform = Callable[[bytes], bytes]


@dataclass(frozen=True)
class PlannedFile:
    """One path. ``source`` is copied, changed by ``transform`` if given; or ``data`` is written; or
    ``link`` is a symlink's target; else it is a directory."""

    target: str
    mode: int = 0o755
    source: Path | None = None
    data: bytes | None = None
    link: str = ""
    transform: Transform | None = None

    @property
    def is_directory(self) -> bool:
        return self.source is None and self.data is None and not self.link


class BasePlan:
    """Collects files; programs bring their libraries and interpreters.

    ``prefix`` is where the Python lives on the machine, ``new_prefix`` where it goes: files from below the
    first may be taken even from a home directory.
    """

    def __init__(self, prefix: Path, new_prefix: str) -> None:
        self.prefix = prefix
        self.new_prefix = new_prefix
        self.files: dict[str, PlannedFile] = {}
        self._finder = LibraryFinder()
        self._closed: set[Path] = set()
        own = read_elf(Path("/proc/self/exe").resolve())
        if own is None:
            raise Unavailable("the base image can be made on 64-bit little-endian Linux only")
        libc = self._finder.require("libc.so.6", own, "Python")
        self.library_directory = _merged(str(libc.resolve().parent))
        """Where the loader looks without a cache; libraries from unusual places go there."""

    def directory(self, target: str, mode: int = 0o755) -> None:
        self._add(PlannedFile(target, mode))

    def text(self, target: str, text: str, mode: int = 0o644) -> None:
        self._add(PlannedFile(target, mode, data=text.encode()))

    def data(self, target: str, data: bytes, mode: int = 0o644) -> None:
        self._add(PlannedFile(target, mode, data=data))

    def link(self, target: str, to: str) -> None:
        self._add(PlannedFile(target, 0o777, link=to))

    def copy(self, source: Path, target: str | None = None, transform: Transform | None = None) -> None:
        """A plain file, by default under its own (merged) path. What is private is left out."""
        real = source.resolve()
        if self._private(real):
            return
        mode = stat.S_IMODE(real.stat().st_mode) & 0o7755 | 0o444
        self._add(PlannedFile(target or _merged(str(real)), mode, source=real, transform=transform))

    def program(
        self, name: str, directories: tuple[str, ...] = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
    ) -> bool:
        """A program of the machine by name, what its symlinks lead to, and all it needs; False without it."""
        for directory in directories:
            path = Path(directory, name)
            if path.exists():
                return self._program(path)
        return False

    def _program(self, path: Path) -> bool:
        real = path.resolve()
        if self._private(real) or not real.is_file():
            return False
        interpreter = _script_interpreter(real)
        if interpreter is not None and not self._has_program(interpreter):
            return False
        target = _merged(str(real))
        self.copy(real, target)
        named = _merged(str(path))
        if named != target:
            self.link(named, os.path.relpath(target, os.path.dirname(named)))  # noqa: PTH120
        self.libraries_of(real)
        return True

    def _has_program(self, interpreter: str) -> bool:
        return _merged(interpreter) in self.files

    def libraries_of(self, path: Path, extra: tuple[str, ...] = ()) -> None:
        """The libraries (and the loader) that an ELF file needs, and theirs. Raises Unavailable."""
        todo = [path]
        while todo:
            current = todo.pop()
            real = current.resolve()
            if real in self._closed:
                continue
            self._closed.add(real)
            elf = read_elf(real)
            if elf is None:
                continue
            if elf.interpreter:
                todo.append(self.library(Path(elf.interpreter)))
            for name in elf.needed:
                found = self._finder.require(name, elf, real.name, extra)
                todo.append(self.library(found))

    def library(self, path: Path) -> Path:
        """A shared library under its name and its real name, where the loader finds both."""
        real = path.resolve()
        inside = self._inside(real)
        if inside is not None:
            target = inside
        else:
            target = _merged(str(real))
            if not target.startswith(("/usr/lib", "/lib")):
                target = f"{self.library_directory}/{real.name}"
            self.copy(real, target)
        directory = os.path.dirname(_merged(str(path)))  # noqa: PTH120
        if inside is not None or not directory.startswith("/usr/lib"):
            directory = self.library_directory
        for name in {path.name, real.name}:
            wanted = f"{directory}/{name}"
            if wanted != target and wanted not in self.files:
                self.link(wanted, os.path.relpath(target, directory))
        return real

    def optional_library(self, name: str) -> None:
        """For what programs open by name at run time."""
        for directory in (self.library_directory, self.library_directory.removeprefix("/usr")):
            path = Path(directory, name)
            if path.exists():
                self.libraries_of(self.library(path))
                return

    def _inside(self, real: Path) -> str | None:
        """The new path of a file of the Python's own prefix, when that is moved."""
        if str(self.prefix) != self.new_prefix and real.is_relative_to(self.prefix):
            return f"{self.new_prefix}/{real.relative_to(self.prefix)}"
        return None

    def _private(self, real: Path) -> bool:
        if real.is_relative_to(self.prefix) and str(self.prefix) != "/usr":
            return real.suffix == ".key"
        return str(real).startswith(_PRIVATE) or real.suffix == ".key"

    def _add(self, item: PlannedFile) -> None:
        self.files[item.target] = item

    def sorted(self) -> list[PlannedFile]:
        """Every path, parents first, with the directories that nobody named."""
        complete = dict(self.files)
        for target in self.files:
            parent = os.path.dirname(target)  # noqa: PTH120
            while parent not in ("/", ""):
                complete.setdefault(parent, PlannedFile(parent))
                parent = os.path.dirname(parent)  # noqa: PTH120
        return [complete[target] for target in sorted(complete)]


def _merged(path: str) -> str:
    """The path under a merged /usr: /bin/sh is /usr/bin/sh."""
    first = path.lstrip("/").partition("/")[0]
    return f"/usr{path}" if first in _MERGED and path.count("/") > 1 else path


def _script_interpreter(path: Path) -> str | None:
    """The absolute path after ``#!``, None for what is no script."""
    with path.open("rb") as file:
        line = file.readline(256)
    if not line.startswith(b"#!"):
        return None
    words = line[2:].split()
    return os.fsdecode(words[0]) if words else None
