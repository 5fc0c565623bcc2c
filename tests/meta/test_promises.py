"""The fixtures keep their promises: a skip fails in CI, and what a test leaves behind fails it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent

SKIPS = """
import pytest

@pytest.mark.engine
def test_skips():
    pytest.skip("no such kernel")
"""

LEAVES = """
import subprocess
import pytest

@pytest.mark.engine
def test_leaves_a_link(shared_engine):
    name = f"td{shared_engine.context.root_id}-9"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)

@pytest.mark.engine
def test_leaves_nothing(engine):
    assert engine.containers.list(all=True) == []
"""


def run(source: str, directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own on one file, with our fixtures."""
    path = directory / "test_inner.py"
    path.write_text(source)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "tests.conftest",
            "-c",
            REPOSITORY / "pyproject.toml",
            path,
        ],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **env},
        check=False,
    )


def test_a_skipped_engine_test_fails_in_ci(tmp_path: Path) -> None:
    done = run(SKIPS, tmp_path, CI="true")
    assert done.returncode == 1, done.stdout
    assert "in CI an engine test must run" in done.stdout


def test_a_skipped_engine_test_is_skipped_elsewhere(tmp_path: Path) -> None:
    done = run(SKIPS, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout


@pytest.mark.engine
def test_what_is_left_behind_fails_the_test_that_left_it(tmp_path: Path) -> None:
    """And purging the root takes it away in the end: the link has the root's name."""
    before = set(os.listdir("/sys/class/net"))
    done = run(LEAVES, tmp_path)
    assert done.returncode == 1, done.stdout
    assert "1 error" in done.stdout
    assert "left behind: link td" in done.stdout
    assert "2 passed" in done.stdout
    left = {name for name in set(os.listdir("/sys/class/net")) - before if name.endswith("-9")}
    assert not left
