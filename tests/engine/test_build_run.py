"""RUN in isolated containers: environment, heredocs, mounts, network, failures; and the layer cache."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from runtime.build.failure import BuildFailed, DockerfileError
from runtime.build.options import Secret
from runtime.engine import Engine
from runtime.errors import Cancelled
from tests.engine.build_lab import Recorder, build, fill, read, tree, view

pytestmark = pytest.mark.engine

ROWS = [
    ("RUN echo hi > /out", "hi\n"),
    ('RUN ["sh", "-c", "echo $0 > /out", "exec"]', "exec\n"),
    ("ENV A=1\nRUN echo $A > /out", "1\n"),
    ("ARG A=2\nRUN echo $A > /out", "2\n"),
    ("ARG A=2\nENV A=3\nRUN echo $A > /out", "3\n"),
    ("RUN echo '$A' > /out", "$A\n"),
    ("WORKDIR /w\nRUN pwd > /out", "/w\n"),
    ("RUN id -u > /out", "0\n"),
    ("USER nobody\nRUN id -u > /tmp/out\nUSER 0\nRUN mv /tmp/out /out", "65534\n"),
    ("USER 12:34\nRUN echo $(id -u):$(id -g) > /tmp/out\nUSER 0\nRUN mv /tmp/out /out", "12:34\n"),
    ("RUN hostname > /out", "buildkitsandbox\n"),
    ("RUN echo a && \\\n    echo b > /out", "b\n"),
    ("RUN <<EOF\necho one > /out\necho two >> /out\nEOF", "one\ntwo\n"),
    ("RUN <<EOF\n#!/bin/sh\necho $0 > /out\nEOF", "/dev/pipes/EOF\n"),
    ("RUN cat <<EOF > /out\nhello $((1+1))\nEOF", "hello 2\n"),
    ("RUN cat <<'EOF' > /out\nhello $x\nEOF", "hello $x\n"),
    ("RUN cat <<-EOF > /out\n\ttabs\n\tEOF", "tabs\n"),
    ('SHELL ["/bin/sh", "-ec"]\nRUN echo $- | grep -o e > /out', "e\n"),
    ("RUN echo $PATH > /out", "/bin\n"),
    ("RUN echo $HOME > /out", "/root\n"),
    ("RUN ls /sys/class/net | grep -c eth0 > /out", "1\n"),
    ("RUN --network=none ls /sys/class/net > /out", "lo\n"),
    ("RUN --mount=type=tmpfs,target=/t echo x > /t/x && ls /t > /out", "x\n"),
    ("RUN --mount=target=/ctx cat /ctx/f > /out", "from context"),
    ("RUN --mount=source=f,target=/one cat /one > /out", "from context"),
    ("RUN --mount=target=/ctx sh -c 'echo x 2>/dev/null > /ctx/f || echo read-only > /out'", "read-only\n"),
    ("RUN --mount=target=/ctx,rw echo changed > /ctx/f && cat /ctx/f > /out", "changed\n"),
    ("RUN --mount=type=bind,from=busybox,source=/bin,target=/b ls /b/busybox > /out", "/b/busybox\n"),
    ("RUN mkdir /d && rm /etc/group\nRUN ls -d /d > /out; ls /etc/group >> /out 2>&1 || true", None),
]  # fmt: skip


@pytest.mark.parametrize(("instructions", "expected"), ROWS)
def test_run(engine: Engine, busybox: str, tmp_path: Path, instructions: str, expected: str | None) -> None:
    context = fill(tmp_path, {"f": "from context"})
    result = build(engine, context, f"FROM {busybox}\n{instructions}")
    if expected is not None:
        assert read(engine, result.image_id, "out") == expected
    assert (context / "f").read_text() == "from context"


def test_layer_holds_only_what_was_written(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """Nothing that a container's start makes for itself: no dev, resolv.conf, hosts; no mount points."""
    before = tree(engine, busybox)
    result = build(
        engine,
        fill(tmp_path, {"f": "f"}),
        f"FROM {busybox}\nRUN --mount=target=/m/c --mount=type=cache,target=/c echo x > /out; rm /etc/group",
    )
    after = tree(engine, result.image_id)
    assert set(after) - set(before) == {"out"}
    assert set(before) - set(after) == {"etc/group"}
    image = engine.images.get(result.image_id)
    assert len(image.layers) == 2
    assert image.history[-1].created_by.startswith("RUN /bin/sh -c echo x > /out")


