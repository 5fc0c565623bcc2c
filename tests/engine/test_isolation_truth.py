"""What a container is told apart from what it gets: warnings name every limit that is not in force."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from runtime import cgroups
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.kernel import capabilities
from runtime.model.container import ContainerConfig, Resources
from tests.engine.weakened.off import SwitchOff

pytestmark = pytest.mark.engine


def warned(engine: Engine, image: str, **options: object) -> tuple[str, list[str]]:
    """What the container says of itself, and what inspect says of it."""
    script = "ulimit -n; cat /proc/self/oom_score_adj; grep CapEff /proc/self/status"
    options.setdefault("network_mode", "none")
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), **options)  # type: ignore[arg-type]  # table of options
    container = engine.containers.run(config)
    engine.containers.wait(container.id)
    text = "\n".join(line.line.decode().strip() for line in engine.containers.logs(container.id))
    warnings: list[str] = engine.containers.inspect(container.id)["Warnings"]
    return text, warnings


def test_what_is_in_force_needs_no_warning(engine: Engine, busybox: str) -> None:
    limits = Resources(memory=64 << 20, memory_swap=-1, pids_limit=50, cpu_shares=512)
    text, warnings = warned(engine, busybox, ulimits=("nofile=100:200",), oom_score_adj=300, resources=limits)
    assert text.splitlines()[:2] == ["100", "300"]
    assert warnings == []


def test_a_limit_that_cannot_be_raised_is_named_with_what_is_kept(
    engine: Engine, busybox: str, switch_off: SwitchOff
) -> None:
    """Without CAP_SYS_RESOURCE, which a machine may withhold; the test takes it from the monitor."""
    switch_off("CAP_SYS_RESOURCE")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text, warnings = warned(engine, busybox, ulimits=(f"nofile={hard + 1}",), oom_score_adj=-500)
    assert text.splitlines()[:2] == [str(soft), Path("/proc/self/oom_score_adj").read_text().strip()]
    assert warnings == [
        f"ulimit nofile={hard + 1}:{hard + 1} could not be set (not permitted): it stays {soft}:{hard}",
        "oom_score_adj -500 could not be set (Permission denied)",
    ]


def test_capabilities_that_the_machine_withholds_are_named(
    engine: Engine, busybox: str, switch_off: SwitchOff
) -> None:
    switch_off("CAP_SYS_RESOURCE")
    text, warnings = warned(engine, busybox, cap_add=("SYS_RESOURCE", "SYS_TIME"))
    effective = int(text.split()[-1], 16)
    assert "CAP_SYS_TIME" in capabilities.names_of(effective)
    assert "CAP_SYS_RESOURCE" not in capabilities.names_of(effective)
    assert warnings == ["not given, because this machine withholds them: CAP_SYS_RESOURCE"]


@pytest.mark.parametrize(
    ("controller", "limits", "warning"),
    [
        ("memory", Resources(memory=64 << 20), "memory limit: no memory cgroup controller"),
        ("pids", Resources(pids_limit=10), "pids limit: no pids cgroup controller"),
        ("cpu", Resources(cpus=0.5), "cpu limit: no cpu cgroup controller"),
        ("cpuset", Resources(cpuset_cpus="0"), "cpuset: no cpuset cgroup controller"),
        ("blkio", Resources(blkio_weight=500), "block I/O limit: no blkio cgroup controller"),
    ],
)
def test_a_controller_that_is_missing_is_named(
    engine: Engine, busybox: str, switch_off: SwitchOff, controller: str, limits: Resources, warning: str
) -> None:
    switch_off(f"controller={controller}")
    expected = [warning]
    if cgroups.detect().version == 2:
        weight = warning.replace("block I/O limit", "block I/O weight")
        expected = [weight.replace("blkio", "io") + " here"]
        if controller == "memory":  # which docker's default limits too
            expected.append("swap limit: no memory cgroup controller here")
    assert warned(engine, busybox, resources=limits)[1] == expected


def test_without_a_device_controller_nothing_starts(
    engine: Engine, busybox: str, switch_off: SwitchOff
) -> None:
    """A container may make device nodes: what cannot be restricted must not run, unless all is allowed."""
    if cgroups.detect().version == 2:
        switch_off("bpf")
    else:
        switch_off("controller=devices")
    with pytest.raises(EngineError, match="restrict devices of"):
        warned(engine, busybox)
    warned(engine, busybox, privileged=True)


def test_inspect_shows_what_is_asked_and_the_document_what_is_done(engine: Engine, busybox: str) -> None:
    """HostConfig against the runtime-spec that the monitor carried out, for what section 3 turns on."""
    container = engine.containers.create(ContainerConfig(image=busybox, cmd=("true",), network_mode="none"))
    engine.containers.start(container.id)
    engine.containers.wait(container.id)
    document = json.loads((engine.context.paths.container(container.id) / "config.json").read_text())
    host = engine.containers.inspect(container.id)["HostConfig"]
    assert host["MaskedPaths"] == document["linux"]["maskedPaths"]
    assert host["ReadonlyPaths"] == document["linux"]["readonlyPaths"]
    assert (host["Privileged"], host["CapAdd"], host["CapDrop"], host["SecurityOpt"]) == (False, *[None] * 3)
    assert document["process"]["capabilities"]["inheritable"] == []
    assert os.path.isabs(document["linux"]["cgroupsPath"])
