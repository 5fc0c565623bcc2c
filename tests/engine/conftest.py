"""Fixtures of the tests that try to get out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.kernel import apparmor
from tests.engine.escape_lab import Lab
from tests.engine.weakened.off import SwitchOff, switching_off


@pytest.fixture
def _one_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AppArmor, which denies much of it once more: each mechanism is to hold by itself."""
    monkeypatch.setattr(apparmor, "in_kernel", lambda: False)


@pytest.fixture
def switch_off(_one_fence: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SwitchOff:
    """Switches mechanisms of isolation off for the rest of the test."""
    return switching_off(monkeypatch, tmp_path)


@pytest.fixture
def lab(
    engine: Engine,
    busybox: str,
    busybox_tar: bytes,
    new_root: Callable[[], Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    _one_fence: None,
) -> Lab:
    """Where escapes are tried. (Network tests have a lab of their own kind.)"""

    def base() -> str:
        made: str = request.getfixturevalue("base_image")
        return made

    return Lab(engine, busybox_tar, busybox, base, tmp_path, new_root)
