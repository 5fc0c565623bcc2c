"""docker's restart policy: who is restarted, and after how long."""

from __future__ import annotations

import pytest

from runtime.monitor.restart import next_delay, should_restart


@pytest.mark.parametrize(
    ("policy", "most", "code", "count", "manual", "expected"),
    [
        ("no", 0, 1, 0, False, False),
        ("", 0, 1, 0, False, False),
        ("always", 0, 0, 0, False, True),
        ("always", 0, 1, 1000, False, True),
        ("always", 0, 0, 0, True, False),
        ("unless-stopped", 0, 0, 3, False, True),
        ("unless-stopped", 0, 137, 3, True, False),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 1, 1000, False, True),
        ("on-failure", 3, 1, 2, False, True),
        ("on-failure", 3, 1, 3, False, False),
        ("on-failure", 3, 137, 0, True, False),
    ],
)
def test_should_restart(policy: str, most: int, code: int, count: int, manual: bool, expected: bool) -> None:
    assert should_restart(policy, most, code, count, manual) is expected


def test_delay_doubles_to_a_minute_and_starts_anew_after_a_good_run() -> None:
    delays = []
    delay = 0.0
    for _ in range(12):
        delay = next_delay(delay, ran_for=0.5)
        delays.append(delay)
    assert delays[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == 60.0
    assert next_delay(60.0, ran_for=10.0) == 0.1
    assert next_delay(60.0, ran_for=9.9) == 60.0
