"""What a caller is told whose monitor goes away while they talk."""

from __future__ import annotations

import socket

import pytest

from runtime.containers.control import read_reply, send
from runtime.errors import Failed
from runtime.monitor import wire


def test_a_monitor_that_is_gone_is_told_and_is_no_broken_pipe() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        send(ours, {"op": "exec"})
        with pytest.raises(Failed, match="monitor went away"):
            read_reply(ours, wire.FrameBuffer())


def test_the_reply_that_a_monitor_left_behind_is_read() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(wire.request({"op": "failed", "message": "no"}, wire.REPLY))
    theirs.close()
    with ours:
        send(ours, {"op": "go"})
        assert read_reply(ours, wire.FrameBuffer())["message"] == "no"
