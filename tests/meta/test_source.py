"""The source keeps its own rules: contracts, docstrings, file sizes, names of commands in the documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("runtime", "tuidock", "themes", "bench")
MODULES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
LONGEST_FILE = 520
FACADE = "runtime/engine.py"
"""Long by its nature: one binding a verb, and no logic."""
PEERS = frozenset(["docker", "runc", "ip", "iptables", "nft", "mount", "umount", "tar", "nsenter", "unshare"])


def relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_import_contracts() -> None:
    """The rooms of the design, as contracts in pyproject.toml."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_say_why_they_exist() -> None:
    silent = []
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and not ast.get_docstring(tree):
            silent.append(relative(path))
    assert not silent, "without a docstring"


def test_a_file_holds_one_idea() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name: count for name, count in lines.items() if count > LONGEST_FILE and name != FACADE}
    assert not long, "look for the second idea in these"


def test_nothing_is_left_for_later() -> None:
    """A marker of unfinished work belongs into an issue; a name that says nothing hides two ideas."""
    marker = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
    marked = [relative(path) for path in MODULES if marker.search(path.read_text(encoding="utf-8"))]
    assert not marked
    vague = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
    assert not [relative(path) for path in MODULES if path.stem in vague]


def test_nothing_runs_the_peers_programs() -> None:
    """The engine isolates processes itself; only the benchmarks call docker and podman."""
    product = [path for path in MODULES if not path.is_relative_to(REPOSITORY / "bench")]
    assert not [relative(path) for path in product if programs_run_by(path) & PEERS]


def programs_run_by(path: Path) -> set[str]:
    """The literal first words of what a module runs through subprocess or os."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        if (
            called.startswith(("subprocess.", "os.exec", "os.posix_spawn", "os.spawn"))
            or called == "os.system"
        ):
            first = node.args[0]
            word = first.elts[0] if isinstance(first, ast.List) and first.elts else first
            if isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value.split():
                found.add(Path(word.value.split()[0]).name)
    return found


def test_two_themes_at_least() -> None:
    formats = {".yaml", ".yml", ".toml", ".json"}
    assert len([path for path in (REPOSITORY / "themes").iterdir() if path.suffix in formats]) >= 2
