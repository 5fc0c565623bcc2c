"""The same Dockerfiles built by docker's BuildKit and by us: equal configuration, equal files.

Needs Debian's docker.io (`make peers` installs it): a daemon of the test's own, without network or bridge.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.build.options import BuildOptions
from runtime.engine import Engine
from tests.engine.build_lab import fill, view

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None, reason="needs root and docker.io (make peers)"
    ),
]

FILES: dict[str, str | bytes | None] = {
    "a.txt": "a",
    "b.txt": "bb",
    "c.md": "ccc",
    "sp ace": "s",
    "dir/x": "x",
    "dir/sub/y": "y",
    "dir/sub/deep/z": "z",
    "dir/l": "-> x",
    "dir/abs": "-> /etc/passwd",
    "other/x": "other",
    "empty": None,
    "link": "-> a.txt",
    "dirlink": "-> dir",
    "ignored/secret": "no",
    "ignored/kept": "yes",
    "tmp1.log": "log",
    ".dockerignore": "ignored\n!ignored/kept\n*.log\n# comment\nDockerfile\n.dockerignore\n",
}

CASES = [
    "COPY a.txt /",
    "COPY a.txt /x",
    "COPY a.txt /x/",
    "COPY a.txt x/y/z",
    "COPY a.txt b.txt /d/",
    "COPY *.txt /d/",
    "COPY ?.md /d/",
    "COPY [ab].txt /d/",
    "COPY dir /d",
    "COPY dir/ /d/",
    "COPY dir /",
    "COPY dir/sub dir/x /d/",
    "COPY . /all",
    "COPY . .",
    "COPY ./dir/../a.txt /",
    "COPY dir/sub/* /d/",
    "COPY di*/sub /d/",
    "COPY empty /e",
    "COPY link /",
    "COPY link /l/",
    "COPY dirlink /d",
    'COPY ["sp ace", "/with space"]',
    'COPY ["a.txt", "b.txt", "/d e/"]',
    "COPY --chown=1:2 a.txt /x/",
    "COPY --chown=7 dir /d",
    "COPY --chown=7 dir /d\nCOPY a.txt /d/sub/",
    "COPY a.txt /x\nCOPY b.txt /x",
    "COPY dir /d\nCOPY other /d",
    "COPY dir /d\nCOPY a.txt /d",
    "COPY dir /d\nWORKDIR /d\nCOPY a.txt .\nCOPY b.txt ./sub/",
    "COPY dir /d\nCOPY a.txt /d/l",
    "WORKDIR /w/x\nCOPY a.txt .",
    "WORKDIR /w\nWORKDIR x\nCOPY a.txt ./y",
    "WORKDIR /w\nWORKDIR ..\nCOPY a.txt .",
    "USER 5:6\nWORKDIR /w/x\nCOPY a.txt .",
    "ENV P=/p\nWORKDIR $P/q",
    "ADD a.txt /x",
    "ADD arch.tar /x",
    "ADD arch.tar /x/",
    "ADD arch.tar.gz /",
    "ADD arch.tar a.txt /x/",
    "COPY arch.tar /x/",
    "COPY dir /d\nADD arch.tar /d",
    "ENV a=1 b=2",
    "ENV a 1 2  3",
    'ENV a="x y" b=\'$c\' c=d\\ e',
    "ENV a=1\nENV a=2 b=$a\nENV c=${b}x ${a}y=z",
    "ENV e=\nENV f=${e:-default} g=${h:+set} i=${f:+set}",
    "ENV PATH=/opt/bin:$PATH",
    "ARG a=1\nENV b=$a",
    "ARG a=1\nENV a=2\nENV b=$a",
    "ARG GIVEN\nENV b=$GIVEN c=${GIVEN:-no}",
    "ARG GIVEN=default\nENV b=$GIVEN",
    "ENV b=$GIVEN",
    "ARG TARGETARCH\nARG TARGETOS\nENV b=$TARGETOS/$TARGETARCH",
    "LABEL a=1 b.c=\"x y\"\nLABEL a=2\nLABEL d e f",
    'LABEL multi="line one \\\nline two" "quoted key"=v',
    "EXPOSE 80",
    "EXPOSE 80/tcp 53/udp 8000-8002",
    "ENV p=99\nEXPOSE $p ${p}9",
    "USER nobody",
    "USER 1000:100",
    "VOLUME /data",
    'VOLUME ["/data", "/more data"]',
    "VOLUME /a /b/",
    "STOPSIGNAL SIGINT",
    "STOPSIGNAL 9",
    'CMD ["a", "b c"]',
    "CMD a b $c",
    "CMD a\nCMD b",
    'ENTRYPOINT ["a"]',
    "ENTRYPOINT a b",
    'CMD ["c"]\nENTRYPOINT ["a"]',
    'ENTRYPOINT ["a"]\nCMD ["c"]',
    'SHELL ["/bin/bash", "-o", "pipefail", "-c"]\nCMD x\nENTRYPOINT y',
    "HEALTHCHECK NONE",
    "HEALTHCHECK CMD test -f /x",
    'HEALTHCHECK --interval=5s --timeout=2s --start-period=1m --retries=7 CMD ["a", "b"]',
    "ONBUILD COPY a.txt /on",
    "ONBUILD RUN make\nONBUILD ENV a=b",
    "MAINTAINER Some Body <some@body>",
    "COPY a.txt /one\nFROM scratch\nCOPY b.txt /two",
    "COPY --chown=3:4 dir /d\nFROM scratch\nCOPY --from=0 /d /e\nCOPY --from=0 /d/x /",
    "COPY dir /d\nFROM scratch AS two\nCOPY --from=0 /d/sub/ /s/\nFROM two\nCOPY --from=two /s/y /yy",
    "ENV a=1\nCOPY a.txt /x\nWORKDIR /w\nFROM scratch AS b\nFROM b\nENV c=d",
    "COPY dir /d\nFROM scratch\nCOPY --from=0 --chown=9 /d/l /linked",
    "COPY --from=busy /bin/busybox /bin/sh\nRUN echo hi > /out",
    "COPY --from=busy / /\nRUN mkdir -m 700 /made && echo x > /made/f && chown 3:4 /made",
    "COPY --from=busy / /\nCOPY dir /d\nRUN rm -r /d/sub && ln -s x /d/new && chmod 600 /d/x",
    "COPY --from=busy / /\nCOPY dir /d\nRUN rm -r /d && mkdir /d && touch /d/only",
    "COPY --from=busy / /\nENV a=1\nARG b=2\nUSER 7\nWORKDIR /tmp\nRUN echo $a$b$(id -u)$(pwd) > o",
    "COPY --from=busy / /\nRUN ln -s /data /app && mkdir /data\nCOPY a.txt /app/\nCOPY dir /app",
    "COPY --from=busy / /\nRUN ln -s /gone /app\nCOPY a.txt /app/",
    "COPY --from=busy / /\nRUN mkdir -p /d/sub && chown -R 5:5 /d && chmod 1777 /d\nCOPY dir /d",
    'COPY --from=busy / /\nSHELL ["/bin/sh", "-ec"]\nRUN echo "$-" > /flags',
    "COPY --from=busy / /\nUSER 12:13\nRUN mkdir /tmp/mine\nCOPY a.txt /tmp/mine/",
    "COPY --from=busy / /\nRUN --mount=type=bind,target=/m cp /m/a.txt /got",
    "COPY --from=busy / /\nRUN --mount=type=tmpfs,target=/t touch /t/x && echo done > /got",
    "COPY --from=busy / /\nRUN --mount=type=cache,target=/c touch /c/x && ls /c > /got",
]  # fmt: skip

PREFIX = "FROM scratch AS busy\nADD busybox.tar /\nFROM scratch\n"
LEFT_BY_DOCKER = {".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "etc/hosts",
                  "etc/hostname",
                  "etc/resolv.conf", "etc/mtab", "proc", "sys", "m", "t", "c"}  # fmt: skip


@dataclass(frozen=True)
class Docker:
    """A daemon of our own, and a context for both builders."""

    host: str

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": self.host}
        done = subprocess.run(["/usr/bin/docker", *argv], env=env, check=False, capture_output=True)
        assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
        return done


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    directory = Path(tempfile.mkdtemp(prefix="dk", dir="/tmp"))
    host = f"unix://{directory}/s"
    log = (directory / "log").open("wb")
    daemon = subprocess.Popen(
        ["dockerd", "-H", host, "--data-root", directory / "data", "--exec-root", directory / "exec",
         "--pidfile", directory / "pid", "--bridge", "none", "--iptables=false", "--ip-masq=false"],
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    made = Docker(host)
    deadline = time.monotonic() + 30
    while made.run("version", check=False).returncode and time.monotonic() < deadline:
        time.sleep(0.2)
    yield made
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)
    log.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, busybox_tar: bytes) -> Path:
    directory = fill(tmp_path_factory.mktemp("context"), FILES)
    (directory / "busybox.tar").write_bytes(busybox_tar)
    (directory / "dir/sub").chmod(0o750)
    (directory / "b.txt").chmod(0o4711)
    os.chown(directory / "c.md", 50, 60)
    for name, mode in (("arch.tar", "w"), ("arch.tar.gz", "w:gz")):
        with tarfile.open(directory / name, mode) as archive:  # type: ignore[call-overload]  # a literal mode
            for path, kind in (
                ("t", tarfile.DIRTYPE),
                ("t/f", tarfile.REGTYPE),
                ("t/n/deep", tarfile.REGTYPE),
            ):
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode, entry.uid, entry.gid, entry.mtime = kind, 0o751, 11, 12, 1_000_000
                entry.size = 2 if kind == tarfile.REGTYPE else 0
                archive.addfile(entry, io.BytesIO(b"hi"))
    return directory


Tree = dict[str, tuple[object, ...]]


def docker_tree(docker: Docker, image: str) -> Tree:
    """Out of the layers of `docker save`: what the image holds, not what a container's start adds."""
    data = docker.run("save", image).stdout
    found: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        manifest = json.load(_member(archive, "manifest.json"))
        for layer in manifest[0]["Layers"]:
            with tarfile.open(fileobj=_member(archive, layer)) as tar:
                _apply(found, tar)
    return found


