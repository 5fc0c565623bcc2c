"""``build --output``, ``--check`` and what a build writes about itself, through the command line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from runtime.build.options import BuildOptions, Output
from runtime.engine import Engine
from runtime.errors import Failed, InvalidInput
from tests.engine.build_lab import build, fill
from tuidock.cli.main import main

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM {busybox} AS tools
RUN mkdir -p /out/sub && echo one > /out/one && ln -s one /out/link && chmod 640 /out/one
RUN chown 5:6 /out/one && ln /out/one /out/sub/hard && rm /bin/vi
FROM scratch
COPY --from=tools /out /
"""


def tuidock(engine: Engine, *arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "tuidock", "--root", str(engine.context.paths.state), *map(str, arguments)]
    made: subprocess.CompletedProcess[bytes]
    made = subprocess.run(argv, capture_output=True, timeout=100, **options)  # type: ignore[call-overload]
    return made


@pytest.fixture
def context(tmp_path: Path, busybox: str) -> Path:
    return fill(tmp_path / "c", {"Dockerfile": DOCKERFILE.format(busybox=busybox)})


def test_a_directory_gets_the_files_and_keeps_its_own(engine: Engine, context: Path, tmp_path: Path) -> None:
    out = fill(tmp_path / "out", {"mine": "kept", "one": "old", "sub/other": "kept"})
    before = len(engine.images.list(all=True))
    done = tuidock(engine, "build", "-q", "-o", out, context)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert (out / "one").read_text() == "one\n"
    assert (out / "mine").read_text() == (out / "sub/other").read_text() == "kept"
    assert (out / "link").readlink() == Path("one")
    info = (out / "one").stat()
    assert (info.st_mode & 0o777, info.st_uid, info.st_gid) == (0o640, os.geteuid(), os.getegid())
    assert (out / "sub/hard").stat().st_ino == info.st_ino
    assert len(engine.images.list(all=True)) == before


def test_links_in_the_destination_are_not_followed_out(engine: Engine, context: Path, tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"hard": "untouched"})
    out = tmp_path / "out"
    out.mkdir()
    (out / "one").symlink_to(outside / "hard")
    assert tuidock(engine, "build", "-q", "-o", f"type=local,dest={out}", context).returncode == 0
    assert (outside / "hard").read_text() == "untouched"
    assert (out / "one").read_text() == "one\n"


@pytest.mark.parametrize("to_stdout", [True, False])
def test_a_tar_of_the_files(engine: Engine, context: Path, tmp_path: Path, to_stdout: bool) -> None:
    place = tmp_path / "files.tar"
    done = tuidock(engine, "build", "-o", "-" if to_stdout else f"type=tar,dest={place}", context)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout or place.read_bytes())) as archive:
        assert sorted(archive.getnames()) == ["link", "one", "sub", "sub/hard"]
        member = archive.getmember("one")
        assert (member.uid, member.gid, member.mode) == (5, 6, 0o640)


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_of_the_image(engine: Engine, context: Path, tmp_path: Path, kind: str) -> None:
    before = {image.id for image in engine.images.list(all=True)}
    place = tmp_path / "image.tar"
    name = f"archived-{kind}:1"
    done = tuidock(engine, "build", "-q", "-t", name, "-o", f"type={kind},dest={place}", context)
    assert done.returncode == 0, done.stderr
    assert {image.id for image in engine.images.list(all=True)} == before, "the store keeps nothing of it"
    with place.open("rb") as file:
        assert engine.images.load(file) == [name]
    assert len(engine.images.get(name).layers) == 1
    engine.images.remove(name)


def test_an_oci_layout_as_a_directory(engine: Engine, context: Path, tmp_path: Path) -> None:
    place = tmp_path / "layout"
    done = tuidock(engine, "build", "-q", "-o", f"type=oci,tar=false,dest={place}", context)
    assert done.returncode == 0, done.stderr
    index = json.loads((place / "index.json").read_text())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    assert json.loads((place / "blobs/sha256" / digest).read_text())["layers"]


def test_several_outputs_and_none(engine: Engine, context: Path, tmp_path: Path) -> None:
    outputs = (Output("local", str(tmp_path / "out")), Output("tar", str(tmp_path / "t")), Output("image"))
    made = engine.build(BuildOptions(context=context, tags=("several:1",), outputs=outputs))
    assert engine.images.get("several:1").id == made.image_id
    assert (tmp_path / "out/one").exists() and (tmp_path / "t").exists()
    engine.images.remove("several:1")
    assert engine.build(BuildOptions(context=context, outputs=(Output("cacheonly"),))).image_id == ""


def test_scratch_has_no_files(engine: Engine, tmp_path: Path) -> None:
    build(engine, tmp_path, "FROM scratch\nENV a=b", outputs=(Output("local", str(tmp_path / "out")),))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_that_cannot_be_written(engine: Engine, context: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="cannot write the output"):
        engine.build(BuildOptions(context=context, outputs=(Output("tar", str(tmp_path / "no/where")),)))
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is not a directory"):
        engine.build(BuildOptions(context=context, outputs=(Output("local", str(tmp_path / "file")),)))


