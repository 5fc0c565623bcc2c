"""Writing the file that monitors load their code from (:mod:`runtime.monitor.archive`).

It is compiled code and lives where such does: beside the sources in ``__pycache__``, or in the state
directory where that cannot be written. Its name holds a hash over the interpreter's bytecode version and
every source's size and time, so that a changed source means another file; monitors that run keep theirs open.
"""

from __future__ import annotations

import _imp
import marshal
import os
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from contextlib import suppress
from pathlib import Path

from runtime.monitor.archive import TRAILER

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from types import CodeType

__all__ = ["open_archive"]

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
_BOOT = "runtime.monitor.archive"
_WHOLE = ("runtime/monitor", "runtime/kernel", "runtime/cgroups")
_SINGLE = (
    "runtime/__init__.py",
    "runtime/network/__init__.py",
    "runtime/network/ports.py",
    "runtime/network/stub.py",
)
_LEFT_OUT = frozenset({"bpf_program.py", "seccomp_compile.py"})
"""They compile profiles in the process that creates a container."""
_KEPT = 4
"""Versions that stay in a place: two installations may share a state directory."""


def _sources() -> list[str]:
    """Paths below the package's root."""
    found = [
        f"{directory}/{name}"
        for directory in _WHOLE
        for name in sorted(os.listdir(f"{_PACKAGE_ROOT}/{directory}"))  # noqa: PTH208 - a fifth of the time
        if name.endswith(".py") and name not in _LEFT_OUT
    ]
    return [*_SINGLE, *found]


def _module(source: str) -> tuple[str, bool]:
    """Its name; whether it is a package."""
    name = source.removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__"), name.endswith(".__init__")


def _name(sources: list[str]) -> str:
    facts = []
    for source in (*sources, "runtime/containers/monitor_code.py"):
        info = os.stat(f"{_PACKAGE_ROOT}/{source}")  # noqa: PTH116 - a fifth of the time
        facts.append((source, info.st_mtime_ns, info.st_size))
    magic = int.from_bytes(MAGIC_NUMBER, "little")
    digest = _imp.source_hash(magic, marshal.dumps((str(_PACKAGE_ROOT), facts)))
    return f"monitor.{sys.implementation.cache_tag}.{digest.hex()}.code"


def _compiled(source: bytes, path: str) -> CodeType:
    """Without what only people and checkers read: half of a monitor's own memory is code."""
    import ast

    class Smaller(ast.NodeTransformer):
        """No annotations, nothing under ``if TYPE_CHECKING``; ``optimize`` takes docstrings and asserts."""

        def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
            return None if node.module == "__future__" else node

        def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:
            self.generic_visit(node)
            checking = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return node.orelse if checking else node

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | ast.Pass:
            return ast.Assign([node.target], node.value) if node.value else ast.Pass()

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
            node.returns = None
            self.generic_visit(node)
            return node

        def visit_arg(self, node: ast.arg) -> ast.arg:
            node.annotation = None
            return node

    tree = Smaller().visit(ast.parse(source))
    _take_posix_for_os(tree)
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=2)


def _take_posix_for_os(tree: ast.Module) -> None:
    """``os`` is the C module ``posix`` and 130 kB of Python; where only the first is used, load only that."""
    import ast

    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "os"}
    if not all(hasattr(posix, name) for name in used):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            node.names = [ast.alias("posix", "os") if name.name == "os" else name for name in node.names]


def _content(sources: list[str]) -> bytes:
    """See :mod:`runtime.monitor.archive`."""
    out = bytearray(MAGIC_NUMBER)
    out += bytes(12)  # flags, time and size: nothing is compared (PEP 552)
    codes = {}
    for source in sources:
        path = _PACKAGE_ROOT / source
        codes[source] = marshal.dumps(_compiled(path.read_bytes(), str(path)))
    boot = f"{_BOOT.replace('.', '/')}.py"
    out += codes[boot]
    index = {}
    for source, code in codes.items():
        name, is_package = _module(source)
        index[name] = (len(out), len(code), is_package)
        out += code
    offset = len(out)
    out += marshal.dumps(index)
    return bytes(out) + TRAILER.pack(offset, len(out) - offset)


def open_archive(state: str) -> tuple[int, str]:
    """A descriptor of the current file (close-on-exec) and its path; it is written if it is missing. Raises
    OSError."""
    sources = _sources()
    name = _name(sources)
    places = (_PACKAGE_ROOT / "runtime" / "monitor" / "__pycache__", Path(state))
    for place in places:
        with suppress(OSError):
            return os.open(place / name, os.O_RDONLY | os.O_CLOEXEC), str(place / name)
    content = _content(sources)
    try:
        return _write(places[0], name, content)
    except OSError:  # installed for reading only
        return _write(places[1], name, content)


def _write(place: Path, name: str, content: bytes) -> tuple[int, str]:
    """Whole or not at all, whoever writes the same at this time; the place's oldest versions go."""
    place.mkdir(exist_ok=True)
    temporary = place / f".{name}.{os.getpid()}"
    try:
        temporary.write_bytes(content)
        fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        temporary.replace(place / name)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    versions = sorted(
        place.glob(f"monitor.{sys.implementation.cache_tag}.*.code"), key=lambda path: path.stat().st_mtime
    )
    for old in versions[:-_KEPT]:
        old.unlink(missing_ok=True)
    return fd, str(place / name)
