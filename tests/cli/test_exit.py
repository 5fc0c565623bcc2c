"""How the program itself ends: its code, all of its output, and what it changed for the next one to see."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runtime.engine import Engine

PROGRAM = (sys.executable, "-m", "tuidock")


def run(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TUIDOCK_ROOT": str(root)}
    return subprocess.run([*PROGRAM, *arguments], env=environ, capture_output=True, text=True, check=False)


def test_output_arrives_whole_through_a_pipe(tmp_path: Path) -> None:
    done = run("run", "--help", root=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:") and done.stdout.rstrip().endswith("'print(1)'")


def test_a_wrong_option_ends_with_docker_s_code(tmp_path: Path) -> None:
    done = run("ps", "--nothing", root=tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("tuidock: unknown flag: --nothing\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_next_command_sees_what_was_changed(tmp_path: Path) -> None:
    assert run("volume", "create", "kept", root=tmp_path).returncode == 0
    assert run("volume", "ls", "-q", root=tmp_path).stdout == "kept\n"
    # A program that closes its connection (the library, the interface) puts it all into one file.
    with closing(Engine(tmp_path)) as engine:
        assert [volume.name for volume in engine.volumes.list()] == ["kept"]
    assert (tmp_path / "tuidock.db").exists()
    assert not list(tmp_path.glob("tuidock.db-*"))
