"""What the monitor loads of the network room stays small, and what the hot path loads has no library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def loaded(module: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["runtime.network.ports", "runtime.network.stub"])
def test_for_the_monitor(module: str) -> None:
    heavy = {"typing", "dataclasses", "enum", "re", "json", "pathlib", "socket", "sqlite3", "collections"}
    assert not heavy & loaded(module)


@pytest.mark.parametrize("module", ["runtime.network.endpoints", "runtime.network.settle"])
def test_for_a_start(module: str) -> None:
    heavy = {"pyroute2", "dnslib", "asyncio", "ssl", "logging", "concurrent"}
    ours = loaded(module)
    assert not heavy & ours
    assert "runtime.network.resolver" not in ours