def _member(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    file = archive.extractfile(name)
    assert file is not None
    return io.BytesIO(file.read())


def _apply(found: Tree, tar: tarfile.TarFile) -> None:
    entries = [(entry.name.removeprefix("./").strip("/"), entry) for entry in tar.getmembers()]
    for path, entry in entries:
        parent, _, name = path.rpartition("/")
        if name == ".wh..wh..opq" or name.startswith(".wh."):
            gone = parent if name == ".wh..wh..opq" else f"{parent}/{name[4:]}".lstrip("/")
            for known in [
                key for key in found if key.startswith(f"{gone}/") or (key == gone and name != ".wh..wh..opq")
            ]:
                del found[known]
            del entry
    for path, entry in entries:
        if not path or path.rpartition("/")[2].startswith(".wh."):
            continue
        owner = (entry.mode & 0o7777, entry.uid, entry.gid)
        if entry.isdir():
            found[path] = ("d", *owner)
        elif entry.issym():
            found[path] = ("l", entry.linkname)
        elif entry.islnk():
            found[path] = found[entry.linkname.removeprefix("./").strip("/")]
        else:
            file = tar.extractfile(entry)
            assert file is not None
            found[path] = ("f", *owner, file.read())


def our_tree(engine: Engine, image: str) -> Tree:
    merged = view(engine, image)
    found: Tree = {}
    pending = [merged.root] if merged.root is not None else []
    while pending:
        for node in merged.children(pending.pop()):
            owner = (node.stat.st_mode & 0o7777, node.stat.st_uid, node.stat.st_gid)
            if node.is_directory:
                found[node.path] = ("d", *owner)
                pending.append(node)
            elif node.is_link:
                found[node.path] = ("l", os.readlink(node.real))
            else:
                found[node.path] = ("f", *owner, Path(node.real).read_bytes())
    return found


CONFIG_KEYS = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels",
               "StopSignal",
               "Healthcheck", "Shell", "OnBuild")  # fmt: skip


