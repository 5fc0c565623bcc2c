"""Fixtures of the tests that try to get out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.engine.escape_lab import Lab
from tests.engine.weakened.off import SwitchOff, switching_off


@pytest.fixture
def switch_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SwitchOff:
    """Switches mechanisms of isolation off for the rest of the test."""
    return switching_off(monkeypatch, tmp_path)


@pytest.fixture
def lab(
    engine: Engine,
    busybox: str,
    base_image: str,
    busybox_tar: bytes,
    new_root: Callable[[], Path],
    tmp_path: Path,
) -> Lab:
    """Where escapes are tried. (Network tests have a lab of their own kind.)"""
    return Lab(engine, busybox_tar, (busybox, base_image), tmp_path, new_root)
