"""The command line over the real engine and a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from runtime.engine import Engine
from runtime.model.container import ContainerStatus

pytestmark = pytest.mark.engine


def command(engine: Engine, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tuidock", "--root", str(engine.context.paths.state), *arguments]


def tuidock(engine: Engine, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(engine, *arguments), input=stdin, capture_output=True, timeout=60)


class Terminal:
    """A tuidock command whose standard streams are a pseudo-terminal of 30 rows and 100 columns."""

    def __init__(self, engine: Engine, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            command(engine, *arguments), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def expect(self, wanted: bytes, seconds: float = 20) -> bytes:
        """Everything up to ``wanted``, which is taken away."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {wanted!r} in {self.seen!r}"
            self.seen += os.read(self.master, 65536)
        before, _, self.seen = self.seen.partition(wanted)
        return before

    def settings(self) -> list[object]:
        return list(termios.tcgetattr(self._slave))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self._slave):
            with suppress(OSError):
                os.close(fd)


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def terminal(engine: Engine) -> Iterator[OpenTerminal]:
    """Opens terminals; they are closed afterwards."""
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(engine, *arguments))
        return opened[-1]

    yield open_terminal
    for item in opened:
        item.close()


def test_run_prints_both_streams_and_exits_with_the_containers_code(engine: Engine, busybox: str) -> None:
    done = tuidock(
        engine, "run", "--rm", "--network", "none", busybox, "sh", "-c", "echo out; echo err >&2; exit 7"
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)
    assert engine.containers.list(all=True) == []


def test_run_passes_standard_input_on_and_closes_it(engine: Engine, busybox: str) -> None:
    content = os.urandom(3_000_000)
    done = tuidock(engine, "run", "--rm", "-i", "--network", "none", busybox, "cat", stdin=content)
    assert done.stdout == content
    assert done.returncode == 0


def test_run_without_i_has_no_standard_input(engine: Engine, busybox: str) -> None:
    done = tuidock(engine, "run", "--rm", "--network", "none", busybox, "cat", stdin=b"secret")
    assert (done.stdout, done.returncode) == (b"", 0)


@pytest.mark.parametrize(("argv", "code"), [(("nosuch",), 127), (("/etc",), 126)])
def test_a_command_that_cannot_run(engine: Engine, busybox: str, argv: tuple[str, ...], code: int) -> None:
    done = tuidock(engine, "run", "--rm", "--network", "none", busybox, *argv)
    assert done.returncode == code
    assert done.stderr.startswith(b"tuidock: ") and argv[0].encode() in done.stderr
    assert engine.containers.list(all=True) == []


def test_a_signal_to_run_reaches_the_container(engine: Engine, busybox: str) -> None:
    script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        command(engine, "run", "--rm", "--network", "none", busybox, "sh", "-c", script),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == b"got it\n"
    assert process.returncode == 5


def test_three_interrupts_leave_a_container_that_ignores_them(engine: Engine, busybox: str) -> None:
    process = subprocess.Popen(
        command(
            engine, "run", "--name", "deaf", "--network", "none", busybox, "sh", "-c", "echo ready; sleep 100"
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.wait(20) == 130
    assert engine.containers.get("deaf").state.status is ContainerStatus.RUNNING


def test_a_shell_has_job_control_and_the_right_size(
    engine: Engine, base_image: str, terminal: OpenTerminal
) -> None:
    shell = terminal("run", "--rm", "-it", "--network", "none", base_image, "bash", "--norc")
    shell.expect(b"# ")
    shell.type(b"stty size; tty\r")
    assert b"30 100" in shell.expect(b"/dev/pts/0")
    shell.resize(44, 132)
    shell.process.send_signal(signal.SIGWINCH)
    time.sleep(0.3)
    shell.type(b"stty size\r")
    shell.expect(b"44 132")
    shell.expect(b"# ")
    shell.type(b"sleep 100\r")
    time.sleep(0.3)
    shell.type(b"\x1a")
    shell.expect(b"Stopped")
    shell.expect(b"# ")
    shell.type(b"fg\r")
    shell.expect(b"sleep 100")
    time.sleep(0.3)
    shell.type(b"\x03")
    shell.expect(b"# ")
    shell.type(b"exit 9\r")
    shell.expect(b"exit\r")
    assert shell.process.wait(20) == 9
    assert shell.settings() == shell.before


def test_detaching_leaves_the_container_and_attach_comes_back(
    engine: Engine, base_image: str, terminal: OpenTerminal
) -> None:
    first = terminal("run", "--name", "shell", "-it", "--network", "none", base_image, "bash", "--norc")
    first.expect(b"# ")
    first.type(b"X=kept\r")
    first.expect(b"# ")
    first.type(b"\x10\x11")
    assert first.process.wait(20) == 0
    assert first.settings() == first.before
    assert engine.containers.get("shell").state.status is ContainerStatus.RUNNING
    second = terminal("attach", "shell")
    time.sleep(0.3)
    second.type(b"echo $X\r")
    second.expect(b"kept\r")
    second.type(b"exit 4\r")
    assert second.process.wait(20) == 4
    assert engine.containers.get("shell").state.exit_code == 4


def test_a_killed_command_restores_the_terminal(
    engine: Engine, base_image: str, terminal: OpenTerminal
) -> None:
    shell = terminal("run", "--name", "left", "-it", "--network", "none", base_image, "bash", "--norc")
    shell.expect(b"# ")
    shell.process.send_signal(signal.SIGTERM)
    assert shell.process.wait(20) == 128 + signal.SIGTERM
    assert shell.settings() == shell.before
    assert engine.containers.get("left").state.status is ContainerStatus.RUNNING


def test_exec_in_a_terminal(engine: Engine, base_image: str, terminal: OpenTerminal) -> None:
    assert (
        tuidock(
            engine, "run", "-d", "--name", "host", "--network", "none", base_image, "sleep", "100"
        ).returncode
        == 0
    )
    shell = terminal("exec", "-it", "-e", "WHO=me", "-w", "/tmp", "host", "bash", "--norc")
    shell.expect(b"# ")
    shell.type(b"stty size; echo $WHO@$PWD\r")
    shell.expect(b"30 100")
    shell.expect(b"me@/tmp")
    shell.type(b"exit 6\r")
    assert shell.process.wait(20) == 6


def test_exec_streams_and_codes(engine: Engine, busybox: str) -> None:
    tuidock(engine, "run", "-d", "--name", "host", "--network", "none", busybox, "sleep", "100")
    done = tuidock(engine, "exec", "host", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)
    assert tuidock(engine, "exec", "-i", "host", "cat", stdin=b"abc").stdout == b"abc"
    assert tuidock(engine, "exec", "host", "nosuch").returncode == 127
    assert tuidock(engine, "exec", "nosuch", "true").returncode == 1


def test_start_attached(engine: Engine, busybox: str) -> None:
    created = tuidock(engine, "create", "-i", "--name", "again", "--network", "none", busybox, "cat")
    assert created.returncode == 0 and len(created.stdout.strip()) == 64
    for text in (b"one\n", b"two\n"):
        done = tuidock(engine, "start", "-ai", "again", stdin=text)
        assert (done.stdout, done.returncode) == (text, 0)


def test_a_terminal_is_refused_without_one(engine: Engine, busybox: str) -> None:
    done = tuidock(engine, "run", "-it", busybox, "sh")
    assert done.returncode == 125
    assert b"tuidock: the input device is not a TTY" in done.stderr
    assert engine.containers.list(all=True) == []
