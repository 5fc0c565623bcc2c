"""The model as JSON and back: what a row of the database holds."""

from __future__ import annotations

import json

import pytest

from runtime.model import codec
from runtime.model.container import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    HealthCheck,
    HealthState,
    Mount,
    MountType,
    NetworkAttachment,
    Resources,
)
from runtime.model.ids import IdMap

CONFIG = ContainerConfig(
    image="base",
    cmd=("sh", "-c", "true"),
    labels={"a": "b"},
    networks=(NetworkAttachment("net", aliases=("web",)),),
    mounts=(Mount(MountType.TMPFS, "", "/tmp", tmpfs_size=1),),
    resources=Resources(cpus=0.5, device_read_bps=("/dev/sda:1mb",)),
    healthcheck=HealthCheck(("CMD", "true")),
    id_map=IdMap.of(100000, 65536),
)
STATE = ContainerState(
    status=ContainerStatus.EXITED, exit_code=3, health=HealthState("starting", log=({"Output": "x"},))
)


@pytest.mark.parametrize("value", [CONFIG, STATE, ContainerConfig(image="base")])
def test_what_is_written_is_read_again(value: ContainerConfig | ContainerState) -> None:
    assert codec.loads(type(value), codec.dumps(value)) == value


def test_defaults_are_left_out() -> None:
    assert json.loads(codec.dumps(ContainerConfig(image="base", tty=True))) == {
        "image": "base", "labels": {}, "tty": True, "sysctls": {}, "log_options": {}, "annotations": {}
    }  # fmt: skip


def test_keys_of_a_newer_program_are_ignored() -> None:
    assert codec.loads(ContainerState, '{"pid": 7, "new": {"a": [1]}}') == ContainerState(pid=7)
