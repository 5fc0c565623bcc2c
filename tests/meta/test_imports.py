"""What a process must not load, proven in a subprocess: the command line's speed and the monitor's size."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SLOW = frozenset(
    {"textual", "rich", "asyncio", "pyroute2", "ssl", "yaml", "urllib3", "psutil", "zstandard", "isal"}
)
"""Each costs a command 10 ms or more; they are loaded by the verbs that need them."""
REPORT = """
import json, sys
try:
    from tuidock.__main__ import main
    sys.argv = ["tuidock", *json.loads(sys.argv[1])]
    main()
except SystemExit:
    pass
finally:
    sys.stdout.flush()
    sys.stderr.write("\\nloaded:" + json.dumps(sorted(sys.modules)))
"""


def loaded_by(arguments: list[str], root: Path) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, json.dumps(arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "TUIDOCK_ROOT": str(root), "XDG_CONFIG_HOME": str(root)},
        check=False,
    )
    _, found, modules = done.stderr.rpartition("\nloaded:")
    assert found, done.stderr
    return set(json.loads(modules))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["version"],
        ["ps"],
        ["ps", "-a"],
        ["run", "--help"],
        ["images"],
        ["container", "ls"],
        ["compose", "--help"],
    ],
    ids=" ".join,
)
def test_a_command_loads_only_what_it_uses(arguments: list[str], tmp_path: Path) -> None:
    assert {name.partition(".")[0] for name in loaded_by(arguments, tmp_path)} & SLOW == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("arguments", [["ps", "-q"], ["build", "-q", "-t", "a", "CONTEXT"]], ids=" ".join)
def test_the_program_leaves_what_it_does_not_use(arguments: list[str], tmp_path: Path) -> None:
    """Modules that click and the standard library would load at once (runtime.later); OpenSSL."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    command = [str(tmp_path) if word == "CONTEXT" else word for word in arguments]
    for _ in range(2):  # the second build is all cache
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "tuidock", *command],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "TUIDOCK_ROOT": str(tmp_path / "root")},
            check=True,
        )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click.core" in loaded
    assert loaded & {"ast", "dis", "platform", "ipaddress", "locale", "difflib", "_hashlib"} == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("arguments", [["exec", "nobody", "true"], ["logs", "nobody"], ["ps"]], ids=" ".join)
def test_what_looks_at_a_container_loads_nothing_that_makes_one(arguments: list[str], tmp_path: Path) -> None:
    makes = {
        "tuidock.cli.run",
        "runtime.containers.spec",
        "runtime.model.parse",
        "runtime.model.mounts",
        "ctypes",
    }
    assert loaded_by(arguments, tmp_path) & makes == set()


def test_the_model_compiles_no_code_of_its_own() -> None:
    names = [item.name for item in pkgutil.iter_modules([str(REPOSITORY / "runtime" / "model")])]
    modules = [importlib.import_module(f"runtime.model.{name}") for name in names]
    classes = {item for module in modules for item in vars(module).values() if isinstance(item, type)}
    records = {
        item for item in classes if is_dataclass(item) and item.__module__.startswith("runtime.model.")
    }
    assert len(records) > 20
    generated = {item.__name__ for item in records if item.__init__.__module__ != "runtime.model.record"}
    assert generated == set(), "runtime.model.record says what it costs"


def test_the_check_sees_what_is_loaded(tmp_path: Path) -> None:
    assert {"click", "tuidock", "runtime"} <= loaded_by(["ps"], tmp_path)


def test_the_interface_does_not_load_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, tuidock.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    assert not [name for name in done.stdout.split() if name.startswith("tuidock.cli")]
