"""Containers of a user network find each other by name."""

from __future__ import annotations

import pytest

from runtime.engine import Engine
from runtime.model.container import ContainerConfig, NetworkAttachment

pytestmark = pytest.mark.engine


def test_names(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue")
    made = [
        engine.containers.run(
            ContainerConfig(
                image=busybox,
                cmd=("sleep", "60"),
                network_mode="blue",
                networks=(NetworkAttachment("blue", aliases=("web",)),),
            ),
            name=f"web-{number}",
        )
        for number in range(2)
    ]
    addresses = sorted(engine.containers.get(one.id).endpoints[0].ipv4_address for one in made)

    def ask(name: str) -> str:
        session = engine.containers.exec(made[0].id, ["nslookup", name])
        assert session is not None
        text = b""
        while (chunk := session.read()) is not None:
            text += chunk[1]
        session.wait()
        return text.decode()

    told = ask("web")
    assert all(address in told for address in addresses), told
    assert addresses[0] in ask("web-0") or addresses[1] in ask("web-0")
    assert "NXDOMAIN" in ask("nobody.invalid") or "can't" in ask("nobody.invalid")
