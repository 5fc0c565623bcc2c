"""kill -9 at any moment: the next ordinary command tells the truth and nothing is left over or lost.

``TUIDOCK_CRASH_ROUNDS`` sets how many rounds are played (20), ``TUIDOCK_CRASH_SEED`` which ones.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.engine.commands import Commands
from tests.engine.crash_lab import Lab, settled
from tests.interop.registry_lab import registry

pytestmark = [pytest.mark.engine, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("TUIDOCK_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("TUIDOCK_CRASH_SEED", "1"))
CONTINUE = os.environ.get("TUIDOCK_CRASH_CONTINUE", "") == "1"
"""Report every bad round instead of ending with the first."""


def test_killed_at_random_moments(fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with Commands() as commands, registry(tmp_path / "registry") as far:
        play(Lab(fresh_engine, commands, far.host, tmp_path, busybox_tar, random.Random(SEED)))


def play(lab: Lab) -> None:
    bad: list[str] = []
    for number in range(ROUNDS):
        wrong = lab.round(number)
        print(f"{lab.history[-1]}: {'bad' if wrong else 'good'}", flush=True)
        if wrong and CONTINUE:
            bad.append(f"{lab.history[-3:]}: {wrong}")
            print(bad[-1], flush=True)
            lab.finish("system", "check", "--repair")
            wrong = []
        assert not wrong, (wrong, lab.history[-8:])
        if lab.rng.random() < 0.1:
            lab.clear()
    lab.clear()
    wrong = settled(lab.untrue)
    assert not wrong, wrong
    assert lab.names() == ["keeper"]
    assert not bad, f"{len(bad)} bad rounds of {ROUNDS}"
