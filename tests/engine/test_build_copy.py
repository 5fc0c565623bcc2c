"""COPY, ADD and WORKDIR on real layers: what lands where, with which owner and mode."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.build.failure import BaseNotFound, DockerfileError
from runtime.engine import Engine
from runtime.errors import EngineError, NotFound
from tests.engine.build_lab import Recorder, build, fill, read, tree, view

pytestmark = pytest.mark.engine

FILES: dict[str, str | bytes | None] = {
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "dir/x": "x",
    "dir/sub/y": "y",
    "empty": None,
    "link": "-> a.txt",
    "dirlink": "-> dir",
}

D = "755 0:0"
DIR = {"d/": D, "d/x": "644 0:0 x", "d/sub/": D, "d/sub/y": "644 0:0 y"}
PARENTS = {"p/": D, "p/dir/": D, "p/dir/sub/": D, "p/dir/sub/y": "644 0:0 y"}

ROWS: list[tuple[str, dict[str, str]]] = [
    ("COPY a.txt /", {"a.txt": "644 0:0 a"}),
    ("COPY a.txt /x", {"x": "644 0:0 a"}),
    ("COPY a.txt /x/", {"x/": D, "x/a.txt": "644 0:0 a"}),
    ("COPY a.txt x/y/z", {"x/": D, "x/y/": D, "x/y/z": "644 0:0 a"}),
    ("COPY a.txt b.txt /d/", {"d/": D, "d/a.txt": "644 0:0 a", "d/b.txt": "644 0:0 b"}),
    ("COPY *.txt /d/", {"d/": D, "d/a.txt": "644 0:0 a", "d/b.txt": "644 0:0 b"}),
    ("COPY ?.md /d/", {"d/": D, "d/c.md": "644 0:0 c"}),
    ("COPY [ab].txt /d/", {"d/": D, "d/a.txt": "644 0:0 a", "d/b.txt": "644 0:0 b"}),
    ("COPY dir /d", DIR),
    ("COPY dir/ /d/", DIR),
    ("COPY dir /", {"x": "644 0:0 x", "sub/": D, "sub/y": "644 0:0 y"}),
    ("COPY /dir/x /", {"x": "644 0:0 x"}),
    ("COPY ./dir/../a.txt /", {"a.txt": "644 0:0 a"}),
    ("COPY */x /d/", {"d/": D, "d/x": "644 0:0 x"}),
    ("COPY empty /e", {"e/": D}),
    ("COPY link /", {"link": "644 0:0 a"}),
    ("COPY dirlink /d", DIR),
    ('COPY ["a.txt", "/with space"]', {"with space": "644 0:0 a"}),
    ("COPY --chown=1:2 a.txt /x/", {"x/": "755 1:2", "x/a.txt": "644 1:2 a"}),
    ("COPY --chown=7 dir /d",
     {"d/": "755 7:7", "d/x": "644 7:7 x", "d/sub/": "755 7:7", "d/sub/y": "644 7:7 y"}),
    ("COPY --chmod=600 a.txt /x", {"x": "600 0:0 a"}),
    ("COPY --chmod=u=rwX,go=rX dir /d", DIR),
    ("COPY --link a.txt /l/", {"l/": D, "l/a.txt": "644 0:0 a"}),
    ("COPY --exclude=sub dir /d", {"d/": D, "d/x": "644 0:0 x"}),
    ("COPY --exclude=*.txt --exclude=[deDlv]* . /d", {"d/": D, "d/c.md": "644 0:0 c"}),
    ("COPY --parents dir/sub/y /p/", PARENTS),
    ("COPY --parents dir/**/y /p/", PARENTS),
    ("COPY <<x.txt /d/\nhello\nx.txt", {"d/": D, "d/x.txt": "644 0:0 hello\n"}),
    ("COPY <<E /file\n$V\nE", {"file": "644 0:0 value\n"}),
    ("COPY <<'E' /file\n$V\nE", {"file": "644 0:0 $V\n"}),
    ("COPY --chmod=755 <<E /file\nx\nE", {"file": "755 0:0 x\n"}),
    ("COPY <<a <<b /d/\n1\na\n2\nb", {"d/": D, "d/a": "644 0:0 1\n", "d/b": "644 0:0 2\n"}),
    ("COPY $V /\n", {"value": "644 0:0 v"}),
    ("COPY a.txt /$V/", {"value/": D, "value/a.txt": "644 0:0 a"}),
    ("WORKDIR /w/x\nCOPY a.txt .", {"w/": D, "w/x/": D, "w/x/a.txt": "644 0:0 a"}),
    ("WORKDIR /w\nWORKDIR x\nCOPY a.txt ./y", {"w/": D, "w/x/": D, "w/x/y": "644 0:0 a"}),
    ("WORKDIR /w\nWORKDIR ..\nCOPY a.txt .", {"w/": D, "a.txt": "644 0:0 a"}),
    ("COPY a.txt /x\nCOPY b.txt /x", {"x": "644 0:0 b"}),
    ("COPY dir /d\nCOPY a.txt /d", {**DIR, "d/a.txt": "644 0:0 a"}),
    ("ADD a.txt /x", {"x": "644 0:0 a"}),
]  # fmt: skip


@pytest.mark.parametrize(("instructions", "expected"), ROWS)
def test_copy(engine: Engine, tmp_path: Path, instructions: str, expected: dict[str, str]) -> None:
    context = fill(tmp_path, {**FILES, "value": "v"})
    result = build(engine, context, f"FROM scratch\nENV V=value\n{instructions}")
    assert tree(engine, result.image_id) == expected


def test_links_in_a_directory_stay_links(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"d/f": "f", "d/in": "-> f", "d/out": "-> /etc/passwd", "d/up": "-> ../../.."})
    result = build(engine, context, "FROM scratch\nCOPY d /d")
    assert tree(engine, result.image_id) == {
        "d/": "755 0:0",
        "d/f": "644 0:0 f",
        "d/in": "-> f",
        "d/out": "-> /etc/passwd",
        "d/up": "-> ../../..",
    }


def test_modes_owners_and_times_of_the_context(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"d/x": "x"})
    (context / "d").chmod(0o750)
    os.chown(context / "d/x", 123, 456)
    (context / "d/x").chmod(0o4711)
    os.utime(context / "d/x", (1_000_000_000, 1_000_000_000))
    result = build(engine, context, "FROM scratch\nCOPY . /c/")
    found = tree(engine, result.image_id)
    assert found["c/d/"] == "750 0:0"
    assert found["c/d/x"] == "4711 0:0 x"
    node = view(engine, result.image_id).lookup("c/d/x")
    assert node is not None
    assert node.stat.st_mtime == 1_000_000_000


def test_destination_through_a_link_of_a_lower_layer(engine: Engine, tmp_path: Path) -> None:
    """/app is a link to /data: what is copied to /app lands in /data, inside the image."""
    context = fill(
        tmp_path / "c", {"f": "f", "lower/app": "-> /data", "lower/data": None, "lower/out": "-> ../../.."}
    )
    result = build(
        engine, context, "FROM scratch\nCOPY lower /\nCOPY f /app/\nCOPY f /out/g\nCOPY f /app/n/m"
    )
    found = tree(engine, result.image_id)
    assert found["app"] == "-> /data"
    assert found["data/f"] == "644 0:0 f"
    assert found["data/n/m"] == "644 0:0 f"
    assert found["g"] == "644 0:0 f"
    assert not (tmp_path / "g").exists()


def test_parents_of_lower_layers_keep_their_metadata(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f", "lower/d/x": "x"})
    (context / "lower/d").chmod(0o1777)
    result = build(engine, context, "FROM scratch\nCOPY --chown=5:6 lower /\nCOPY f /d/")
    found = tree(engine, result.image_id)
    assert found["d/"] == "1777 5:6"
    assert found["d/f"] == "644 0:0 f"


def test_ignored_files_are_not_there(engine: Engine, tmp_path: Path) -> None:
    context = fill(
        tmp_path,
        {
            ".dockerignore": "*\n!keep\nkeep/not\n",
            "secret": "s",
            "keep/yes": "y",
            "keep/not": "n",
            "other/x": "x",
        },
    )
    result = build(engine, context, "FROM scratch\nCOPY . /")
    assert tree(engine, result.image_id) == {"keep/": "755 0:0", "keep/yes": "644 0:0 y"}
    with pytest.raises(DockerfileError, match=r"excluded by \.dockerignore: secret"):
        build(engine, context, "FROM scratch\nCOPY secret /")


def test_ignore_file_of_the_dockerfile_comes_first(engine: Engine, tmp_path: Path) -> None:
    context = fill(
        tmp_path,
        {".dockerignore": "a", "Dockerfile.dockerignore": "b\nDocker*\n.docker*", "a": "a", "b": "b"},
    )
    result = build(engine, context, "FROM scratch\nCOPY . /")
    assert tree(engine, result.image_id) == {"a": "644 0:0 a"}


def test_special_files_of_a_context(engine: Engine, tmp_path: Path) -> None:
    """A socket is left out, a FIFO is copied and never opened."""
    context = fill(tmp_path, {"f": "f"})
    os.mkfifo(context / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(context, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
        result = build(engine, context, "FROM scratch\nCOPY . /")
    names = {node.path for node in view(engine, result.image_id).children(view(engine, result.image_id).root)}  # type: ignore[arg-type]  # there is a layer
    assert names == {"Dockerfile", "f", "fifo"}


def test_loop_of_links_is_refused(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"a": "-> b", "b": "-> a"})
    with pytest.raises(DockerfileError, match="too many symbolic links"):
        build(engine, context, "FROM scratch\nCOPY a/x /")


def _archive(compress: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directory = tarfile.TarInfo("t")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o750
        archive.addfile(directory)
        entry = tarfile.TarInfo("t/f")
        entry.size, entry.mode, entry.uid, entry.gid = 2, 0o640, 11, 12
        archive.addfile(entry, io.BytesIO(b"hi"))
        linked = tarfile.TarInfo("t/hard")
        linked.type, linked.linkname = tarfile.LNKTYPE, "t/f"
        archive.addfile(linked)
    data = buffer.getvalue()
    return gzip.compress(data) if compress else data


@pytest.mark.parametrize("codec", ["plain", "gzip", "bzip2", "xz", "zstd"])
def test_add_unpacks_archives_by_content(engine: Engine, tmp_path: Path, codec: str) -> None:
    import bz2
    import lzma

    import zstandard

    codecs: dict[str, Callable[[bytes], bytes]] = {
        "plain": bytes,
        "gzip": gzip.compress,
        "bzip2": bz2.compress,
        "xz": lzma.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }
    context = fill(tmp_path, {"archive.bin": codecs[codec](_archive())})
    result = build(engine, context, "FROM scratch\nADD archive.bin /d")
    assert tree(engine, result.image_id) == {
        "d/": "755 0:0",
        "d/t/": "750 0:0",
        "d/t/f": "640 11:12 hi",
        "d/t/hard": "640 11:12 hi",
    }
    merged = view(engine, result.image_id)
    first, second = merged.lookup("d/t/f"), merged.lookup("d/t/hard")
    assert first is not None
    assert second is not None
    assert first.stat.st_ino == second.stat.st_ino


def test_add_copies_what_is_no_archive(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"x.tar": "not a tar", "y.gz": gzip.compress(b"text")})
    result = build(engine, context, "FROM scratch\nADD x.tar y.gz /")
    assert set(tree(engine, result.image_id)) == {"x.tar", "y.gz"}


def test_add_with_unpack_false_and_copy_leave_archives(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"x.tar": _archive()})
    result = build(engine, context, "FROM scratch\nADD --unpack=false x.tar /a.tar\nCOPY x.tar /b.tar")
    assert set(tree(engine, result.image_id)) == {"a.tar", "b.tar"}


def test_add_of_a_hostile_archive_stays_inside(engine: Engine, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("../../escaped")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    context = fill(tmp_path / "c", {"x.tar": buffer.getvalue()})
    with pytest.raises(EngineError, match="leads out"):
        build(engine, context, "FROM scratch\nADD x.tar /")
    assert not (tmp_path / "escaped").exists()


def test_copy_from_a_stage_keeps_owners(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f", "g": "g"})
    result = build(
        engine,
        context,
        "FROM scratch AS one\nCOPY --chown=3:4 f /d/f\nFROM scratch AS two\nCOPY g /g\n"
        "FROM scratch\nCOPY --from=one /d /d\nCOPY --from=1 /g /\nCOPY --from=one --chown=0:0 /d/f /h",
    )
    assert tree(engine, result.image_id) == {
        "d/": "755 0:0",
        "d/f": "644 3:4 f",
        "g": "644 0:0 g",
        "h": "644 0:0 f",
    }


def test_copy_from_an_image_and_a_named_context(engine: Engine, tmp_path: Path) -> None:
    one = fill(tmp_path / "one", {"f": "f"})
    other = fill(tmp_path / "other", {"o": "o"})
    build(engine, one, "FROM scratch\nCOPY f /f", tags=("donor:1",))
    result = build(
        engine,
        one,
        "FROM scratch\nCOPY --from=donor:1 /f /x\nCOPY --from=more o /y",
        build_contexts={"more": str(other)},
    )
    assert tree(engine, result.image_id) == {"x": "644 0:0 f", "y": "644 0:0 o"}


def test_only_needed_stages_are_built(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f"})
    text = (
        "FROM scratch AS a\nCOPY f /a\nFROM scratch AS broken\nCOPY nosuch /\n"
        "FROM a AS c\nCOPY f /c\nFROM broken AS d"
    )
    recorder = Recorder()
    result = build(engine, context, text, target="C", recorder=recorder)
    assert set(tree(engine, result.image_id)) == {"a", "c"}
    assert [title for title in recorder.ends if "COPY" in title] == ["[a 1/1] COPY f /a", "[c 1/1] COPY f /c"]
    with pytest.raises(DockerfileError, match="target stage 'nope' could not be found"):
        build(engine, context, text, target="nope")


ERRORS = [
    ("COPY nosuch /x", "Dockerfile:2: COPY failed: file not found in build context"),
    ("COPY ../up /x", "forbidden path outside the build context: ../up"),
    ("COPY d/../../up /x", "forbidden path outside the build context"),
    ("COPY *.none /x", "no file in build context matches *.none"),
    ("COPY outside /x", "file not found in build context"),
    ("COPY --chown=nobody-here f /x", "unable to find user nobody-here"),
    ("COPY --chown=0:nobody-here f /x", "unable to find group nobody-here"),
    ("COPY --chmod=banana f /x", "invalid chmod parameter: 'banana'"),
    ("COPY --from=0 f /x", "there is no stage 0 before this one"),
    ("COPY f /x/\nCOPY f /x/f/g", "cannot copy"),
    ("COPY d /x\nCOPY --chown=0 f /x/\nCOPY d /x/f", "cannot copy to non-directory: /x/f"),
    ("ADD git://127.0.0.1:1/y.git /x", "cannot fetch git://127.0.0.1:1/y.git"),
    ("ADD git@127.0.0.1:x/y /x", "cannot fetch git@127.0.0.1:x/y"),
    ("COPY f /x\nWORKDIR /x", "/x is no directory"),
    ("COPY ${V:?say-V} /x", "V: say-V"),
    ("EXPOSE banana", "EXPOSE failed: invalid containerPort: banana"),
    ("EXPOSE 80/foo", "invalid protocol: foo"),
    ("EXPOSE 70000", "invalid containerPort"),
    ("STOPSIGNAL SIGFOO", "invalid signal: SIGFOO"),
    ("ENV $V=1", "names can not be blank"),
    ("RUN --mount=type=foo,target=/x true", "unsupported mount type 'foo'"),
]


@pytest.mark.parametrize(("instructions", "message"), ERRORS)
def test_errors_name_line_and_cause(engine: Engine, tmp_path: Path, instructions: str, message: str) -> None:
    context = fill(tmp_path / "c", {"f": "f", "d/x": "x", "outside": "-> /etc/hostname-of-the-machine"})
    fill(tmp_path, {"up": "u"})
    with pytest.raises(DockerfileError) as caught:
        build(engine, context, f"FROM scratch\n{instructions}")
    assert message in caught.value.message
    assert caught.value.message.startswith("Dockerfile:")
    assert "\n" not in caught.value.message
    assert ">>>" in caught.value.details
    assert not [path for path in engine.context.paths.build.iterdir() if path.name.startswith(".tmp")]


def test_a_source_link_never_leads_outside(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path / "c", {"l": "-> /etc/passwd", "up": "-> ../secret"})
    fill(tmp_path, {"secret": "s"})
    for source in ("l", "up"):
        with pytest.raises(DockerfileError, match="file not found in build context"):
            build(engine, context, f"FROM scratch\nCOPY {source} /x")


def test_unknown_base_image(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(BaseNotFound) as caught:
        build(engine, tmp_path, "FROM localhost:1/nosuch:1\n")
    assert isinstance(caught.value, NotFound)
    assert caught.value.message == (
        "Dockerfile:1: FROM localhost:1/nosuch:1: no such image: localhost:1/nosuch:1 here, and it was not"
        " pulled: cannot reach registry localhost:1: connection refused"
    )
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "Dockerfile is empty"), ("FROM $nope", "the base name ($nope) is blank"),
     ("FROM --platform=windows/amd64 scratch", "cannot build for the platform windows/amd64")],
)  # fmt: skip
def test_refused_dockerfiles(engine: Engine, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        build(engine, tmp_path, text)
    assert message in caught.value.message


def test_missing_dockerfile_and_context(engine: Engine, tmp_path: Path) -> None:
    from runtime.build.options import BuildOptions

    with pytest.raises(DockerfileError, match="failed to read dockerfile"):
        engine.build(BuildOptions(context=tmp_path))
    with pytest.raises(DockerfileError, match="does not exist"):
        engine.build(BuildOptions(context=tmp_path / "nosuch"))


def test_configuration_and_history(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f"})
    text = """