def test_result_runs(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """What a build made is what a container sees."""
    from runtime.model.container import ContainerConfig

    build(
        engine,
        fill(tmp_path, {"f": "f"}),
        f"FROM {busybox}\nCOPY f /c\nRUN cat /c /c > /cc",
        tags=("made:1",),
    )
    container = engine.containers.run(ContainerConfig(image="made:1", cmd=("cat", "/cc", "/c")))
    assert engine.containers.wait(container.id) == 0
    assert b"".join(entry.line for entry in engine.containers.logs(container.id)) == b"fff"


def test_failed_command(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = f"FROM {busybox}\nRUN echo fine\nRUN for i in $(seq 30); do echo line $i; done; echo bad; exit 7\n"
    recorder = Recorder()
    with pytest.raises(BuildFailed) as caught:
        build(engine, tmp_path, text, recorder=recorder)
    assert caught.value.command_exit_code == 7
    assert caught.value.message.startswith('Dockerfile:3: RUN failed: process "/bin/sh -c for i in')
    assert caught.value.message.endswith("did not complete successfully: exit code: 7")
    assert "\nline 30\nbad\n------\n" in caught.value.details
    assert " > line 11\n" not in caught.value.details
    assert "   3 | >>> RUN for i" in caught.value.details
    assert recorder.ends[-1].startswith("ERROR [3/3] RUN for i")
    assert "line 1" in recorder.lines
    assert not engine.containers.list(all=True)


def test_command_that_does_not_exist(engine: Engine, busybox: str, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        build(engine, tmp_path, f'FROM {busybox}\nRUN ["/no/such"]')
    assert "Dockerfile:2: RUN failed" in caught.value.message
    with pytest.raises(BuildFailed, match="RUN failed"):
        build(engine, tmp_path, "FROM scratch\nRUN true")


def test_cancelled_build(engine: Engine, busybox: str, tmp_path: Path) -> None:
    from runtime.build.options import BuildOptions

    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nRUN sleep 60")
    cancel = threading.Event()
    threading.Timer(0.7, cancel.set).start()
    with pytest.raises(Cancelled):
        engine.build(BuildOptions(context=tmp_path), cancel=cancel)
    assert not [path for path in engine.context.paths.build.iterdir() if path.name.startswith(".tmp")]


def test_output_is_told_line_by_line(engine: Engine, busybox: str, tmp_path: Path) -> None:
    recorder = Recorder()
    build(
        engine, tmp_path, f"FROM {busybox}\nRUN printf 'a\\nb'; printf '1%%\\r2%%\\n' >&2", recorder=recorder
    )
    told = [event.line for event in recorder.events if event.line and "RUN" in event.stage]
    assert sorted(told) == ["2%", "a", "b"]


# the cache


def test_second_build_is_all_cache_and_the_same_image(engine: Engine, busybox: str, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f"})
    text = f"FROM {busybox}\nWORKDIR /w\nCOPY f .\nRUN cat f > g\nENV A=1"
    first = build(engine, context, text)
    os.utime(context / "f", (1, 1))
    recorder = Recorder()
    second = build(engine, context, text, recorder=recorder)
    assert second.image_id == first.image_id
    assert (first.steps, second.steps) == (4, 4)
    assert second.cached_steps == 4
    assert [title.partition(" [")[0] for title in recorder.ends[1:-1]] == ["CACHED"] * 4


INVALIDATES: list[tuple[str, str, bool]] = [
    ("RUN true {}", "a", True),
    ("ENV A={}\nRUN true", "a", True),
    ("ARG A={}\nRUN true", "a", True),
    ("WORKDIR /{}\nRUN true", "a", True),
    ("USER {}\nRUN true", "0", True),
    ("LABEL a={}\nRUN true", "a", False),
    ("EXPOSE {}\nRUN true", "8", False),
    ("CMD {}\nRUN true", "a", False),
    ("RUN true\nENV A={}", "a", False),
    ("RUN true\nARG A={}", "a", False),
    ('SHELL ["/bin/sh", "-c{}"]\nRUN true', "e", True),
    ("RUN --mount=type=tmpfs,target=/{} true", "a", True),
    ("RUN <<E\ntrue {}\nE", "a", True),
    ("# {}\nRUN true", "a", False),
    ("RUN true \\\n  # {}\n  && true", "a", False),
]


@pytest.mark.parametrize(("template", "value", "busts"), INVALIDATES)
def test_what_invalidates(
    engine: Engine, busybox: str, tmp_path: Path, template: str, value: str, busts: bool
) -> None:
    other = {"a": "b", "0": "1", "8": "9", "e": "u"}[value]
    salt = f"ENV SALT={tmp_path.name}\n"
    build(engine, tmp_path, f"FROM {busybox}\n{salt}" + template.replace("{}", value))
    recorder = Recorder()
    build(engine, tmp_path, f"FROM {busybox}\n{salt}" + template.replace("{}", other), recorder=recorder)
    (run,) = [title for title in recorder.ends if "] RUN" in title]
    assert run.startswith("CACHED") is not busts


def test_content_and_mode_invalidate_copies(engine: Engine, busybox: str, tmp_path: Path) -> None:
    context = fill(tmp_path, {"d/f": "one", "unrelated": "x"})
    text = f"FROM {busybox}\nCOPY d /d\nRUN true"

    def cached() -> int:
        return build(engine, context, text).cached_steps

    cached()
    assert cached() == 3
    (context / "unrelated").write_text("y")
    assert cached() == 3
    (context / "d/f").write_text("two")
    assert cached() == 1
    (context / "d/f").chmod(0o700)
    assert cached() == 1
    (context / "d/f").chmod(0o644)
    assert cached() == 3
    (context / "d/f").write_text("one")
    assert cached() == 3, "the first content again: its layers are still there"
    (context / "d/new").touch()
    assert cached() == 1


def test_no_cache_and_filter(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = (
        f"FROM {busybox} AS one\nRUN echo 1\n"
        f"FROM {busybox} AS two\nCOPY --from=one /bin/busybox /b\nRUN echo 2"
    )
    assert build(engine, tmp_path, text).cached_steps == 2
    assert build(engine, tmp_path, text, no_cache=True).cached_steps == 2
    assert build(engine, tmp_path, text).cached_steps == 5
    assert build(engine, tmp_path, text, no_cache_filter=("two",)).cached_steps == 3


def test_vanished_layer_is_made_again(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = f"FROM {busybox}\nRUN echo vanish > /v"
    first = build(engine, tmp_path, text)
    layer = engine.images.get(first.image_id).layers[-1]
    engine.images.remove(first.image_id, force=True)
    with engine.context.db.write() as tx:
        tx.execute("DELETE FROM layer WHERE diff_id = ?", (layer,))
    again = build(engine, tmp_path, text)
    assert again.cached_steps == 1
    assert read(engine, again.image_id, "v") == "vanish\n"


def test_two_builds_at_once_share_the_work(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = f"FROM {busybox}\nRUN echo {tmp_path.name}; sleep 1; cat /proc/sys/kernel/random/uuid > /id"
    results: list[str] = []

    def work(number: int) -> None:
        context = tmp_path / str(number)
        context.mkdir()
        results.append(build(engine, context, text).image_id)
        engine.context.db.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1


def test_argument_values_of_proxies_do_not_count(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = f"FROM {busybox}\nRUN echo $HTTP_PROXY > /out"
    first = build(engine, tmp_path, text, build_args={"HTTP_PROXY": "http://one"})
    assert read(engine, first.image_id, "out") == "http://one\n"
    second = build(engine, tmp_path, text, build_args={"HTTP_PROXY": "http://two"})
    assert second.cached_steps == 2
    assert "one" not in engine.images.get(first.image_id).history[-1].created_by


# mounts


def test_cache_mount_lives_on(engine: Engine, busybox: str, tmp_path: Path) -> None:
    mount = "--mount=type=cache,id=lives-on,target=/c"
    build(engine, tmp_path, f"FROM {busybox}\nRUN {mount} echo kept > /c/file")
    second = build(engine, tmp_path, f"FROM {busybox}\nRUN {mount} cat /c/file > /out")
    assert read(engine, second.image_id, "out") == "kept\n"
    assert view(engine, second.image_id).lookup("c") is None


def test_secret_is_seen_and_not_kept(engine: Engine, busybox: str, tmp_path: Path) -> None:
    secret = fill(tmp_path / "s", {"token": "very-secret"}) / "token"
    context = fill(tmp_path / "c", {})
    context.mkdir(exist_ok=True)
    text = (
        f"FROM {busybox}\nRUN --mount=type=secret,id=t cd /run/secrets; (wc -c < t; stat -c %a t) > /out\n"
        "RUN --mount=type=secret,id=t,env=TOKEN echo ${#TOKEN} > /length\n"
        "RUN --mount=type=secret,id=absent ls /run/secrets/absent || echo none > /absent"
    )
    result = build(engine, context, text, secrets=(Secret("t", file=secret),))
    assert read(engine, result.image_id, "out") == "11\n400\n"
    assert read(engine, result.image_id, "length") == "11\n"
    assert read(engine, result.image_id, "absent") == "none\n"
    assert view(engine, result.image_id).lookup("run/secrets") is None
    paths = engine.context.paths
    kept = [
        path
        for place in (paths.layers, paths.content, paths.build)
        for path in place.rglob("*")
        if path.is_file()
    ]
    holders = [path for path in kept if b"very-secret" in path.read_bytes()]
    assert not holders
    with pytest.raises(DockerfileError, match="secret nope is required"):
        build(engine, context, f"FROM {busybox}\nRUN --mount=type=secret,id=nope,required true")


# cleaning up


def test_disk_usage_and_prune(fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path) -> None:
    import io

    from runtime.build.prune import disk_usage, prune

    fresh_engine.images.import_(io.BytesIO(busybox_tar), "busybox:latest")
    ctx = fresh_engine.context
    path = "ENV PATH=/bin"
    kept = build(fresh_engine, tmp_path, f"FROM busybox\n{path}\nRUN echo keep > /k", tags=("kept:1",))
    gone = build(fresh_engine, tmp_path, f"FROM busybox\n{path}\nRUN echo 12345 > /gone", tags=("gone:1",))
    layer = fresh_engine.images.get(gone.image_id).layers[-1]
    fresh_engine.images.remove("gone:1")
    assert ctx.db.row("SELECT 1 FROM layer WHERE diff_id = ?", (layer,)), "the cache keeps its layers"
    records = disk_usage(ctx)
    assert sorted((record.description, record.shared) for record in records) == [
        ("RUN echo 12345 > /gone", False),
        ("RUN echo keep > /k", True),
    ]
    assert [record.size for record in prune(ctx)] == [6]
    assert ctx.db.row("SELECT 1 FROM layer WHERE diff_id = ?", (layer,)) is None
    assert len(prune(ctx, all=True)) == 1
    assert disk_usage(ctx) == []
    assert read(fresh_engine, kept.image_id, "k") == "keep\n"


def test_sweep_removes_what_a_killed_build_left(fresh_engine: Engine, tmp_path: Path) -> None:
    import subprocess
    import sys
    import time

    from runtime.build.sweep import sweep

    fifo_context = fill(tmp_path, {"f": "f"})
    ctx = fresh_engine.context
    script = (
        "import sys, time; from pathlib import Path; from runtime.engine import Engine;"
        "from runtime.images.leases import temporary_name; ctx = Engine(sys.argv[1]).context;"
        "d = ctx.paths.build / temporary_name(); (d / 'half').mkdir(parents=True);"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(ctx.paths.state)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert sweep(ctx) == [], "its owner lives"
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(0.05)
    again = Engine(ctx.paths.state)
    assert again.images.list() == [], "any command that looks at images"
    again.close()
    assert not [path for path in ctx.paths.build.iterdir() if path.name.startswith(".tmp")]
    assert sweep(ctx) == []
    assert fifo_context.exists()


def test_next_build_removes_the_step_of_a_killed_one(
    fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path
) -> None:
    """kill -9 in the middle of RUN: the step goes with all it had; a monitor that was just
    starting may need a second look."""
    import io
    import subprocess
    import sys
    import time

    fresh_engine.images.import_(io.BytesIO(busybox_tar), "busybox:latest")
    ctx = fresh_engine.context
    context = fill(tmp_path / "c", {"Dockerfile": "FROM busybox\nENV PATH=/bin\nRUN sleep 3456"})
    script = (
        "import sys; from pathlib import Path; from runtime.engine import Engine;"
        "from runtime.build.options import BuildOptions;"
        "Engine(sys.argv[1]).build(BuildOptions(context=Path(sys.argv[2])))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(ctx.paths.state), str(context)])
    deadline = time.monotonic() + 20
    query = "SELECT id FROM container WHERE internal = 1 AND status = 'running'"
    while not ctx.db.rows(query) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ctx.db.rows(query)
    process.kill()
    process.wait()
    other = fill(tmp_path / "d", {"f": "f"})
    build(fresh_engine, other, "FROM scratch\nCOPY f /")
    while ctx.db.rows("SELECT id FROM container") and time.monotonic() < deadline:
        build(fresh_engine, other, "FROM scratch\nCOPY f /")
    assert not ctx.db.rows("SELECT id FROM container")
    assert not list(ctx.paths.containers.iterdir())
    assert not [path for path in ctx.paths.build.iterdir() if path.name.startswith(".tmp")]


def test_source_date_epoch_gives_the_same_image_again(engine: Engine, busybox: str, tmp_path: Path) -> None:
    context = fill(tmp_path, {"f": "f"})
    text = f"FROM {busybox}\nWORKDIR /w\nCOPY f d/\nRUN mkdir /made && echo x > /made/f && ln -s f /made/l"
    ids = [
        build(engine, context, text, no_cache=True, build_args={"SOURCE_DATE_EPOCH": "1700000000"}).image_id
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert build(engine, context, text).image_id != ids[0]
    node = view(engine, ids[0]).lookup("made/f")
    assert node is not None
    assert node.stat.st_mtime == 1_700_000_000


def test_independent_stages_run_at_once(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """Each of two stages waits for a sign of the other, in a cache mount: one by one, both would fail."""
    mount = "--mount=type=cache,id=meet,target=/m"
    wait = "for i in $(seq 100); do [ -e /m/{other} ] && exit 0; sleep 0.1; done; exit 1"
    text = (
        f"FROM {busybox} AS one\nRUN {mount} touch /m/one; {wait.format(other='two')}\n"
        f"FROM {busybox} AS two\nRUN {mount} touch /m/two; {wait.format(other='one')}\n"
        "FROM scratch\nCOPY --from=one /bin/busybox /1\nCOPY --from=two /bin/busybox /2"
    )
    result = build(engine, tmp_path, text)
    assert set(tree(engine, result.image_id)) == {"1", "2"}


def test_a_failed_stage_ends_the_others(engine: Engine, busybox: str, tmp_path: Path) -> None:
    import time

    text = (
        f"FROM {busybox} AS slow\nRUN sleep 60\nFROM {busybox} AS broken\nRUN sleep 0.5; exit 4\n"
        "FROM scratch\nCOPY --from=slow / /\nCOPY --from=broken / /"
    )
    begun = time.monotonic()
    with pytest.raises(BuildFailed, match="exit code: 4"):
        build(engine, tmp_path, text)
    assert time.monotonic() - begun < 30


def test_ssh_agent_is_reached_through_its_socket(engine: Engine, busybox: str, tmp_path: Path) -> None:
    import socket

    socket_path = tmp_path / "agent"
    context = fill(tmp_path / "c", {"f": "f"})
    text = f"FROM {busybox}\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK > /out"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(socket_path))
        agent.listen()
        result = build(engine, context, text, ssh={"default": (socket_path,)})
    assert read(engine, result.image_id, "out") == "/run/buildkit/ssh_agent.0\n"
    assert view(engine, result.image_id).lookup("run/buildkit") is None
    with pytest.raises(DockerfileError, match="ssh agent default is required"):
        build(engine, context, f"FROM {busybox}\nRUN --mount=type=ssh,required=true true")


def test_extra_hosts_are_known_and_part_of_the_key(engine: Engine, busybox: str, tmp_path: Path) -> None:
    text = f"FROM {busybox}\nRUN grep made-up /etc/hosts > /out || true"
    plain = build(engine, tmp_path, text)
    assert read(engine, plain.image_id, "out") == ""
    result = build(engine, tmp_path, text, extra_hosts=("made-up:10.9.8.7",))
    assert read(engine, result.image_id, "out").split() == ["10.9.8.7", "made-up"]
