"""Whole command lines on a stand-in for the engine: standard output, standard error and exit code.

These are about parsing, formatting and errors; what the verbs do is proved by the engine's own tests.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import click
import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    PortBinding,
)
from runtime.model.event import Event
from runtime.model.image import ImageSummary
from runtime.model.stats import ContainerStats
from tuidock.cli import commands
from tuidock.cli.compose.group import COMPOSE
from tuidock.cli.main import main

SECOND = 1_000_000_000
NOW = time.time_ns()


@pytest.fixture(autouse=True)
def _every_test_begins_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The things below were made before ``NOW``, however long other tests have taken since."""
    real = time.time_ns
    begin = real()
    monkeypatch.setattr(time, "time_ns", lambda: NOW + real() - begin)


def make(number: int, name: str, status: str = "running", **config: Any) -> Container:
    labels = config.pop("labels", {})
    return Container(
        id=f"{number:x}" * 64,
        name=name,
        image_id="sha256:" + "a" * 64,
        created_at=NOW - 3600 * SECOND,
        config=ContainerConfig(
            image="docker.io/library/base:latest", cmd=("sleep", "100"), labels=labels, **config
        ),
        layers=(),
        state=ContainerState(
            status=ContainerStatus(status),
            started_at=NOW - 125 * SECOND,
            finished_at=NOW - 65 * SECOND,
            exit_code=0 if status == "running" else 137,
        ),
        ports=(PortBinding(80, host_port=4000),) if status == "running" else (),
    )


WEB = make(1, "web", labels={"app": "x"})
OLD = make(2, "old", "exited")
PROJECT = {"com.docker.compose.project": "demo", "com.docker.compose.service": "web"}


class FakeContainers:
    def __init__(self) -> None:
        self.all = [WEB, OLD]
        self.calls: list[tuple[Any, ...]] = []

    def list(self, *, all: bool = False) -> list[Container]:
        return [item for item in self.all if all or item.state.status.alive]

    def get(self, reference: str) -> Container:
        for item in self.all:
            if reference in (item.name, item.id, item.short_id):
                return item
        raise NotFound(f"no such container: {reference}", hint="tuidock ps -a lists all containers")

    def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        self.get(reference)
        self.calls.append(("stop", reference, timeout, signal))

    def create(self, config: ContainerConfig, *, name: str | None = None) -> Container:
        if name == "taken":
            raise Conflict('the container name "/taken" is already in use', hint="remove it")
        self.calls.append(("create", config, name))
        return WEB

    run = create

    def prepare(self) -> None:
        return None

    def inspect(self, reference: str) -> dict[str, Any]:
        item = self.get(reference)
        return {"Id": item.id, "State": {"Status": item.state.status.value}}

    def stats(self, references: object = None) -> Sequence[ContainerStats]:
        at = time.monotonic_ns()
        return [ContainerStats(WEB.id, at, at // 2, 2, 50 << 20, 100 << 20, 0, 3, 0, 1000, 2000, 0, 4096)]

    def wait(self, reference: str) -> int:
        return self.get(reference).state.exit_code

    def logs(self, *arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")


class FakeEngine:
    def __init__(self) -> None:
        self.containers = FakeContainers()
        self.images = self
        self.networks = self
        self.events = self
        self.services = self
        self.data_version = 1

    def list(self, *, all: bool = False) -> list[ImageSummary]:
        return [
            ImageSummary(
                "sha256:" + "a" * 64, "docker.io/library/base", "latest", NOW - 90 * SECOND, 89_700_000
            ),
            ImageSummary("sha256:" + "b" * 64, "<none>", "<none>", NOW - 90 * SECOND, 1_000),
        ]

    def inspect(self, reference: str) -> dict[str, Any]:
        raise NotFound(f"no such image or network: {reference}")

    def ensure(self, reference: str, *, platform: str = "", policy: str = "missing") -> None:
        assert (reference, platform, policy) == ("base", "", "never"), "what is here is not pulled"

    def last_seq(self) -> int:
        return 0

    def since(self, seq: int) -> Sequence[Event]:
        return [Event(1, NOW - SECOND, "container", "start", WEB.id, {"name": "web"})] if seq == 0 else []

    def project_containers(self, name: str, services: object = ()) -> Sequence[Container]:
        return [replace(WEB, config=replace(WEB.config, labels=PROJECT))] if name == "demo" else []

    def load(self, *arguments: object, **options: object) -> None:
        raise NotFound("no compose file found")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def run(engine: FakeEngine, *arguments: str) -> int:
    return main(list(arguments), open_engine=lambda root: cast(Engine, engine))


def test_ps(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "ps", "-a") == 0
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert [line.rstrip() for line in lines] == [
        "CONTAINER ID   IMAGE         COMMAND       CREATED             STATUS"
        "                            PORTS                  NAMES",
        '111111111111   base:latest   "sleep 100"   About an hour ago   Up 2 minutes'
        "                      0.0.0.0:4000->80/tcp   web",
        '222222222222   base:latest   "sleep 100"   About an hour ago   Exited (137) About a minute ago'
        "                          old",
    ]


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["-q"], "111111111111\n"),
        (["-aq"], "111111111111\n222222222222\n"),
        (["-q", "--no-trunc"], "1" * 64 + "\n"),
        (["-a", "--format", "{{.Names}} {{.State}}"], "web running\nold exited\n"),
        (["--format", "table {{.Names}}\\t{{.Ports}}"], "NAMES     PORTS\nweb       0.0.0.0:4000->80/tcp\n"),
        (["--format", '{{.Label "app"}}'], "x\n"),
        (["-q", "--filter", "status=exited"], "222222222222\n"),
        (["-aq", "--filter", "name=^w"], "111111111111\n"),
        (["-aq", "--filter", "label=app=x"], "111111111111\n"),
        (["-aq", "--filter", "label=app=y"], ""),
        (["-aq", "--filter", "exited=137"], "222222222222\n"),
        (["-aq", "--filter", "publish=4000"], "111111111111\n"),
        (["-l", "-q"], "111111111111\n"),
        (["container", "ls", "-q"], "111111111111\n"),
    ],
)
def test_ps_options(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], arguments: list[str], out: str
) -> None:
    words = arguments if arguments[0] == "container" else ["ps", *arguments]
    assert run(engine, *words) == 0
    assert capsys.readouterr().out == out


