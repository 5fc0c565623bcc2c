"""The hosts file of a container that joins and leaves networks: its own lines follow, all others stay."""

from __future__ import annotations

import pytest

from runtime.model.container import ContainerConfig, Endpoint
from runtime.network.plug import hosts_now

OTHERS = "127.0.0.1\tlocalhost\n"


@pytest.mark.parametrize(
    ("text", "present", "expected"),
    [
        ("", ("10.0.0.2",), "10.0.0.2\tweb\n"),
        ("10.0.0.2\tweb\n", ("10.0.0.2",), "10.0.0.2\tweb\n"),
        ("10.0.0.2\tweb\n", (), ""),
        ("10.0.0.2\tweb\n", ("10.0.0.3",), "10.0.0.3\tweb\n"),
        ("10.0.0.2\tweb\n10.9.9.9 web\n", ("10.0.0.2", "10.1.0.2"),
         "10.0.0.2\tweb\n10.9.9.9 web\n10.1.0.2\tweb\n"),
        ("10.7.7.7\tweb\n10.0.0.2\tweb\n", (), "10.7.7.7\tweb\n"),
        ("10.0.0.2\tother\n# a comment", (), "10.0.0.2\tother\n# a comment\n"),
    ],
)  # fmt: skip
def test_lines(text: str, present: tuple[str, ...], expected: str) -> None:
    config = ContainerConfig(image="a", hostname="web", extra_hosts=("web:10.7.7.7",))
    endpoints = [Endpoint("n", "blue", address, 24, "", "") for address in present]
    assert hosts_now(OTHERS + text, config, endpoints) == OTHERS + expected
    assert hosts_now(OTHERS + expected, config, endpoints) == OTHERS + expected, "again changes nothing"