DEFAULTS = {"Interval": 30 * 10**9, "Timeout": 30 * 10**9, "StartInterval": 5 * 10**9, "Retries": 3}
"""docker leaves out what was not given, and means these."""


def configuration(document: dict[str, Any]) -> dict[str, Any]:
    config = document["Config"]
    found = {key: config.get(key) or None for key in CONFIG_KEYS}
    found["Author"] = document.get("Author") or None
    health = found["Healthcheck"]
    if health:
        found["Healthcheck"] = {
            key: value for key, value in health.items() if value not in (0, DEFAULTS.get(key))
        }
    return found


def without_stubs(tree: Tree, other: Tree) -> Tree:
    """BuildKit of Debian 12's age leaves mount points, its own and those of --mount, in a RUN's layer."""
    return {path: what for path, what in tree.items() if path in other or path not in LEFT_BY_DOCKER}


@pytest.mark.parametrize("case", CASES)
def test_same_image(docker: Docker, shared_engine: Engine, context: Path, case: str) -> None:
    head, from_, tail = case.partition("\nFROM scratch")
    uses_busybox = "--from=busy" in case
    text = (PREFIX if uses_busybox else "FROM scratch\n") + head + from_ + tail + "\n"
    text += "COPY a.txt /last\n"
    (context / "Dockerfile").write_text("# syntax-less\n" + text)
    docker.run("build", "-q", "--network=none", "--build-arg", "GIVEN=given", "-t", "case", str(context))
    options = BuildOptions(context=context, build_args={"GIVEN": "given"}, network="none")
    ours = shared_engine.build(options).image_id
    theirs = json.loads(docker.run("inspect", "case").stdout)[0]
    assert configuration(shared_engine.images.inspect(ours)) == configuration(theirs)
    expected, found = docker_tree(docker, "case"), our_tree(shared_engine, ours)
    assert without_stubs(found, expected) == without_stubs(expected, found)
