"""docker's restart policy as a pure function of what happened."""

from __future__ import annotations

__all__ = ["FIRST_DELAY", "LONGEST_DELAY", "RESET_AFTER", "next_delay", "should_restart", "wanted_at_boot"]

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
RESET_AFTER = 10.0
"""Seconds; a run of this length counts as good and the delay starts anew."""


def should_restart(policy: str, max_retries: int, exit_code: int, count: int, manual_stop: bool) -> bool:
    """``count`` is how often it was restarted so far; on-failure with 0 retries is unlimited."""
    if manual_stop or policy in ("", "no"):
        return False
    if policy == "on-failure":
        return exit_code != 0 and (max_retries == 0 or count < max_retries)
    return True


def wanted_at_boot(policy: str, max_retries: int, exit_code: int, count: int, manual_stop: bool) -> bool:
    """Whether a container that has run before is started when the machine comes up: as above, but ``always``
    means it, also for one that was stopped by hand."""
    return policy == "always" or should_restart(policy, max_retries, exit_code, count, manual_stop)


def next_delay(previous: float, ran_for: float) -> float:
    """Seconds to wait: 100 ms, doubling to a minute, anew after a run of ten seconds or more."""
    if previous <= 0 or ran_for >= RESET_AFTER:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)
