"""Events of containers on the real kernel: which, in what order, and with whose labels."""

from __future__ import annotations

import pytest

from runtime.engine import Engine
from runtime.model.container import ContainerConfig

pytestmark = pytest.mark.engine


def test_a_life_is_told_with_the_containers_labels(engine: Engine, busybox: str) -> None:
    before = engine.events.last_seq()
    config = ContainerConfig(
        image=busybox, cmd=("sleep", "1000"), network_mode="none", labels={"tier": 'a "front"', "x.y": ""}
    )
    container = engine.containers.run(config, name="told")
    engine.containers.pause("told")
    engine.containers.unpause("told")
    engine.containers.kill("told")
    engine.containers.remove("told")
    events = [event for event in engine.events.since(before) if event.type == "container"]
    actions = [event.action for event in events]
    assert actions == ["create", "start", "pause", "unpause", "kill", "die", "destroy"]
    for event in events:
        assert event.actor == container.id
        assert event.attributes["tier"] == 'a "front"' and event.attributes["x.y"] == "", event
        assert (event.attributes["name"], event.attributes["image"]) == ("told", busybox)
