"""Texts as docker writes them."""

from __future__ import annotations

import pytest

from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    HealthState,
    PortBinding,
)
from tuidock.cli import output

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "Less than a second"),
        (SECOND - 1, "Less than a second"),
        (SECOND, "1 second"),
        (59 * SECOND, "59 seconds"),
        (60 * SECOND, "About a minute"),
        (119 * SECOND, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE, "59 minutes"),
        (60 * MINUTE, "About an hour"),
        (89 * MINUTE, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_duration(span: int, text: str) -> None:
    assert output.duration(span) == text


def test_a_time_that_is_not_known() -> None:
    assert output.ago(0, NOW) == "N/A"
    assert output.ago(NOW - 3 * MINUTE, NOW) == "3 minutes ago"


@pytest.mark.parametrize(
    ("size", "decimal", "binary"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1000B"),
        (1023, "1.02kB", "1023B"),
        (1024, "1.02kB", "1KiB"),
        (12_345_678, "12.3MB", "11.77MiB"),
        (999_999, "1MB", "976.6KiB"),
        (50 << 20, "52.4MB", "50MiB"),
        (123_456_789_012, "123GB", "115GiB"),
    ],
)
def test_sizes(size: int, decimal: str, binary: str) -> None:
    assert output.decimal_size(size) == decimal
    assert output.binary_size(size) == binary


def binding(host: int, container: int, address: str = "0.0.0.0", protocol: str = "tcp") -> PortBinding:
    return PortBinding(container, protocol, address, host)


@pytest.mark.parametrize(
    ("bindings", "exposed", "text"),
    [
        ([], [], ""),
        ([binding(4000, 80)], ["80/tcp"], "0.0.0.0:4000->80/tcp"),
        ([], ["80/tcp", "53/udp"], "53/udp, 80/tcp"),
        ([binding(4000, 80, "::1")], [], "[::1]:4000->80/tcp"),
        ([binding(8000 + n, 80 + n) for n in range(3)], [], "0.0.0.0:8000-8002->80-82/tcp"),
        ([binding(8000, 80), binding(9000, 81)], [], "0.0.0.0:8000->80/tcp, 0.0.0.0:9000->81/tcp"),
        ([binding(53, 53, "127.0.0.1", "udp")], ["80"], "127.0.0.1:53->53/udp, 80/tcp"),
    ],
)
def test_ports(bindings: list[PortBinding], exposed: list[str], text: str) -> None:
    assert output.ports_text(bindings, exposed) == text


def container(status: str, **state: object) -> Container:
    return Container(
        id="c" * 64,
        name="web",
        image_id="sha256:" + "a" * 64,
        created_at=NOW - DAY,
        config=ContainerConfig(image="base"),
        layers=(),
        state=ContainerState(status=ContainerStatus(status), **state),  # type: ignore[arg-type]  # a table
    )


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (container("running", started_at=NOW - 2 * MINUTE), "Up 2 minutes"),
        (
            container("running", started_at=NOW - 2 * MINUTE, health=HealthState("healthy")),
            "Up 2 minutes (healthy)",
        ),
        (
            container("running", started_at=NOW - SECOND, health=HealthState("starting")),
            "Up 1 second (health: starting)",
        ),
        (container("paused", started_at=NOW - HOUR), "Up About an hour (Paused)"),
        (container("exited", exit_code=137, finished_at=NOW - 3 * SECOND), "Exited (137) 3 seconds ago"),
        (container("restarting", exit_code=1, finished_at=NOW - 4 * SECOND), "Restarting (1) 4 seconds ago"),
        (container("created"), "Created"),
        (container("dead"), "Dead"),
    ],
)
def test_status(item: Container, text: str) -> None:
    assert output.status_text(item, NOW) == text


def test_a_table_aligns_as_dockers_tabwriter_does() -> None:
    text = output.table(
        ["NETWORK ID", "NAME", "DRIVER", "SCOPE"], [["0123456789ab", "bridge", "bridge", "local"]]
    )
    assert text == (
        "NETWORK ID     NAME      DRIVER    SCOPE\n"  # docker's own output
        "0123456789ab   bridge    bridge    local"
    )


def test_wide_characters_take_two_columns() -> None:
    lines = output.table(["A", "B"], [["日本語日本語", "x"], ["abc", "y"]]).split("\n")
    assert [output.display_width(line.rpartition(line[-1])[0]) for line in lines] == [15, 15, 15]


def test_the_command_column() -> None:
    assert output.command_text(["python3", "app.py"]) == '"python3 app.py"'
    assert output.command_text(["sh", "-c", "sleep 1000; true"]) == '"sh -c \'sleep 1000; …"'
    assert output.command_text(["echo", "a\nb\x1b[31m"], truncate=False) == '"echo a\\nb\\x1b[31m"'


def test_times() -> None:
    assert output.timestamp_rfc3339(1_717_156_800_123_456_789) == "2024-05-31T12:00:00.123456789Z"
