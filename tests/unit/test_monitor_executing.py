"""The order in which a monitor tells of an exec: that it runs (or why not), then that it has ended."""

from __future__ import annotations

import marshal
import os
import socket

import pytest

from runtime.monitor import executing
from runtime.monitor.executing import Execution
from runtime.monitor.loop import Loop


@pytest.fixture
def told() -> list[object]:
    return []


def execution(told: list[object]) -> tuple[Execution, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    made = Execution(1, ours)
    made.on_started = lambda it: told.append(it.error or "runs")
    made.on_end = told.append
    return made, theirs


def test_an_end_that_is_noticed_first_is_told_last(told: list[object]) -> None:
    made, theirs = execution(told)
    theirs.close()
    executing.reaped(Loop(), made, 3)
    assert told == ["runs", 3]


def test_why_it_did_not_run_is_not_lost(told: list[object]) -> None:
    made, theirs = execution(told)
    theirs.send(b"F" + marshal.dumps((127, "no such program")))
    theirs.close()
    executing.reaped(Loop(), made, 127)
    assert told == [(127, "no such program"), 127]


def test_what_was_told_already_is_not_told_again(told: list[object]) -> None:
    made, theirs = execution(told)
    theirs.close()
    executing._hear(Loop(), made)
    executing.reaped(Loop(), made, 0)
    assert told == ["runs", 0]


def test_another_holder_of_its_end_does_not_hold_the_monitor(told: list[object]) -> None:
    """A container that may trace can take the descriptor of a process that enters (pidfd_getfd(2))."""
    made, theirs = execution(told)
    kept = os.dup(theirs.fileno())
    theirs.close()
    executing.reaped(Loop(), made, 0)
    os.close(kept)
    assert told == ["runs", 0]
