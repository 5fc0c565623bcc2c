"""Fixtures of the tests that try to get out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.weakened.off import SwitchOff, switching_off


@pytest.fixture
def switch_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SwitchOff:
    """Switches mechanisms of isolation off for the rest of the test."""
    return switching_off(monkeypatch, tmp_path)
