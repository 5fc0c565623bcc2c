"""What a monitor has loaded while its container is idle: one lives beside every container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.containers import monitor_code
from runtime.engine import Engine
from runtime.model.container import ContainerConfig

IDLE = frozenset(
    {
        "runtime", "runtime.kernel", "runtime.kernel.libc", "runtime.kernel.locks",
        "runtime.kernel.process_calls", "runtime.kernel.title", "runtime.monitor", "runtime.monitor.archive",
        "runtime.monitor.clients", "runtime.monitor.live", "runtime.monitor.log", "runtime.monitor.loop",
        "runtime.monitor.streams", "runtime.monitor.supervise", "runtime.monitor.wire",
        # C modules.
        "_ctypes", "_signal", "_socket", "_struct", "errno", "fcntl", "marshal", "posix", "select", "sys",
        "time",
    }
)  # fmt: skip
"""Ours and what they need. What the interpreter loads by itself comes on top (a test below asks it)."""

PUBLISHING = frozenset({"runtime.network", "runtime.network.ports"})
"""In a container with published ports."""

REPORTING = """
import marshal, posix, sys
boot = marshal.loads(posix.pread(4, 1 << 20, 0)[16:])
names = {"__name__": "boot"}
exec(boot, names)
sys.modules["__main__"].__dict__.update(names)
posix.set_inheritable(4, False)
sys.meta_path.insert(0, names["Archive"](4))
sys.modules["runtime.monitor.archive"] = sys.modules["__main__"]
sys.path.reverse()
from runtime.monitor import live, loop
turn = loop.Loop.turn
def reporting(self):
    loop.Loop.turn = turn
    fd = posix.open(REPORT, posix.O_WRONLY | posix.O_CREAT, 0o600)
    posix.write(fd, "\\n".join(sys.modules).encode())
    posix.close(fd)
    posix.rename(REPORT, REPORT + ".done")
    turn(self)
loop.Loop.turn = reporting
live.begin(sys.argv[1])
"""
"""A monitor as ever, which writes down what it has loaded before it waits for the first time."""


@pytest.fixture
def loaded(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """The modules of the monitor of a container with this configuration."""
    report = tmp_path / "report"
    spawn = os.posix_spawn
    code = REPORTING.replace("REPORT", repr(str(report)))

    def reporting(path: str, argv: list[str], env: dict[str, str], **options: object) -> int:
        if argv[3].endswith(".code"):
            argv = [*argv[:3], "-c", code, *argv[4:]]
        return int(spawn(path, argv, env, **options))  # type: ignore[arg-type]  # passed on as they came

    def modules(config: ContainerConfig) -> set[str]:
        monkeypatch.setattr(os, "posix_spawn", reporting)
        container = engine.containers.run(config)
        done = report.with_name("report.done")
        deadline = time.monotonic() + 30
        while not done.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        engine.containers.remove(container.id, force=True)
        return set(done.read_text().split())

    return modules


def by_itself() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.engine
def test_an_idle_monitor_has_loaded_what_it_watches_with(
    loaded: Callable[[ContainerConfig], set[str]], busybox: str
) -> None:
    modules = loaded(ContainerConfig(image=busybox, cmd=("sleep", "100"), network_mode="none"))
    assert modules - by_itself() - IDLE == set()
    assert {"runtime.monitor.supervise", "runtime.monitor.loop"} <= modules


@pytest.mark.engine
def test_published_ports_add_the_module_that_reserves_them(
    loaded: Callable[[ContainerConfig], set[str]], busybox: str
) -> None:
    from runtime.model.container import PortBinding

    ports = (PortBinding(container_port=80, host_ip="127.0.0.1"),)
    modules = loaded(ContainerConfig(image=busybox, cmd=("sleep", "100"), ports=ports))
    assert modules - by_itself() - IDLE == PUBLISHING


def test_every_module_of_the_archive_can_be_loaded_from_it_alone(tmp_path: Path) -> None:
    """A monitor loads some of them only at its container's end, when the sources may be gone."""
    program = """
import json, marshal, posix, sys
fd = int(sys.argv[1])
names = {"__name__": "boot"}
exec(marshal.loads(posix.pread(fd, 1 << 20, 0)[16:]), names)
archive = names["Archive"](fd)
sys.meta_path.insert(0, archive)
import importlib
for name in archive._index:
    importlib.import_module(name)
    assert sys.modules[name].__spec__.loader is archive, name
print(json.dumps(sorted(archive._index)))
"""
    fd, _path = monitor_code.open_archive(str(tmp_path))
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, str(fd)],
            capture_output=True,
            text=True,
            pass_fds=[fd],
            check=False,
        )
    finally:
        os.close(fd)
    assert done.returncode == 0, done.stderr
    names = set(json.loads(done.stdout))
    later = {"runtime.monitor.process", "runtime.monitor.record", "runtime.cgroups.v1", "runtime.cgroups.v2"}
    assert later <= names


def test_what_the_archive_leaves_out_is_what_nobody_runs() -> None:
    source = b'''"""Why."""
from __future__ import annotations
import os
TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing
else:
    kept = 1
count: int = 2
def double(number: int, *more: str) -> int:
    """Twice."""
    result: int
    result = number * 2
    return result
here = os.getcwd()
'''
    names: dict[str, object] = {"__name__": "sample"}
    exec(monitor_code._compiled(source, "sample.py"), names)
    double = names["double"]
    assert callable(double)
    assert (names["kept"], names["count"], double(4)) == (1, 2, 8)
    assert (double.__doc__, double.__annotations__, names.get("__doc__")) == (None, {}, None)
    assert names["here"] == os.getcwd()
    assert names["os"] is sys.modules["posix"]


def test_a_module_that_needs_more_than_the_c_module_keeps_os() -> None:
    names: dict[str, object] = {"__name__": "sample"}
    exec(monitor_code._compiled(b"import os\nroot = os.path.join('/', 'a')\n", "sample.py"), names)
    assert names["root"] == "/a"


def test_where_the_package_cannot_be_written_the_code_is_in_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = monitor_code._write

    def read_only(place: Path, name: str, content: bytes) -> tuple[int, str]:
        if place != tmp_path:
            raise PermissionError(13, "Permission denied", str(place))
        return write(place, name, content)

    monkeypatch.setattr(monitor_code, "_write", read_only)
    monkeypatch.setattr(monitor_code, "_name", lambda sources: "monitor.cpython-0.abc.code")
    fd, path = monitor_code.open_archive(str(tmp_path))
    os.close(fd)
    assert path == str(tmp_path / "monitor.cpython-0.abc.code")
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.cpython-0.abc.code"]


def test_a_changed_source_is_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = monitor_code._name(["runtime/monitor/live.py"])
    assert monitor_code._name(["runtime/monitor/live.py"]) == before
    assert monitor_code._name(["runtime/monitor/loop.py"]) != before