ARG GLOBAL=g
FROM scratch
ARG GLOBAL
ARG ONE=1
ARG TWO
ENV ONE=env A="b c"
LABEL one=$ONE "two words"="$A"
EXPOSE 80 8000-8002/udp
USER nobody
WORKDIR /w
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD test -f /x
SHELL ["/bin/bash", "-c"]
ENTRYPOINT ["top"]
CMD run $ONE
ONBUILD COPY f /on
MAINTAINER Me
COPY f /$GLOBAL
"""
    result = build(engine, context, text, labels={"given": "1"}, tags=("conf:1", "conf:2"))
    image = engine.images.get("conf:1")
    config = image.config
    assert image.id == result.image_id == engine.images.get("conf:2").id
    assert config.env == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ONE=env",
        "A=b c",
    )
    assert config.labels == {"one": "env", "two words": "b c", "given": "1"}
    assert config.exposed_ports == ("80/tcp", "8000/udp", "8001/udp", "8002/udp")
    assert (config.user, config.working_dir, config.volumes) == ("nobody", "/w", ("/data",))
    assert config.stop_signal == "SIGINT"
    assert config.healthcheck is not None
    assert config.healthcheck.test == ("CMD-SHELL", "test -f /x")
    assert config.healthcheck.interval == 5 * 10**9
    assert config.entrypoint == ("top",)
    assert config.cmd == ("/bin/bash", "-c", "run $ONE")
    assert config.shell == ("/bin/bash", "-c")
    assert config.on_build == ("COPY f /on",)
    assert image.author == "Me"
    assert [entry.created_by for entry in image.history] == [
        "ARG GLOBAL=g",
        "ARG ONE=1",
        "ARG TWO",
        "ENV ONE=env A=b c",
        "LABEL one=env two words=b c",
        "EXPOSE [80/tcp 8000/udp 8001/udp 8002/udp]",
        "USER nobody",
        "WORKDIR /w",
        "VOLUME [/data]",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK --interval=5s CMD test -f /x",
        "SHELL [/bin/bash -c]",
        'ENTRYPOINT ["top"]',
        'CMD ["/bin/bash" "-c" "run $ONE"]',
        "ONBUILD COPY f /on",
        "MAINTAINER Me",
        "COPY f /g # buildkit",
    ]
    assert [entry.created_by for entry in image.history if not entry.empty_layer] == [
        "WORKDIR /w",
        "COPY f /g # buildkit",
    ]
    assert len(image.layers) == 2


def test_entrypoint_resets_an_inherited_command(engine: Engine, tmp_path: Path) -> None:
    build(engine, tmp_path, 'FROM scratch\nCMD ["a"]', tags=("parent:1",))
    child = build(engine, tmp_path, 'FROM parent:1\nENTRYPOINT ["b"]')
    assert engine.images.get(child.image_id).config.cmd is None
    own = build(engine, tmp_path, 'FROM parent:1\nCMD ["c"]\nENTRYPOINT ["b"]')
    assert engine.images.get(own.image_id).config.cmd == ("c",)


def test_onbuild_triggers_run_in_the_child(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f"})
    build(engine, context, "FROM scratch\nONBUILD COPY f /from-trigger\nONBUILD ENV T=1", tags=("trigger:1",))
    child = build(engine, context, "FROM trigger:1\nCOPY f /own-$T")
    assert set(tree(engine, child.image_id)) == {"from-trigger", "own-1"}
    assert engine.images.get(child.image_id).config.on_build == ()


ARGUMENTS: list[tuple[str, dict[str, str], str]] = [
    ("FROM scratch\nARG A=1\nCOPY f /$A", {}, "1"),
    ("FROM scratch\nARG A=1\nCOPY f /$A", {"A": "2"}, "2"),
    ("FROM scratch\nARG A\nCOPY f /x$A", {}, "x"),
    ("FROM scratch\nARG A\nCOPY f /x$A", {"A": "y"}, "xy"),
    ("ARG A=1\nFROM scratch\nCOPY f /x$A", {}, "x"),
    ("ARG A=1\nFROM scratch\nARG A\nCOPY f /x$A", {}, "x1"),
    ("ARG A=1\nFROM scratch\nARG A=2\nCOPY f /x$A", {}, "x2"),
    ("ARG A=1\nARG B=$A\nFROM scratch\nARG B\nCOPY f /x$B", {"A": "7"}, "x7"),
    ("FROM scratch\nENV A=env\nARG A=arg\nCOPY f /$A", {}, "env"),
    ("FROM scratch\nARG A=arg\nENV A=env\nCOPY f /$A", {"A": "x"}, "env"),
    ("FROM scratch\nARG A=1\nENV B=${A}2\nCOPY f /$B", {}, "12"),
    ("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nCOPY f /$def", {}, "hello"),
    ("FROM scratch AS p\nARG A=1\nFROM p\nCOPY f /x$A", {}, "x1"),
    ("FROM scratch AS p\nENV A=1\nFROM p\nCOPY f /x$A", {}, "x1"),
    ("FROM scratch AS p\nARG A=1\nFROM scratch\nCOPY f /x$A", {}, "x"),
    ("FROM scratch\nCOPY f /x$A\nARG A=1", {"A": "1"}, "x"),
    ("ARG BASE=scratch\nFROM ${BASE}\nCOPY f /x", {}, "x"),
    ("FROM scratch\nARG TARGETOS\nCOPY f /x$TARGETOS", {}, "xlinux"),
    ("FROM scratch\nCOPY f /x$TARGETOS", {}, "x"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "build_args", "name"), ARGUMENTS)
def test_arguments(engine: Engine, tmp_path: Path, text: str, build_args: dict[str, str], name: str) -> None:
    result = build(engine, fill(tmp_path, {"f": "f"}), text, build_args=build_args)
    assert set(tree(engine, result.image_id)) == {name}


def test_unused_build_argument_is_told(engine: Engine, tmp_path: Path) -> None:
    result = build(engine, tmp_path, "FROM scratch\nENV a=b", build_args={"NOPE": "1", "HTTP_PROXY": "x"})
    assert [str(item) for item in result.warnings] == ["One or more build-args [NOPE] were not consumed"]


def test_context_from_an_archive_and_dockerfile_from_text(engine: Engine, tmp_path: Path) -> None:
    from runtime.build.options import BuildOptions

    buffer = io.BytesIO(_archive(compress=True))
    result = engine.build(
        BuildOptions(context=tmp_path, context_archive=buffer, dockerfile_text="FROM scratch\nCOPY t/f /x\n")
    )
    assert read(engine, result.image_id, "x") == "hi"


def test_add_fetches_and_checks(engine: Engine, tmp_path: Path) -> None:
    """A URL becomes a file of mode 600 that is not unpacked; a wrong checksum or status ends the build."""
    import hashlib
    import http.server
    import threading
    from functools import partial

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    served = fill(tmp_path / "served", {"x.tar": _archive(), "y": "y"})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    right = hashlib.sha256(b"y").hexdigest()
    context = fill(tmp_path / "c", {"f": "f"})
    try:
        result = build(
            engine,
            context,
            f"FROM scratch\nADD {url}/x.tar /d/\nADD --checksum=sha256:{right} {url}/y?q=1 /e/",
        )
        found = tree(engine, result.image_id)
        assert set(found) == {"d/", "d/x.tar", "e/", "e/y"}
        assert found["e/y"] == "600 0:0 y"
        for instruction, message in (
            (f"ADD --checksum=sha256:{'0' * 64} {url}/y /e", "checksum of"),
            (f"ADD {url}/nosuch /e", "the server answered 404"),
            ("ADD http://127.0.0.1:1/x /e", "cannot fetch"),
        ):
            with pytest.raises(DockerfileError, match=message):
                build(engine, context, f"FROM scratch\n{instruction}")
        with pytest.raises(EngineError, match="unsupported --checksum"):
            build(engine, context, f"FROM scratch\nADD --checksum=md5:1 {url}/y /e")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