def test_ps_json(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "ps", "--format", "json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["Names"], row["State"], row["Ports"]) == ("web", "running", "0.0.0.0:4000->80/tcp")


def test_images(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "images") == 0
    assert capsys.readouterr().out == (
        "REPOSITORY   TAG       IMAGE ID       CREATED              SIZE\n"
        "base         latest    aaaaaaaaaaaa   About a minute ago   89.7MB\n"
        "<none>       <none>    bbbbbbbbbbbb   About a minute ago   1kB\n"
    )
    assert run(engine, "images", "-q", "--filter", "dangling=true") == 0
    assert capsys.readouterr().out == "bbbbbbbbbbbb\n"
    assert run(engine, "images", "base:lat*", "--format", "{{.Repository}}") == 0
    assert capsys.readouterr().out == "base\n"


def test_several_names_go_on_after_a_failure(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "stop", "-t", "3", "web", "nosuch", "old") == 1
    out, err = capsys.readouterr()
    assert out == "web\nold\n"
    assert err == "tuidock: no such container: nosuch\nhint: tuidock ps -a lists all containers\n"
    assert engine.containers.calls == [("stop", "web", 3, None), ("stop", "old", 3, None)]


def test_wait_prints_exit_codes(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "wait", "old") == 0
    assert capsys.readouterr().out == "137\n"


def test_run_detached_prints_the_id(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "run", "-d", "--name", "web", "base", "sleep", "5") == 0
    assert capsys.readouterr().out == WEB.id + "\n"
    (call,) = engine.containers.calls
    assert (call[1].image, call[1].cmd, call[2]) == ("base", ("sleep", "5"), "web")


TAKEN = 'tuidock: the container name "/taken" is already in use\nhint: remove it\n'
SECONDS = "invalid argument for \"-t, --timeout\" flag: 'soon' is not a valid integer"


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        ("run -d --name taken base", 125, TAKEN),
        ("create --name taken base", 1, TAKEN),
        ("ps --bogus", 125, "tuidock: unknown flag: --bogus\nhint: see 'tuidock ps --help'\n"),
        (
            "ps --filtr x",
            125,
            "tuidock: unknown flag: --filtr\nhint: did you mean --filter? see 'tuidock ps --help'\n",
        ),
        ("pss", 1, "tuidock: unknown command: tuidock pss\nhint: did you mean 'tuidock ps'?\n"),
        (
            "image lss",
            1,
            "tuidock: unknown command: tuidock image lss\nhint: did you mean 'tuidock image ls'?\n",
        ),
        (
            "stop",
            1,
            "tuidock: 'tuidock stop' requires at least 1 argument\n"
            "hint: usage: tuidock stop [OPTIONS] CONTAINER [CONTAINER...]; see 'tuidock stop --help'\n",
        ),
        (
            "rename a",
            1,
            "tuidock: 'tuidock rename' requires exactly 2 arguments\n"
            "hint: usage: tuidock rename CONTAINER NEW_NAME; see 'tuidock rename --help'\n",
        ),
        (
            "run --memory",
            125,
            "tuidock: flag needs an argument: --memory\nhint: see 'tuidock run --help'\n",
        ),
        (
            "stop -t soon web",
            125,
            f"tuidock: {SECONDS}\nhint: see 'tuidock stop --help'\n",
        ),
        (
            "ps --filter is-task=true --filter colour=red",
            1,
            "tuidock: invalid filter 'colour'\n"
            "hint: known filters: ancestor, before, exited, expose, health, id, is-task,"
            " label, name, network, publish, since, status, volume\n",
        ),
        (
            "logs -t web",
            1,
            "tuidock: internal error: ZeroDivisionError: a bug\n"
            "hint: run it again with --debug for the traceback\n",
        ),
    ],
)
def test_errors(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], words: str, code: int, err: str
) -> None:
    assert run(engine, *words.split()) == code
    assert capsys.readouterr().err == err