WRONG = [
    (("-o", "type=local"), "an output of type local needs a destination"),
    (("-o", "type=moon,dest=x"), "unknown output type 'moon'"),
    (("-o", "dest=x"), "type is required for output"),
    (("-o", "type=local,colour=red"), "unexpected 'colour=red'"),
    (("--secret", "src=/x"), "invalid secret"),
    (("--secret", "id=a,src=/nowhere/at/all"), "secret a: there is no file /nowhere/at/all"),
    (("--secret", "id=a,env=NOT_SET_ANYWHERE"), "the environment has no variable NOT_SET_ANYWHERE"),
    (("--ssh", "default=/etc/hostname"), "/etc/hostname is not a private key"),
    (("--ssh", "mine=/nowhere/key"), "--ssh mine: /nowhere/key: No such file or directory"),
    (("--ssh", "mine=/dev/null"), "/dev/null is neither a socket nor a file"),
    (("--cache-from", "type=s3,bucket=x"), "unexpected 'bucket=x'"),
    (("--cache-to", "type=local"), "no place is given"),
    (("--cache-to", "type=local,dest=x,mode=all"), "invalid mode 'all'"),
    (("--provenance", "true"), "attestations are not supported"),
    (("--squash",), "--squash is not supported"),
    (("--allow", "security.insecure"), "'security.insecure' is not supported"),
    (("--network", "moon"), "'moon' is not supported in a build"),
    (("--cpu-quota", "much"), "'much' is not a whole number"),
    (("--memory", "much"), "much"),
    (("--debug-shell",), "--debug-shell needs a terminal"),
    (("--progress", "loud"), "loud"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    fill(tmp_path, {"Dockerfile": "FROM scratch"})
    code = main(["build", *options, str(tmp_path)], open_engine=lambda root: engine)
    shown = capsys.readouterr().err
    assert code in (1, 125)
    assert message in shown and "hint: " in shown
    assert "internal error" not in shown


def test_check_reports_rule_file_and_line_and_builds_nothing(engine: Engine, tmp_path: Path) -> None:
    fill(tmp_path, {"Dockerfile": "FROM scratch AS Base\nCMD run it\n"})
    done = tuidock(engine, "build", "--check", tmp_path)
    shown = done.stdout.decode()
    assert done.returncode == 1
    assert "WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/" in shown
    assert "Stage name 'Base' should be lowercase\nDockerfile:1\n" in shown
    assert (
        "Dockerfile:2\n--------------------\n   1 |     FROM scratch AS Base\n   2 | >>> CMD run it\n"
        in shown
    )
    assert shown.endswith("\nCheck complete, 2 warnings have been found!\n")
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCMD ["run"]\nRUN never-run\n')
    done = tuidock(engine, "build", "--check", tmp_path)
    assert (done.returncode, done.stdout) == (0, b"Check complete, no warnings found.\n")


def test_check_refuses_what_a_build_refuses(engine: Engine, tmp_path: Path) -> None:
    fill(tmp_path, {"Dockerfile": "FROM scratch\nCPOY a b\n"})
    done = tuidock(engine, "build", "--check", tmp_path)
    assert done.returncode != 0
    assert b"unknown instruction: CPOY" in done.stderr


def test_warnings_end_the_output_and_files_tell_of_the_result(
    engine: Engine, context: Path, tmp_path: Path
) -> None:
    facts, ids = tmp_path / "facts", tmp_path / "id"
    arguments = ("--build-arg", "NOPE=1", "-t", "facts:1", "--metadata-file", facts, "--iidfile", ids)
    done = tuidock(engine, "build", *arguments, context)
    assert done.returncode == 0 and done.stdout == b""
    assert done.stderr.decode().endswith(
        "\n 1 warning found (use tuidock --debug to expand):\n"
        " - One or more build-args [NOPE] were not consumed\n"
    )
    image = engine.images.get("facts:1")
    assert ids.read_text() == image.id
    told = json.loads(facts.read_text())
    assert told["containerimage.config.digest"] == image.id
    assert told["containerimage.digest"] == image.manifest_digest
    assert told["image.name"] == "docker.io/library/facts:1"
    engine.images.remove("facts:1")


def test_rawjson_is_a_document_a_line(engine: Engine, busybox: str, tmp_path: Path) -> None:
    fill(tmp_path, {"Dockerfile": f"FROM {busybox}\nRUN echo spoken; exit 3\n"})
    done = tuidock(engine, "build", "--progress", "rawjson", tmp_path)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    vertexes = [item for document in documents for item in document.get("vertexes", ())]
    assert any(item.get("cached") for item in vertexes)
    assert any("exit code: 3" in item.get("error", "") for item in vertexes)
    assert any(document.get("logs", [{}])[0].get("data") == "c3Bva2VuCg==" for document in documents)


def test_limits_hold_in_run(engine: Engine, busybox: str, tmp_path: Path) -> None:
    fill(tmp_path, {"Dockerfile": f"FROM {busybox}\nRUN ulimit -n; cat /proc/self/cgroup; df /dev/shm\n"})
    done = tuidock(
        engine, "build", "--no-cache", "--ulimit", "nofile=77:99", "-m", "32m", "--shm-size", "3m", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert b" 77\n" in done.stderr
    assert b" 3072 " in done.stderr
    killed = f"FROM {busybox}\nRUN dd if=/dev/zero of=/dev/null bs=64M count=1\n"
    (tmp_path / "Dockerfile").write_text(killed)
    assert tuidock(engine, "build", "--no-cache", "-m", "8m", tmp_path).returncode == 1
    assert tuidock(engine, "build", "--no-cache", "-m", "256m", tmp_path).returncode == 0
