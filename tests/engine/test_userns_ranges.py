"""Who has which ids: ranges, sharing, the setting, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import Conflict, EngineError, InvalidInput, Unavailable
from runtime.model.container import (
    ContainerConfig,
    Mount,
    MountType,
)
from tests.engine.userns_lab import box, ids, inside, output, until
from tests.leftovers import rows_of

pytestmark = pytest.mark.engine

# -- sharing ------------------------------------------------------------------------------------


def test_a_joined_network_brings_its_user_namespace(engine: Engine, busybox: str) -> None:
    first = box(engine, busybox, network_mode="bridge")
    script = "readlink /proc/self/ns/user; ip link set lo down && ip link set lo up && echo done"
    code, text = output(
        engine, busybox, script, userns_mode="", network_mode="container:box", cap_add=("NET_ADMIN",)
    )
    assert (code, text.split()) == (0, [str(Path(f"/proc/{first.state.pid}/ns/user").readlink()), "done"])
    code, text = output(
        engine, busybox, "ps; stat -c %u /etc/hosts", userns_mode="", pid_mode="container:box"
    )
    assert code == 0 and "sleep 1000" in text


@pytest.mark.parametrize(("theirs", "mine"), [("auto", "auto"), ("auto", "host"), ("host", "auto")])
def test_namespaces_of_another_user_namespace_are_refused(
    engine: Engine, busybox: str, theirs: str, mine: str
) -> None:
    box(engine, busybox, userns_mode=theirs)
    with pytest.raises(Conflict, match="box: it is in another user namespace") as refused:
        output(engine, busybox, "true", network_mode="container:box", userns_mode=mine)
    wanted = "--userns host" if theirs == "host" else "--userns container:box"
    assert refused.value.hint == f"give {wanted}"
    assert len(engine.containers.list(all=True)) == 1


def test_a_user_namespace_is_shared_by_name(engine: Engine, busybox: str) -> None:
    first = box(engine, busybox)
    code, text = output(engine, busybox, "cat /proc/self/uid_map", userns_mode="container:box")
    assert (code, text.split()[1]) == (0, str(ids(first).root[0]))
    engine.containers.kill("box")
    config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="container:box")
    waiting = engine.containers.create(config)
    with pytest.raises(Conflict, match="cannot join user of container box: it is not running"):
        engine.containers.start(waiting.id)


# -- ranges -------------------------------------------------------------------------------------


def small_pool(engine: Engine, ranges: int) -> Engine:
    """The same root with a pool of so many ranges for ``auto``."""
    pool = f"3000000000:{65536 * (ranges + 1)}"
    return Engine(engine.context.paths.state, config=Config(userns_pool=pool))


def test_ranges_end_and_come_back(engine: Engine, busybox: str) -> None:
    small = small_pool(engine, 2)
    config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="auto")
    first = small.containers.create(config, name="first")
    second = small.containers.create(config, name="second")
    assert {ids(first).root[0], ids(second).root[0]} == {3000065536, 3000131072}
    before = sorted(os.listdir(engine.context.paths.containers))
    with pytest.raises(
        Unavailable, match=r"no range of 65536 ids is free .* 2 containers hold ranges"
    ) as refused:
        small.containers.create(config, name="third")
    assert refused.value.hint is not None and "userns-pool" in refused.value.hint
    assert sorted(os.listdir(engine.context.paths.containers)) == before, "nothing was made"
    small.containers.remove("first")
    third = small.containers.create(config, name="third")
    assert ids(third).root == ids(first).root
    small.close()


def test_a_range_goes_with_a_container_that_removes_itself(engine: Engine, busybox: str) -> None:
    small = small_pool(engine, 1)
    for _ in range(3):
        assert output(small, busybox, "true")[0] == 0
    small.close()


def test_a_range_goes_when_everything_is_killed(engine: Engine, busybox: str) -> None:
    container = box(engine, busybox, auto_remove=True)
    monitor = int(Path(f"/proc/{container.state.pid}/status").read_text().partition("PPid:\t")[2].split()[0])
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{container.state.pid}").exists(), "the container outlived its monitor")
    root = str(engine.context.paths.state)
    subprocess.run([sys.executable, "-m", "tuidock", "--root", root, "ps"], check=True, capture_output=True)
    assert rows_of(root, "SELECT container_id FROM id_range") == []


def test_ids_that_a_process_has_are_passed_over(engine: Engine, busybox: str) -> None:
    """Of another root, or of another engine: only the kernel knows."""
    small = small_pool(engine, 2)
    holder = subprocess.Popen(["unshare", "--user", "sleep", "1000"])
    try:
        until(
            lambda: os.readlink(f"/proc/{holder.pid}/ns/user") != os.readlink("/proc/self/ns/user"),
            "no userns",
        )
        Path(f"/proc/{holder.pid}/uid_map").write_text("0 3000065536 65536\n")
        config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="auto")
        assert ids(small.containers.create(config)).root[0] == 3000131072
        with pytest.raises(Unavailable):
            small.containers.create(config)
    finally:
        holder.kill()
        holder.wait()
        small.close()


def test_users_beyond_the_range_are_refused(engine: Engine, busybox: str) -> None:
    with pytest.raises(
        EngineError, match=r"user id 70000 is not in the container's user namespace, .* 0 to 65535"
    ):
        output(engine, busybox, "true", user="70000")
    with pytest.raises(EngineError, match="group id 70000"):
        output(engine, busybox, "true", user="0:70000")
    assert output(engine, busybox, "id -u", user="70000", userns_mode="auto:size=80000") == (0, "70000\n")
    box(engine, busybox)
    with pytest.raises(EngineError, match="user id 65536"):
        inside(engine, "id", user="65536")


# -- the setting --------------------------------------------------------------------------------


def test_the_setting_is_for_all_who_do_not_say_otherwise(engine: Engine, busybox: str) -> None:
    remapped = Engine(
        engine.context.paths.state, config=Config(userns_remap="default", userns_pool="3000000000:196608")
    )
    script = "cat /proc/self/uid_map"
    assert output(remapped, busybox, script, userns_mode="")[1].split() == ["0", "3000000000", "65536"]
    assert output(remapped, busybox, script, userns_mode="remap")[1].split() == ["0", "3000000000", "65536"]
    assert output(remapped, busybox, script, userns_mode="host")[1].split()[1] == "0"
    assert output(remapped, busybox, script)[1].split()[1] in ("3000065536", "3000131072")
    assert "name=userns" in remapped.system.info()["SecurityOptions"]
    assert "name=userns" not in engine.system.info()["SecurityOptions"]
    remapped.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"privileged": True}, "privileged mode is incompatible with user namespaces"),
        (
            {"network_mode": "host"},
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        ({"pid_mode": "host"}, "cannot share the host PID namespace when user namespaces are enabled"),
        (
            {"mounts": (Mount(MountType.BIND, "/tmp", "/t", propagation="rshared"),)},
            "bind propagation rshared of /t does not work with user namespaces",
        ),
        ({"userns_mode": "keep-id"}, "invalid mode 'keep-id'"),
        ({"userns_mode": "remap"}, "no range is configured"),
    ],
)
def test_contradictions_are_refused_before_anything_is_made(
    engine: Engine, busybox: str, options: dict[str, object], message: str
) -> None:
    before = sorted(os.listdir(engine.context.paths.containers))
    with pytest.raises(InvalidInput, match=message) as refused:
        output(engine, busybox, "true", **options)
    assert refused.value.hint
    assert sorted(os.listdir(engine.context.paths.containers)) == before
    if "userns_mode" not in options:
        assert output(engine, busybox, "true", **options, userns_mode="host")[0] == 0


def test_builds_run_remapped_and_make_the_same_image(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\n"
        "RUN cat /proc/self/uid_map > /map; echo x > /made; chown 7:8 /made\n"
        "RUN --mount=type=cache,target=/c echo x > /c/x && test $(stat -c %u /c/x) = 0\n"
        "RUN true\nRUN true\n"
        "RUN --mount=type=secret,id=s test $(cat /run/secrets/s) = hidden\n"
    )
    (tmp_path / "s").write_text("hidden")
    (tmp_path / "s").chmod(0o600)
    root = str(engine.context.paths.state)
    settings = tmp_path / "settings.yaml"
    settings.write_text("userns-remap: default\n")
    subprocess.run(
        [sys.executable, "-m", "tuidock", "--root", root, "build", "-q", "-t", "built", "--secret",
         f"id=s,src={tmp_path / 's'}", str(tmp_path)],
        check=True, capture_output=True, env={**os.environ, "TUIDOCK_CONFIG": str(settings)},
    )  # fmt: skip
    code, text = output(engine, "built", "stat -c %u:%g /made /map; cat /map", userns_mode="host")
    assert (code, text.split()) == (0, ["7:8", "0:0", "0", "1879048192", "65536"])