def test_debug_shows_the_traceback(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "--debug", "logs", "-t", "web") == 1
    assert "Traceback" in capsys.readouterr().err


def test_inspect(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "inspect", "--type", "container", "web") == 0
    assert json.loads(capsys.readouterr().out) == [{"Id": WEB.id, "State": {"Status": "running"}}]
    assert run(engine, "container", "inspect", "-f", "{{.State.Status}}", "web", "nosuch", "old") == 1
    out, err = capsys.readouterr()
    assert out == "running\nexited\n"
    assert err.startswith("tuidock: no such container: nosuch\n")


def test_stats(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "stats", "--no-stream") == 0
    header, row = capsys.readouterr().out.rstrip("\n").split("\n")
    assert header.split("  ")[0] == "CONTAINER ID"
    figures = "111111111111 web 50.00% 50MiB / 100MiB 50.00% 1kB / 2kB 0B / 4.1kB 3"
    assert row.split() == figures.split()


def test_events(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "events", "--since", "1h", "--until", "0s") == 0
    assert capsys.readouterr().out.rstrip().endswith(f"container start {WEB.id} (name=web)")
    assert run(engine, "events", "--since", "1h", "--until", "0s", "--filter", "event=die") == 0
    assert capsys.readouterr().out == ""
    assert run(engine, "events", "--since", "1h", "--until", "0s", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["Action"] == "start"


def test_compose_ps_needs_no_file(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "compose", "-p", "demo", "ps") == 0
    out = capsys.readouterr().out
    assert out.split("\n")[0].split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert '"sleep 100"   web       About an hour ago   Up 2 minutes   0.0.0.0:4000->80/tcp' in out
    assert run(engine, "compose", "-p", "demo", "ps", "nosuch") == 1
    assert capsys.readouterr().err.startswith("tuidock: no such service: nosuch\n")


@pytest.mark.parametrize("scale", ["web", "web=", "=3", "web=-1", "web=three"])
def test_compose_scale_refuses(engine: FakeEngine, capsys: pytest.CaptureFixture[str], scale: str) -> None:
    assert run(engine, "compose", "-p", "demo", "scale", scale) == 1
    assert (
        capsys.readouterr().err == f"tuidock: invalid scale: {scale!r}\nhint: give SERVICE=REPLICAS: web=3\n"
    )


def test_version_and_help_need_no_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "tuidock version 0.1.0\n"
    assert main(["version", "--format", "{{.Client.Version}}"]) == 0
    assert capsys.readouterr().out == "0.1.0\n"
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage:  tuidock [OPTIONS] COMMAND\n")


GROUPS = {
    (): commands.TOP,
    ("container",): commands.CONTAINER,
    ("image",): commands.IMAGE,
    ("network",): commands.NETWORK,
    ("volume",): commands.VOLUME,
    ("system",): commands.SYSTEM,
    ("compose",): COMPOSE,
}


@pytest.mark.parametrize("path", [(*group, name) for group, table in GROUPS.items() for name in table])
def test_every_command_has_help_with_a_description_and_examples(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    out = capsys.readouterr().out
    module, description = GROUPS[path[:-1]][path[-1]]
    name, _, attribute = module.partition(":")
    found = getattr(importlib.import_module(name), attribute or "command")
    assert isinstance(found, click.Command)
    assert out.startswith(f"Usage:  tuidock {' '.join(path)} ")
    assert description in out.replace("\n  ", " ")
    assert "Examples:\n  tuidock" in out or "Commands:\n" in out
    assert all(len(line) <= 110 for line in out.split("\n"))


def test_a_closed_pipe_is_quiet() -> None:
    script = f"{sys.executable} -m tuidock --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_another_broken_pipe_than_that_of_our_output_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(root: str | None) -> Engine:
        raise BrokenPipeError(32, "Broken pipe")

    assert main(["ps"], open_engine=refuse) == 1
    assert "roken pipe" in capfd.readouterr().err


def test_an_unexpected_kind_of_input_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(root: str | None) -> Engine:
        raise InvalidInput("settings:\n  are wrong", hint="mend them")

    assert main(["ps"], open_engine=refuse) == 1
    assert capsys.readouterr().err == "tuidock: settings: are wrong\nhint: mend them\n"


@pytest.mark.parametrize(
    ("words", "code"), [("ps", 1), ("run base true", 125), ("exec web true", 1), ("demo", 1)]
)
def test_without_root_privileges(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, code: int
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(words.split()) == code
    assert capsys.readouterr().err == (
        "tuidock: tuidock needs root privileges\nhint: run it as root: sudo tuidock ...\n"
    )
