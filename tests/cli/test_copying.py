"""Command lines of cp, diff, commit, export and update: what they ask of the engine, and what they say."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

from runtime.containers.diff import Change
from runtime.engine import Engine
from runtime.errors import NotFound
from runtime.model.container import Resources, RestartPolicy, RestartPolicyName
from tuidock.cli.cp import split_argument
from tuidock.cli.main import main


class FakeContainers:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def copy_from(self, reference: str, path: str, target: str | IO[bytes], **options: Any) -> int:
        if reference == "ghost":
            raise NotFound("no such container: ghost")
        shown = target if isinstance(target, str) else "stream"
        self.calls.append(("from", reference, path, shown, options["archive"], options["follow_link"]))
        if not isinstance(target, str):
            target.write(b"tar")
        return 2048

    def copy_to(self, reference: str, source: str | IO[bytes], path: str, **options: Any) -> int:
        shown = source if isinstance(source, str) else source.read()
        self.calls.append(("to", reference, shown, path, options["archive"], options["follow_link"]))
        return 1_536_000

    def diff(self, reference: str) -> list[Change]:
        return [Change("C", "/etc"), Change("A", "/etc/new"), Change("D", "/etc/old")]

    def commit(self, reference: str, target: str | None, **options: Any) -> str:
        self.calls.append(("commit", reference, target, options))
        return "sha256:" + "a" * 64

    def export(self, reference: str, target: IO[bytes], **options: Any) -> None:
        if reference == "ghost":
            raise NotFound("no such container: ghost")
        target.write(b"exported")

    def update(
        self, reference: str, *, resources: Resources | None, restart: RestartPolicy | None
    ) -> Sequence[str]:
        if reference == "ghost":
            raise NotFound("no such container: ghost")
        self.calls.append(("update", reference, resources, restart))
        return ["swap limit: the kernel does not count swap"] if resources and resources.memory else []


@pytest.fixture
def containers() -> FakeContainers:
    return FakeContainers()


def run(containers: FakeContainers, *argv: str) -> int:
    engine = cast("Engine", SimpleNamespace(containers=containers))
    return main(argv, open_engine=lambda root: engine)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web:/x", ("web", "/x")),
        ("web:x:y", ("web", "x:y")),
        ("web:", ("web", "")),
        ("/x:y", ("", "/x:y")),
        ("./x:y", ("", "./x:y")),
        ("../x:y", ("", "../x:y")),
        ("x", ("", "x")),
        ("-", ("", "-")),
    ],
)
def test_which_side_is_the_container(text: str, expected: tuple[str, str]) -> None:
    assert split_argument(text) == expected


def test_cp_out(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(containers, "cp", "-aL", "web:/etc/hosts", "./hosts") == 0
    assert containers.calls == [("from", "web", "/etc/hosts", "./hosts", True, True)]
    assert capsys.readouterr() == ("", "Successfully copied 2.05kB to ./hosts\n")
    assert run(containers, "container", "cp", "-q", "web:/etc/hosts", ".") == 0
    assert capsys.readouterr() == ("", "")


def test_cp_in(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(containers, "cp", "site/.", "web:/srv") == 0
    assert containers.calls == [("to", "web", "site/.", "/srv", False, False)]
    assert capsys.readouterr().err == "Successfully copied 1.54MB to web:/srv\n"


def test_cp_streams(
    containers: FakeContainers, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(containers, "cp", "web:/x", "-") == 0
    assert capfdbinary.readouterr() == (b"tar", b"")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a tar")))
    assert run(containers, "cp", "-", "web:/srv") == 0
    assert containers.calls[-1] == ("to", "web", b"a tar", "/srv", False, False)
    assert capfdbinary.readouterr() == (b"", b"")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a:/x", "b:/y"], 1, "tuidock: copying between containers is not supported\n"),
        (["/x", "/y"], 1, "tuidock: must specify at least one container source\n"),
        (["", "web:/y"], 1, "tuidock: source can not be empty\n"),
        (["web:/y", ""], 1, "tuidock: destination can not be empty\n"),
        (["ghost:/y", "."], 1, "tuidock: no such container: ghost\n"),
        (["web:/y"], 1, "tuidock: 'tuidock cp' requires exactly 2 arguments\n"),
        (["--archiv", "web:/y", "."], 125, "tuidock: unknown flag: --archiv\n"),
    ],
)
def test_cp_refuses(
    containers: FakeContainers,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    assert run(containers, "cp", *words) == code
    assert capsys.readouterr().err.startswith(message)
    assert containers.calls == []


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_tar_on_a_terminal(
    containers: FakeContainers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", _Terminal())
        patched.setattr(sys, "stdin", _Terminal())
        assert run(containers, "export", "web") == 1
        assert run(containers, "cp", "web:/x", "-") == 1
        assert run(containers, "cp", "-", "web:/x") == 1
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("tuidock")] == [
        "tuidock: cowardly refusing to save to a terminal",
        "tuidock: refusing to write a tar archive to a terminal",
        "tuidock: refusing to read a tar archive from a terminal",
    ]
    assert containers.calls == []


def test_diff(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(containers, "diff", "web") == 0
    assert capsys.readouterr().out == "C /etc\nA /etc/new\nD /etc/old\n"


def test_commit(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-a", "Ann", "-m", "text", "-c", "USER x", "--change", "ENV A=1", "-p=false", "web", "web:2"]
    assert run(containers, "commit", *words) == 0
    assert capsys.readouterr().out == "sha256:" + "a" * 64 + "\n"
    assert containers.calls == [
        (
            "commit",
            "web",
            "web:2",
            {"author": "Ann", "message": "text", "changes": ("USER x", "ENV A=1"), "pause": False},
        )
    ]
    assert run(containers, "container", "commit", "web") == 0
    assert containers.calls[-1][2:] == (None, {"author": "", "message": "", "changes": (), "pause": True})


def test_export(
    containers: FakeContainers, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    assert run(containers, "export", "web") == 0
    assert capfdbinary.readouterr() == (b"exported", b"")
    assert run(containers, "export", "-o", str(tmp_path / "x.tar"), "web") == 0
    assert (tmp_path / "x.tar").read_bytes() == b"exported"
    (tmp_path / "x.tar").write_bytes(b"before")
    assert run(containers, "export", "-o", str(tmp_path / "x.tar"), "ghost") == 1
    assert (tmp_path / "x.tar").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
    assert run(containers, "export", "-o", str(tmp_path / "no/x.tar"), "web") == 1
    assert b'invalid output path: directory "' in capfdbinary.readouterr().err


def test_update(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--cpus", "1.5", "-m", "64m", "--memory-swap", "-1", "--pids-limit", "-1", "--restart", "always"]
    assert run(containers, "update", *words, "web", "db") == 0
    resources = Resources(cpus=1.5, memory=64 << 20, memory_swap=-1, pids_limit=-1)
    policy = RestartPolicy(RestartPolicyName.ALWAYS)
    assert containers.calls == [("update", "web", resources, policy), ("update", "db", resources, policy)]
    out, err = capsys.readouterr()
    assert out == "web\ndb\n"
    assert err == "WARNING: swap limit: the kernel does not count swap\n" * 2
    assert run(containers, "update", "--restart", "no", "ghost", "web") == 1
    assert capsys.readouterr().out == "web\n"
    assert containers.calls[-1] == ("update", "web", None, RestartPolicy())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "you must provide one or more flags when using this command"),
        (["--cpus", "x"], "invalid number of CPUs: 'x'"),
        (["--cpus", "1", "--cpu-quota", "5"], "cannot specify both --cpus and --cpu-quota"),
        (["-m", "1m"], "--memory 1m is too small"),
        (["-m", "lots"], "--memory: "),
        (["--pids-limit", "many"], "--pids-limit takes a whole number, not 'many'"),
        (["--cpu-shares", "1"], "--cpu-shares must be between 2 and 262144, not 1"),
        (["--restart", "sometimes"], "invalid restart policy 'sometimes'"),
        (["--blkio-weight", "5"], "--blkio-weight must be between 10 and 1000, not 5"),
    ],
)
def test_update_refuses(
    containers: FakeContainers, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(containers, "update", *words, "web") == 1
    assert message in capsys.readouterr().err
    assert containers.calls == []


def test_diff_does_not_let_a_name_steer_the_terminal(
    containers: FakeContainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "diff", lambda reference: [Change("A", "/\x1b]0;owned\x07\n")])
    for stream, expected in ((_Terminal(), "A /?]0;owned??\n"), (io.StringIO(), "A /\x1b]0;owned\x07\n\n")):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stream)
            assert run(containers, "diff", "web") == 0
        assert stream.getvalue() == expected


def test_container_prune(containers: FakeContainers, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[dict[str, Any]] = []

    def prune(**filters: Any) -> tuple[list[str], int]:
        asked.append(filters)
        return ["a" * 64], 5_300_000

    containers.prune = prune  # type: ignore[attr-defined]  # this test's own
    words = ["--filter", "label=a=b", "--filter", "label!=c", "--filter", "until=1h"]
    assert run(containers, "container", "prune", "-f", *words) == 0
    assert asked[0]["labels"] == ["a=b"] and asked[0]["without"] == ["c"]
    assert isinstance(asked[0]["until"], int)
    assert capsys.readouterr().out == (
        "Deleted Containers:\n" + "a" * 64 + "\n\nTotal reclaimed space: 5.3MB\n"
    )
    assert run(containers, "container", "prune", "-f", "--filter", "name=x") == 1
    assert "known filters: label, label!, until" in capsys.readouterr().err
