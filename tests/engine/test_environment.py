"""Variables that are taken away, a relative working directory, and the events that docker has beside."""

from __future__ import annotations

import io
import time

import pytest

from runtime.engine import Engine
from runtime.errors import CommandNotRunnable
from runtime.images.create import create_image
from runtime.model.container import ContainerConfig
from runtime.model.image import ImageConfig
from tests.engine.test_network_verbs import inside

pytestmark = pytest.mark.engine


def test_a_variable_without_a_value_is_taken_away(engine: Engine, busybox: str) -> None:
    layers = list(engine.images.get(busybox).layers)
    create_image(
        engine.context,
        config=ImageConfig(env=("PATH=/bin", "X=image", "Y=image")),
        layers=layers,
        refs=["withenv:latest"],
    )
    config = ContainerConfig(
        image="withenv", cmd=("sleep", "1000"), env=("X", "Z=1", "NEVER"), init=True, network_mode="none"
    )
    engine.containers.run(config, name="web")
    seen = set(inside(engine, "web", "env").split())
    assert {"Y=image", "Z=1"} <= seen and not any(item.startswith(("X", "NEVER")) for item in seen)
    session = engine.containers.exec("web", ["env"], env=["Y", "Z=2"])
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    assert "Z=2" in text.decode().split() and "Y=" not in text.decode()
    with pytest.raises(CommandNotRunnable, match="absolute path") as caught:
        engine.containers.exec("web", ["pwd"], working_dir="rel")
    assert caught.value.exit_code == 126


def test_save_and_resize_are_told(engine: Engine, busybox: str) -> None:
    told = engine.events.last_seq()
    engine.images.save([busybox], io.BytesIO())
    config = ContainerConfig(
        image=busybox, cmd=("sleep", "1000"), tty=True, open_stdin=True, init=True, network_mode="none"
    )
    engine.containers.run(config, name="web")
    session = engine.containers.attach("web")
    session.resize(31, 99)
    while not (found := [e for e in engine.events.since(told) if e.action == "resize"]):
        time.sleep(0.01)
    assert (found[0].attributes["height"], found[0].attributes["width"]) == ("31", "99")
    saved = [e.attributes["name"] for e in engine.events.since(told) if e.action == "save"]
    assert saved == ["busybox:latest"]
