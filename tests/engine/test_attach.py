"""Attaching: streams, terminals, detaching, slow readers."""

from __future__ import annotations

import hashlib
import time

import pytest

from runtime.containers.session import Session
from runtime.engine import Engine
from runtime.errors import Conflict
from runtime.model.container import ContainerConfig, ContainerStatus

pytestmark = pytest.mark.engine


def start(engine: Engine, image: str, script: str, **options: object) -> Session:
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), network_mode="none", **options)  # type: ignore[arg-type]  # table of options
    engine.containers.create(config, name="it")
    session = engine.containers.start("it", attach=True, attach_stdin=True)
    assert session is not None
    return session


def read_until(session: Session, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        chunk = session.read()
        assert chunk is not None, seen
        seen += chunk[1]
    return seen


def test_standard_input_goes_through_and_ends(engine: Engine, busybox: str) -> None:
    session = start(engine, busybox, "md5sum", open_stdin=True, stdin_once=True)
    content = bytes(range(256)) * 40_000
    session.write(content)
    session.close_stdin()
    assert hashlib.md5(content).hexdigest().encode() in read_until(session, b"-")
    assert session.wait() == 0
    engine.containers.remove("it")


def test_every_byte_arrives_at_a_slow_reader(engine: Engine, busybox: str) -> None:
    session = start(engine, busybox, "yes abcdefg | head -c 8000000")
    time.sleep(0.5)
    size = 0
    while (chunk := session.read()) is not None:
        size += len(chunk[1])
    assert (size, session.wait()) == (8_000_000, 0)
    engine.containers.remove("it")


def test_a_terminal_has_a_size_and_survives_a_detach(engine: Engine, busybox: str) -> None:
    session = start(engine, busybox, "read x; stty size; tty; exec sleep 100", open_stdin=True, tty=True)
    session.resize(33, 111)
    session.write(b"\n")
    assert b"33 111" in read_until(session, b"/dev/")
    session.detach()
    assert engine.containers.get("it").state.status is ContainerStatus.RUNNING
    again = engine.containers.attach("it")
    again.write(
        b"\x03"
    )  # the terminal turns ctrl-c into SIGINT; a first process without a handler ignores it
    again.detach()
    engine.containers.remove("it", force=True)


def test_attach_sees_what_comes_and_the_exit_code(engine: Engine, busybox: str) -> None:
    engine.containers.run(
        ContainerConfig(
            image=busybox,
            cmd=("sh", "-c", "read x; echo got $x; exit 9"),
            network_mode="none",
            open_stdin=True,
        ),
        name="it",
    )
    first = engine.containers.attach("it", stdin=False)
    second = engine.containers.attach("it")
    first.write(b"not for the container\n")
    second.write(b"word\n")
    assert b"got word" in read_until(first, b"word")
    assert first.wait() == 9
    assert second.wait() == 9
    with pytest.raises(Conflict):
        engine.containers.attach("it")
    engine.containers.remove("it")


def test_signals_reach_an_attached_process(engine: Engine, busybox: str) -> None:
    session = start(
        engine, busybox, "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.05; done"
    )
    read_until(session, b"ready")
    session.signal(10)
    assert b"caught" in read_until(session, b"caught")
    assert session.wait() == 3
    engine.containers.remove("it")
