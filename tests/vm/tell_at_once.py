"""A pytest plugin that prints a failure when it happens, and how far the tests are instead of dots: an
emulated run takes long, may never end, and shares its output with others."""

from __future__ import annotations

import sys
import time

import pytest

_EVERY = 60.0
"""Seconds between two lines about how far it is."""


class _Progress:
    def __init__(self) -> None:
        self.total = self.done = self.failed = 0
        self.told = time.monotonic()


_progress = _Progress()


def pytest_collection_finish(session: pytest.Session) -> None:
    _progress.total = len(session.items)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """No dots."""
    if report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
        return "passed", "", ""
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The longest part of the report, between lines that can be searched for."""
    _progress.failed += report.failed
    if report.failed:
        _say(f"\nvm: FAILED {report.nodeid} ({report.when})\n{report.longreprtext}")
    if report.when != "teardown":
        return
    _progress.done += 1
    if time.monotonic() - _progress.told >= _EVERY:
        _progress.told = time.monotonic()
        _say(f"vm: {_progress.done} of {_progress.total} tests, {_progress.failed} failed; {report.nodeid}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
