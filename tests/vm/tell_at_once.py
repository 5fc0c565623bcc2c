"""A pytest plugin that prints a failure when it happens: an emulated run takes long, and may never end."""

from __future__ import annotations

import sys

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The longest part of the report, between lines that can be searched for."""
    if report.failed:
        sys.stdout.write(f"\nvm: FAILED {report.nodeid} ({report.when})\n{report.longreprtext}\n")
        sys.stdout.flush()
