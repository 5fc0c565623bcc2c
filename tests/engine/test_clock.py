"""A wall clock that is set back or forward: intervals and timeouts do not notice, logs hide nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from runtime.engine import Engine
from runtime.model.container import Container, ContainerConfig, HealthCheck
from runtime.monitor.log import RECORD
from tests.engine.weakened.off import SwitchOff

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

HOUR = 3600


def eventually(engine: Engine, name: str, check: Callable[[Container], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check(engine.containers.get(name)):
        assert time.monotonic() < deadline, engine.containers.get(name).state
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_health_checks_and_stops_do_not_use_the_wall_clock(
    engine: Engine, busybox: str, switch_off: SwitchOff, seconds: int
) -> None:
    """The monitor's clock jumps by an hour at each look. Back: no timer would ever be due; forward: each."""
    switch_off(f"clock={seconds}")
    # Each check takes longer than a clock that runs ahead would allow it.
    check = HealthCheck(
        ("CMD-SHELL", "sleep 0.2; echo x >> /checks"),
        interval=100_000_000,
        timeout=60_000_000_000,
        start_period=60_000_000_000,
        start_interval=100_000_000,
        retries=1,
    )
    # It needs a moment to end, and would be killed at once by a clock that runs ahead.
    script = "trap 'sleep 0.5; exit 3' TERM; while :; do sleep 0.05; done"
    config = ContainerConfig(image=busybox, cmd=("sh", "-c", script), healthcheck=check, stop_timeout=60)
    engine.containers.run(config, name="box")
    eventually(engine, "box", lambda box: box.state.health is not None and box.state.health.log != ())
    health = engine.containers.get("box").state.health
    assert health is not None and health.status == "healthy"
    engine.containers.stop("box")
    assert engine.containers.get("box").state.exit_code == 3
    # One that does not want to end is killed all the same, although the clock goes back.
    stubborn = ContainerConfig(
        image=busybox, cmd=("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"), stop_timeout=1
    )
    engine.containers.run(stubborn, name="stubborn")
    engine.containers.stop("stubborn")
    assert engine.containers.get("stubborn").state.exit_code == 137


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        (None, None, range(60)),
        (1010, None, range(10, 60)),
        (500, None, range(60)),
        (1000, 1005, range(6)),
        (None, 1015, range(16)),
        (1015, 2000, range(15, 60)),
        (2000, None, ()),
    ],
)
def test_logs_of_a_container_whose_clock_was_set_back(
    engine: Engine, busybox: str, since: int | None, until: int | None, shown: Sequence[int]
) -> None:
    """From the first line of ``since`` or later to the first one after ``until``, as docker has it."""
    box = engine.containers.run(ContainerConfig(image=busybox, cmd=("true",)), name="box")
    engine.containers.wait("box")
    log = engine.context.paths.container(box.id) / "log"
    times = [*range(1000, 1020), *range(100, 140)]
    with log.open("wb") as file, log.with_name("log.idx").open("wb") as index:
        for number, moment in enumerate(times):
            line = b"%d\n" % number
            index.write(RECORD.pack(file.tell(), moment, len(line), 1))
            file.write(line)
    found = engine.containers.logs("box", since=since, until=until)
    assert [int(entry.line) for entry in found] == list(shown)
