"""The fixture's type and its work: mechanisms off, in this process and in the monitors that it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.containers import launch, monitor_code
from tests.engine.weakened import mechanisms
from tests.engine.weakened.monitor import launcher

__all__ = ["SwitchOff", "switching_off"]

SwitchOff = Callable[..., None]
"""Called with names of :mod:`tests.engine.weakened.mechanisms`, once a test."""


def switching_off(monkeypatch: pytest.MonkeyPatch, directory: Path) -> SwitchOff:
    """Everything is on again when the test ends; what was started with it off must have ended too."""

    def switch_off(*names: str) -> None:
        if names:
            mechanisms.apply(names, monkeypatch.setattr)
            program = str(launcher(directory, names))
            monkeypatch.setattr(
                launch, "open_archive", lambda state: (monitor_code.open_archive(state)[0], program)
            )

    return switch_off
