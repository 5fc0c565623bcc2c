"""container prune on the real kernel: what goes, what stays, what is freed."""

from __future__ import annotations

import time

import pytest

from runtime.engine import Engine
from runtime.model.container import ContainerConfig

pytestmark = pytest.mark.engine


def ended(engine: Engine, image: str, **labels: str) -> str:
    script = "dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null"
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), network_mode="none", labels=labels)
    container = engine.containers.run(config)
    engine.containers.wait(container.id)
    return container.id


def test_only_what_does_not_run(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none")
    running, paused = engine.containers.run(config).id, engine.containers.run(config).id
    engine.containers.pause(paused)
    created = engine.containers.create(config).id
    before = engine.events.last_seq()
    assert engine.containers.prune()[0] == [created]
    assert {item.id for item in engine.containers.list(all=True)} == {running, paused}
    assert [e.action for e in engine.events.since(before) if e.type == "container"] == ["destroy", "prune"]
    assert engine.containers.prune() == ([], 0)
    assert [e.action for e in engine.events.since(before) if e.action == "prune"] == ["prune"]


def test_filters(engine: Engine, busybox: str) -> None:
    one, two = ended(engine, busybox, tier="front"), ended(engine, busybox, tier="back", keep="")
    assert engine.containers.prune(labels=["tier=none"]) == ([], 0)
    assert engine.containers.prune(until=time.time_ns() - 3_600_000_000_000) == ([], 0)
    assert engine.containers.prune(without=["tier"]) == ([], 0)
    removed, freed = engine.containers.prune(labels=["tier"], without=["keep"])
    assert removed == [one] and 3 << 20 <= freed < 4 << 20
    assert engine.containers.prune(labels=["tier=back", "keep"])[0] == [two]
