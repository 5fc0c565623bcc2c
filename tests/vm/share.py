"""A pytest plugin for one of several machines that share the tests: TUIDOCK_VM_SHARE is "2/3" for the second
of three. Whole files, so that what a module's tests have in common is made once; the largest first, each to
the machine that has the fewest tests."""

from __future__ import annotations

import os
from collections import Counter

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    number, _, machines = os.environ.get("TUIDOCK_VM_SHARE", "1/1").partition("/")
    loads = [0] * int(machines)
    owner: dict[str, int] = {}
    for file, tests in sorted(Counter(str(item.path) for item in items).items(), key=lambda each: -each[1]):
        owner[file] = loads.index(min(loads))
        loads[owner[file]] += tests
    left_out = [item for item in items if owner[str(item.path)] != int(number) - 1]
    items[:] = [item for item in items if owner[str(item.path)] == int(number) - 1]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
