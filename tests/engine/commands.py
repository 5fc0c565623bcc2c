"""Commands by the hundred: a process with the command line loaded forks one for each, so that none pays for
Python's start. Each is a process of its own, to be killed and waited for like any other.

``Commands`` is the test's side. Run as a program this file is the process that forks; it never opens a root
itself: SQLite's state must not be taken across a fork (sqlite.org/howtocorrupt.html, 2.6).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

__all__ = ["Commands", "Running"]

REPOSITORY = Path(__file__).resolve().parents[2]


class Running:
    """One command. ``returncode`` is None until it has ended, negative when a signal ended it."""

    def __init__(self, output: Path) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self._output = output
        self._started, self._ended = threading.Event(), threading.Event()

    def wait(self, seconds: float) -> bool:
        """Has it ended, after at most so long?"""
        return self._ended.wait(seconds)

    def kill(self) -> None:
        self._started.wait(30)
        if not self._ended.is_set():
            with suppress(ProcessLookupError):  # it has ended, and we are about to be told
                os.kill(self.pid, signal.SIGKILL)

    def output(self, seconds: float = 90) -> str:
        """Standard output and error, when it has ended."""
        if not self._ended.wait(seconds):
            raise TimeoutError(f"process {self.pid} does not end: {self._output.read_text(errors='replace')}")
        text = self._output.read_text(errors="replace")
        self._output.unlink()
        return text


class Commands:
    """Use it as a context manager; ``start`` may be called from one thread."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="commands-")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running: dict[int, Running] = {}
        self._count = 0
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def __enter__(self) -> Commands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._directory.cleanup()

    def start(
        self, arguments: list[str], directory: Path = REPOSITORY, *, errors: Path | None = None
    ) -> Running:
        """``errors`` is a file for standard error alone."""
        self._count += 1
        output = Path(self._directory.name) / str(self._count)
        output.touch(mode=0o600)
        running = Running(output)
        self._running[self._count] = running
        assert self._process.stdin is not None
        order = [self._count, arguments, str(directory), str(running._output), str(errors or "")]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return running

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, pid, code = json.loads(line)
            running = self._running[number]
            if code is None:
                running.pid = pid
                running._started.set()
            else:
                running.returncode = code
                running._ended.set()


def _child(arguments: list[str], directory: str, output: str, errors: str) -> None:
    os.chdir(directory)
    null = os.open(os.devnull, os.O_RDONLY)
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    apart = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600) if errors else fd
    for target, source in ((0, null), (1, fd), (2, apart)):
        os.dup2(source, target)
    os.closerange(3, 256)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["tuidock", *arguments]
    code = 1
    try:
        from tuidock.cli.main import main

        code = main(arguments, ends=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import select

    _load()
    running: dict[int, int] = {}
    answers = sys.stdout
    pending = b""
    os.set_blocking(0, False)
    ends, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken)

    def tell(number: int, pid: int, code: int | None) -> None:
        answers.write(json.dumps([number, pid, code]) + "\n")
        answers.flush()

    open_ = True
    while open_ or running:
        select.select([0, ends] if open_ else [ends], [], [], 0.5)
        try:
            os.read(ends, 4096)
        except BlockingIOError:
            pass
        try:
            data = os.read(0, 65536) if open_ else b""
            open_ = open_ and bool(data)
            pending += data
        except BlockingIOError:
            pass
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            number, arguments, directory, output, errors = json.loads(line)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _child(arguments, directory, output, errors)
            running[pid] = number
            tell(number, pid, None)
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            tell(running.pop(pid), pid, os.waitstatus_to_exitcode(status))


def _load() -> None:
    """What the commands of the tests need; the rest they load themselves."""
    import importlib

    for name in (
        "tuidock.cli.main", "tuidock.cli.run", "tuidock.cli.ps", "tuidock.cli.rm", "tuidock.cli.exec",
        "tuidock.cli.container_config", "tuidock.cli.output", "runtime.engine", "runtime.containers.create",
        "runtime.containers.start", "runtime.containers.reconcile", "runtime.containers.stop",
        "runtime.containers.remove", "runtime.network.endpoints", "runtime.images.list",
        "runtime.containers.launch", "runtime.containers.session",
    ):  # fmt: skip
        importlib.import_module(name)


if __name__ == "__main__":
    _serve()
