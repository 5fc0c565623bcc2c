"""update on the real kernel: limits of running and stopped containers, restart policies, what is refused."""

from __future__ import annotations

import time

import pytest

from runtime import cgroups
from runtime.engine import Engine
from runtime.errors import Conflict, Failed, InvalidInput, NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerStatus,
    Resources,
    RestartPolicy,
    RestartPolicyName,
)

pytestmark = pytest.mark.engine

MB = 1 << 20


@pytest.fixture
def running(engine: Engine, busybox: str) -> Container:
    config = ContainerConfig(
        image=busybox,
        cmd=("sleep", "1000"),
        network_mode="none",
        resources=Resources(memory=64 * MB, pids_limit=40),
    )
    return engine.containers.run(config)


def limits(engine: Engine, container: Container) -> tuple[int, int]:
    figures = cgroups.detect().stats(f"{engine.context.cgroup_parent}/{container.id}")
    return figures["memory_limit"], figures["pids_limit"]


def test_limits_of_a_running_container(engine: Engine, running: Container) -> None:
    assert limits(engine, running) == (64 * MB, 40)
    warnings = engine.containers.update(running.id, resources=Resources(memory=128 * MB, pids_limit=80))
    assert [text for text in warnings if "swap" not in text] == []
    assert limits(engine, running) == (128 * MB, 80)
    engine.containers.update(running.id, resources=Resources(memory=32 * MB))
    assert limits(engine, running) == (32 * MB, 80)
    engine.containers.update(running.id, resources=Resources(pids_limit=-1))
    assert limits(engine, running) == (32 * MB, 0)
    document = engine.containers.inspect(running.id)["HostConfig"]
    assert (document["Memory"], document["PidsLimit"]) == (32 * MB, None)


def test_processor_time_is_limited_at_once(engine: Engine, busybox: str) -> None:
    script = "while true; do :; done"
    container = engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sh", "-c", script), network_mode="none")
    )
    engine.containers.update(container.id, resources=Resources(cpus=0.1))
    time.sleep(0.2)
    group = f"{engine.context.cgroup_parent}/{container.id}"
    before, began = cgroups.detect().stats(group)["cpu_usage"], time.monotonic_ns()
    time.sleep(1)
    used = cgroups.detect().stats(group)["cpu_usage"] - before
    assert used / (time.monotonic_ns() - began) < 0.25
    assert engine.containers.inspect(container.id)["HostConfig"]["NanoCpus"] == 100_000_000


def test_a_stopped_one_starts_with_the_new_limits(engine: Engine, running: Container) -> None:
    engine.containers.kill(running.id)
    assert engine.containers.update(running.id, resources=Resources(memory=48 * MB)) == []
    engine.containers.start(running.id)
    assert limits(engine, running) == (48 * MB, 40)


def test_the_restart_policy_of_a_running_one(engine: Engine, running: Container) -> None:
    engine.containers.update(running.id, restart=RestartPolicy(RestartPolicyName.ALWAYS))
    pid = engine.containers.get(running.id).state.pid
    # From inside nothing kills the first process, so it goes by its own argument: SIGKILL to it alone.
    from runtime.kernel import pidfd

    fd = pidfd.open_pidfd(pid)
    pidfd.send(fd, 9)
    deadline = time.monotonic() + 10
    while True:
        state = engine.containers.get(running.id).state
        if state.status is ContainerStatus.RUNNING and state.pid != pid:
            break
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
    assert state.restart_count == 1
    engine.containers.update(running.id, restart=RestartPolicy())
    pidfd.send(pidfd.open_pidfd(state.pid), 9)
    assert engine.containers.wait(running.id) == 137
    assert engine.containers.get(running.id).state.status is ContainerStatus.EXITED


def test_what_does_not_go_together_changes_nothing(engine: Engine, running: Container) -> None:
    engine.containers.update(running.id, resources=Resources(cpus=0.5))
    for wrong, words in (
        (Resources(cpu_quota=50_000), "CPU quota cannot be updated as --cpus has already been set"),
        (Resources(memory=32 * MB, memory_swap=16 * MB), "--memory-swap must not be smaller"),
        (Resources(memory=1 * MB), "minimum memory limit"),
        (Resources(memory_reservation=256 * MB), "--memory-reservation must not be larger"),
    ):
        with pytest.raises(InvalidInput, match=words):
            engine.containers.update(running.id, resources=wrong)
    assert engine.containers.get(running.id).config.resources == Resources(
        memory=64 * MB, pids_limit=40, cpus=0.5
    )
    assert limits(engine, running) == (64 * MB, 40)
    engine.containers.update(running.id, resources=Resources(cpus=0))
    engine.containers.update(running.id, resources=Resources(cpu_quota=50_000, cpu_period=100_000))
    with pytest.raises(InvalidInput, match="--cpus cannot be updated"):
        engine.containers.update(running.id, resources=Resources(cpus=1))


def test_a_limit_above_the_swap_limit_needs_both(engine: Engine, running: Container) -> None:
    engine.containers.update(running.id, resources=Resources(memory=64 * MB, memory_swap=64 * MB))
    with pytest.raises(InvalidInput, match="update the memoryswap at the same time"):
        engine.containers.update(running.id, resources=Resources(memory=128 * MB))
    engine.containers.update(running.id, resources=Resources(memory=128 * MB, memory_swap=-1))
    assert limits(engine, running)[0] == 128 * MB


def test_no_restart_policy_with_rm(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none", auto_remove=True)
    container = engine.containers.run(config)
    with pytest.raises(Conflict, match="because AutoRemove is enabled"):
        engine.containers.update(container.id, restart=RestartPolicy(RestartPolicyName.ALWAYS))
    with pytest.raises(NotFound, match="no such container: ghost"):
        engine.containers.update("ghost", resources=Resources(cpus=1))


def test_a_limit_that_the_kernel_refuses_leaves_the_others_as_they_were(
    engine: Engine, running: Container
) -> None:
    before = limits(engine, running)
    with pytest.raises(Failed, match="cannot update container"):
        engine.containers.update(running.id, resources=Resources(memory=96 * MB, cpuset_mems="77"))
    assert limits(engine, running) == before
    assert engine.containers.get(running.id).config.resources == running.config.resources
    with pytest.raises(Failed):
        engine.containers.update(running.id, resources=Resources(cpuset_cpus="0-4000", cpus=0.5))
    engine.containers.update(running.id, resources=Resources(cpu_quota=50_000))
