"""A monitor's code, in one open file.

A monitor lives as long as its container, loads what an exec or the end needs only then, and may find the
engine upgraded or gone by that time. So it loads from the file that it was started from, which stays what it
was as long as it is open; finding a module costs one pread(2).

:mod:`runtime.containers.monitor_code` writes the file: this module as a .pyc file first, so that the
interpreter runs it as it is; behind it each module's marshalled code; the marshalled index; and where that is
(:data:`TRAILER`).
"""

from __future__ import annotations

import _frozen_importlib
import _struct
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import Loader
    from types import ModuleType
else:
    Loader = object

__all__ = ["DESCRIPTOR", "TRAILER", "Archive"]

DESCRIPTOR = 4
"""Of the file, in a monitor."""

TRAILER = _struct.Struct("<QQ")
"""The file's last bytes: the index's offset and length."""


class Archive(Loader):
    """Finder and loader (importlib.abc.MetaPathFinder, Loader) of the modules in the index: name to (offset,
    length, is a package)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        end = posix.fstat(fd).st_size - TRAILER.size
        offset, length = TRAILER.unpack(posix.pread(fd, TRAILER.size, end))
        self._index: dict[str, tuple[int, int, bool]] = marshal.loads(posix.pread(fd, length, offset))

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> _frozen_importlib.ModuleSpec | None:
        if name not in self._index:
            return None
        return _frozen_importlib.ModuleSpec(name, self, is_package=self._index[name][2])

    def create_module(self, spec: _frozen_importlib.ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        offset, length, _is_package = self._index[module.__name__]
        code = marshal.loads(posix.pread(self._fd, length, offset))
        exec(code, module.__dict__)  # noqa: S102 - our own code; this is what a loader does


def main() -> None:
    """``python -I -S .../monitor.cpython-311.*.code NAME|--starter STATE-DIR``, the same file open as 4."""
    posix.set_inheritable(DESCRIPTOR, False)
    sys.meta_path.insert(0, Archive(DESCRIPTOR))
    sys.modules["runtime.monitor.archive"] = sys.modules["__main__"]
    # Of the standard library only extension modules are left to find, and theirs is the last directory: with
    # it first, the big one is not even listed.
    sys.path.reverse()
    from runtime.monitor import live

    live.begin(sys.argv[1])


if __name__ == "__main__":
    main()
