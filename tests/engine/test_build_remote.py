"""Contexts and sources of ADD that are elsewhere: git repositories and files by HTTP, all on loopback."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runtime.build.failure import DockerfileError
from runtime.build.options import BuildOptions, BuildResult
from runtime.engine import Engine
from runtime.errors import EngineError, Failed, InvalidInput, NotFound
from tests.engine.build_lab import build, fill, read, tree, view

pytestmark = pytest.mark.engine


class Served:
    """A directory by HTTP; ``asked`` are the requests with the status that each got."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[tuple[str, int]] = []
        served = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                served.asked.append((self.path, int(code)))

            def log_message(self, format: str, *args: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(directory)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Served]:
    directory = tmp_path / "web"
    directory.mkdir()
    served = Served(directory)
    yield served
    served.server.shutdown()
    served.server.server_close()


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "init.defaultBranch=main",
                "-c", "protocol.file.allow=always"]  # fmt: skip
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """git's own daemon over a directory: the URL and the directory."""
    base = tmp_path / "repositories"
    base.mkdir()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    arguments = ["--reuseaddr", "--export-all", f"--base-path={base}", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen(
        ["git", "daemon", *arguments], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"git://127.0.0.1:{port}", base
    os.killpg(daemon.pid, 15)
    daemon.wait(10)


@pytest.fixture
def project(repositories: tuple[str, Path]) -> tuple[str, Path]:
    url, base = repositories
    directory = fill(
        base / "p.git",
        {"Dockerfile": "FROM scratch\nCOPY . /\n", "a": "one", "sub/Dockerfile": "FROM scratch\nCOPY x /x\n",
         "sub/x": "below", "link": "-> a"},
    )  # fmt: skip
    git(directory, "init", "-q")
    git(directory, "add", "-A")
    git(directory, "commit", "-qm", "first")
    git(directory, "tag", "v1")
    (directory / "a").write_text("two")
    git(directory, "commit", "-qam", "second")
    git(directory, "checkout", "-qb", "side/branch")
    (directory / "a").write_text("three")
    git(directory, "commit", "-qam", "third")
    git(directory, "checkout", "-q", "main")
    return f"{url}/p.git", directory


def remote(engine: Engine, url: str, **options: object) -> BuildResult:
    made = BuildOptions(context=Path("/"), remote=url, **options)  # type: ignore[arg-type]  # the caller's
    return engine.build(made)


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [("", "two"), ("#v1", "one"), ("#main", "two"), ("#side/branch", "three"), ("#refs/heads/main", "two"),
     ("?ref=v1", "one"), ("?tag=v1", "one"), ("?branch=side/branch", "three")],
)  # fmt: skip
def test_a_repository_as_the_context(
    engine: Engine, project: tuple[str, Path], fragment: str, expected: str
) -> None:
    made = remote(engine, project[0] + fragment)
    assert read(engine, made.image_id, "a") == expected
    assert not any(path.startswith(".git") for path in tree(engine, made.image_id))


def test_a_commit_a_directory_and_the_git_directory(engine: Engine, project: tuple[str, Path]) -> None:
    url, directory = project
    commit = git(directory, "rev-parse", "v1")
    assert read(engine, remote(engine, f"{url}#{commit}").image_id, "a") == "one"
    assert read(engine, remote(engine, f"{url}#{commit[:9]}").image_id, "a") == "one"
    assert read(engine, remote(engine, f"{url}#:sub").image_id, "x") == "below"
    assert read(engine, remote(engine, f"{url}?subdir=sub&ref=v1").image_id, "x") == "below"
    kept = remote(engine, url, build_args={"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"})
    assert view(engine, kept.image_id).lookup(".git/HEAD") is not None
    with pytest.raises(DockerfileError, match="file not found in build context"):
        remote(engine, url, dockerfile=Path("sub/Dockerfile"))


@pytest.mark.parametrize(
    ("fragment", "message"),
    [("#nothing", "does not contain|cannot fetch"), ("#v1:nowhere", "has no directory nowhere"),
     ("#v1:../up", "leads out of the repository"), ("#--upload-pack=touch", "invalid git reference"),
     ("?colour=red", "unexpected query parameter 'colour'")],
)  # fmt: skip
def test_wrong_references(engine: Engine, project: tuple[str, Path], fragment: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        remote(engine, project[0] + fragment)


def test_a_repository_runs_nothing_of_its_own(
    engine: Engine, project: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a filter that its attributes name and the user's configuration defines, nor a hook, nor a
    file:// submodule, nor a link of it that leads out of the context."""
    url, directory = project
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        f'[filter "evil"]\n smudge = touch {tmp_path}/ran; cat\n[core]\n hooksPath = {tmp_path}/hooks\n'
    )
    fill(tmp_path, {"hooks/post-checkout": f"#!/bin/sh\ntouch {tmp_path}/ran\n"})
    (tmp_path / "hooks/post-checkout").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (directory / ".gitattributes").write_text("* filter=evil\n")
    (directory / "out").symlink_to("/etc")
    git(directory, "add", "-A")
    git(directory, "commit", "-qm", "evil")
    remote(engine, url)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(EngineError):
        remote(engine, f"{url}#:out")
    secret = fill(tmp_path / "secret", {"f": "private"})
    git(secret, "init", "-q")
    git(secret, "add", "-A")
    git(secret, "commit", "-qm", "x")
    git(directory, "submodule", "add", "-q", f"file://{secret}", "stolen")
    git(directory, "commit", "-qm", "submodule")
    with pytest.raises(Failed, match="git submodule"):
        remote(engine, url)


def test_submodules_come_along(engine: Engine, repositories: tuple[str, Path]) -> None:
    url, base = repositories
    inner = fill(base / "inner.git", {"f": "inside"})
    outer = fill(base / "outer.git", {"Dockerfile": "FROM scratch\nCOPY . /\n"})
    for directory in (inner, outer):
        git(directory, "init", "-q")
        git(directory, "add", "-A")
        git(directory, "commit", "-qm", "x")
    git(outer, "submodule", "add", "-q", f"{url}/inner.git", "module")
    git(outer, "commit", "-qm", "module")
    made = remote(engine, f"{url}/outer.git")
    assert read(engine, made.image_id, "module/f") == "inside"
    assert view(engine, made.image_id).lookup("module/.git") is None


def test_add_of_a_repository(engine: Engine, project: tuple[str, Path], tmp_path: Path) -> None:
    url, directory = project
    made = build(engine, tmp_path, f"FROM scratch\nADD --chown=3:4 {url}#v1 /src\n")
    assert tree(engine, made.image_id)["src/a"] == "644 3:4 one"
    assert view(engine, made.image_id).lookup("src/.git") is None
    again = build(engine, tmp_path, f"FROM scratch\nADD --chown=3:4 {url}#v1 /src\n")
    assert again.cached_steps == 1
    moved = f"FROM scratch\nADD {url} /src\n"
    assert read(engine, build(engine, tmp_path, moved).image_id, "src/a") == "two"
    (directory / "a").write_text("four")
    git(directory, "commit", "-qam", "fourth")
    assert read(engine, build(engine, tmp_path, moved).image_id, "src/a") == "four", "a branch has moved on"
    kept = build(
        engine,
        tmp_path,
        f"FROM scratch\nADD --keep-git-dir=true {url}#v1:sub /s\nADD --keep-git-dir {url}#v1 /all\n",
    )
    found = sorted(path for path in tree(engine, kept.image_id) if path.startswith("s/"))
    assert found == ["s/", "s/Dockerfile", "s/x"]
    assert view(engine, kept.image_id).lookup("all/.git/HEAD") is not None
    commit = git(directory, "rev-parse", "v1")
    build(engine, tmp_path, f"FROM scratch\nADD --checksum={commit} {url}#v1 /src\n")
    with pytest.raises(DockerfileError, match="expected " + "0" * 40):
        build(engine, tmp_path, f"FROM scratch\nADD --checksum={'0' * 40} {url}#v1 /src\n")


def test_without_git(engine: Engine, project: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert shutil.which("git")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFound, match="git is not installed"):
        remote(engine, project[0])


def test_add_of_a_url(engine: Engine, web: Served, tmp_path: Path) -> None:
    fill(web.directory, {"f": "content"})
    os.utime(web.directory / "f", (1_000_000_000, 1_000_000_000))
    text = f"FROM scratch\nADD {web.url}/f /d/\n"
    made = build(engine, tmp_path, text)
    assert tree(engine, made.image_id) == {"d/": "755 0:0", "d/f": "600 0:0 content"}
    node = view(engine, made.image_id).lookup("d/f")
    assert node is not None and node.stat.st_mtime == 1_000_000_000
    assert web.asked == [("/f", 200)]
    again = build(engine, tmp_path, text)
    assert (again.cached_steps, web.asked[1:]) == (1, [("/f", 304)]), "it is asked whether it has changed"
    fill(web.directory, {"f": "changed"})
    assert read(engine, build(engine, tmp_path, text).image_id, "d/f") == "changed"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_with_a_checksum_the_server_is_asked_once(
    engine: Engine, web: Served, tmp_path: Path, algorithm: str
) -> None:
    fill(web.directory, {"f": algorithm})
    digest = hashlib.new(algorithm, algorithm.encode()).hexdigest()
    text = f"FROM scratch\nADD --checksum={algorithm}:{digest} --chmod=755 {web.url}/f /got\n"
    made = build(engine, tmp_path, text)
    assert tree(engine, made.image_id) == {"got": f"755 0:0 {algorithm}"}
    assert build(engine, tmp_path, text).cached_steps == 1
    assert web.asked == [("/f", 200)]
    with pytest.raises(DockerfileError, match="checksum of"):
        build(engine, tmp_path, text.replace(digest, "0" * len(digest)))
    with pytest.raises(EngineError, match="unsupported --checksum"):
        build(engine, tmp_path, text.replace(f"{algorithm}:", "md5:"))


def test_unpack_of_what_was_fetched(engine: Engine, web: Served, tmp_path: Path) -> None:
    with tarfile.open(web.directory / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("inner")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"in"))
    unpacked = build(engine, tmp_path, f"FROM scratch\nADD --unpack=true {web.url}/a.tar.gz /d\n")
    assert read(engine, unpacked.image_id, "d/inner") == "in"
    plain = build(engine, tmp_path, f"FROM scratch\nADD {web.url}/a.tar.gz /d/\n")
    assert set(tree(engine, plain.image_id)) == {"d/", "d/a.tar.gz"}


def test_an_archive_and_a_dockerfile_by_url_as_the_context(engine: Engine, web: Served) -> None:
    with tarfile.open(web.directory / "c.tar.xz", "w:xz") as archive:
        for name, text in (("Dockerfile", b"FROM scratch\nCOPY f /\n"), ("f", b"packed")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    assert read(engine, remote(engine, f"{web.url}/c.tar.xz").image_id, "f") == "packed"
    fill(web.directory, {"Dockerfile": "FROM scratch\nCOPY <<E /f\nalone\nE\n", "binary": b"\xff\xfe"})
    assert read(engine, remote(engine, f"{web.url}/Dockerfile").image_id, "f") == "alone\n"
    with pytest.raises(InvalidInput, match="neither an archive nor a Dockerfile"):
        remote(engine, f"{web.url}/binary")
    with pytest.raises(Failed, match="the server answered 404"):
        remote(engine, f"{web.url}/nothing")
    leftovers = [path.name for path in engine.context.paths.build.iterdir() if path.name.startswith(".tmp")]
    assert leftovers == []
