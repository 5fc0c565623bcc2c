"""Each finding of ``system check``, made on purpose: told once by a check, mended by a repair, then gone."""

from __future__ import annotations

import io
import json
import marshal
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runtime import cgroups
from runtime.containers.control import monitor_pid
from runtime.engine import Engine
from runtime.images.content import blob_path
from runtime.images.create import create_image
from runtime.images.layers import layer_path, unpack_layer
from runtime.kernel import syscalls
from runtime.model.container import ContainerConfig, Mount, MountType, RestartPolicy, RestartPolicyName
from runtime.model.image import ImageConfig
from runtime.monitor.log import RECORD
from runtime.network import links

pytestmark = pytest.mark.engine

BUSYBOX = "busybox:latest"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def own(fresh_engine: Engine, busybox_tar: bytes) -> Engine:
    layer = unpack_layer(fresh_engine.context, io.BytesIO(busybox_tar))
    config = ImageConfig(cmd=("sh",), env=("PATH=/bin",))
    create_image(fresh_engine.context, config=config, layers=[layer.diff_id], refs=[BUSYBOX])
    return fresh_engine


def sleeper(engine: Engine, name: str = "box", **settings: object) -> str:
    config = ContainerConfig(image=BUSYBOX, cmd=("sleep", "1000"), **settings)  # type: ignore[arg-type]
    return engine.containers.run(config, name=name).id


def kill_monitor(engine: Engine, container_id: str) -> None:
    pid = monitor_pid(engine.context, container_id)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while monitor_pid(engine.context, container_id):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def mended(engine: Engine, *told: str) -> None:
    """A check tells what is given (parts of its lines, in order) and changes nothing; a repair mends it."""
    for _ in range(2):
        lines = [str(finding) for finding in engine.system.check()]
        assert len(lines) == len(told) and all(part in line for part, line in zip(told, lines)), lines
    found = engine.system.check(repair=True)
    assert all(finding.mended for finding in found), found
    assert engine.system.check() == []


def dead_monitor(engine: Engine) -> list[str]:
    kill_monitor(engine, sleeper(engine))
    return ["container box: is said to be running and its monitor is dead"]


def stray_directory(engine: Engine) -> list[str]:
    (engine.context.paths.containers / ("a" * 64) / "upper").mkdir(parents=True)
    return [f"{'a' * 64}: belongs to no container"]


def stray_run_directory(engine: Engine) -> list[str]:
    (engine.context.paths.run_containers / ("b" * 64)).mkdir()
    return [f"run directory {engine.context.paths.run_containers / ('b' * 64)}: belongs to no container"]


def lost_work_directory(engine: Engine) -> list[str]:
    made = engine.containers.create(ContainerConfig(image=BUSYBOX, cmd=("true",)), name="box")
    (engine.context.paths.container(made.id) / "rootfs").rmdir()
    return ["container box: its directory rootfs is missing"]


def short_log(engine: Engine) -> list[str]:
    made = engine.containers.run(ContainerConfig(image=BUSYBOX, cmd=("echo", "hello")), name="box")
    engine.containers.wait(made.id)
    directory = engine.context.paths.container(made.id)
    with (directory / "log.idx").open("ab") as index:
        index.write(RECORD.pack(6, time.time_ns(), 100, 1) + b"half")
    return ["log of container box: its index log.idx names output that is not there"]


def left_mount(engine: Engine) -> list[str]:
    made = engine.containers.create(ContainerConfig(image=BUSYBOX, cmd=("true",)), name="box")
    rootfs = engine.context.paths.container(made.id) / "rootfs"
    syscalls.mount("left", str(rootfs), "tmpfs", 0, "size=64k")
    return [f"mount {rootfs}: nobody uses it"]


def left_group(engine: Engine) -> list[str]:
    group = f"{engine.context.cgroup_parent}/{'c' * 64}"
    cgroups.detect().create(group, {}, None)
    return [f"cgroup {group}: its container does not run"]


def left_link(engine: Engine) -> list[str]:
    sleeper(engine)
    name = f"td{engine.context.root_id}v00aa00"
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name[:-1]}1"], check=True)
    return [f"link {name}: belongs to", f"link {name[:-1]}1: belongs to"]


def left_lease(engine: Engine) -> list[str]:
    sleeper(engine)
    with engine.context.db.write() as tx:
        network = tx.rows("SELECT id FROM network")[0][0]
        tx.execute(
            "INSERT INTO endpoint (container_id, network_id, ipv4, mac, host_interface, interface)"
            " VALUES ('dddddddddddd', ?, '172.99.0.9', '', 'none', 'eth0')", (network,),
        )  # fmt: skip
        tx.execute(
            "INSERT INTO port VALUES ('0.0.0.0', 18944, 'tcp', 'dddddddddddd', 80, '172.99.0.9', NULL)"
        )
    return [
        "address of container dddddddddddd", "port of container dddddddddddd",
        "is not what the networks and ports say",
    ]  # fmt: skip


def changed_rules(engine: Engine) -> list[str]:
    sleeper(engine)
    table = f"tuidock-{engine.context.root_id}"
    nft = "/usr/sbin/nft"
    listed = subprocess.run([nft, "list", "table", table], capture_output=True, text=True, check=True).stdout
    mark = next(word for word in listed.split() if word.startswith("plan-"))
    subprocess.run([nft, "delete", "chain", table, mark], check=True)
    return [f"firewall table {table}: is not what the networks and ports say"]


def lost_volume(engine: Engine) -> list[str]:
    engine.volumes.create("things")
    engine.context.paths.volume("things").rmdir()
    return ["volume things: its directory is missing"]


def unknown_volumes(engine: Engine) -> list[str]:
    assert engine.volumes.list() == []
    for name in ("empty", "full", ".gone-old-01020304"):
        engine.context.paths.volume(name).mkdir(parents=True)
    (engine.context.paths.volume("full") / "file").write_text("x")
    return [
        ".gone-old-01020304: belongs to no volume",
        "empty: belongs to no volume",
        "full: belongs to no volume",
    ]


def half_made(engine: Engine) -> list[str]:
    paths = engine.context.paths
    (paths.layers / ".tmp-4000000-5-abcd").mkdir()
    (paths.content / ".tmp-4000000-5-abcd").write_text("x")
    (paths.build / ".tmp-4000000-5-abcd").mkdir()
    return ["half-made layer", "half-made content", "build directory"]


def unused_bytes(engine: Engine) -> list[str]:
    (engine.context.paths.layers / "0123456789").mkdir()
    blob_path(engine.context, f"sha256:{'0' * 64}").write_text("x")
    return ["content 000000000000: nothing names it", "layer directory 0123456789: nothing names it"]


def lost_layer(engine: Engine) -> list[str]:
    (row,) = engine.context.db.rows("SELECT diff_id FROM layer")
    layer_path(engine.context, row[0]).rename(engine.context.paths.state / "away")
    return [f"layer {row[0][7:19]}: its directory"]


FAULTS: tuple[Callable[[Engine], list[str]], ...] = (
    dead_monitor, stray_directory, stray_run_directory, lost_work_directory, short_log, left_mount,
    left_group, left_link, left_lease, changed_rules, lost_volume, unknown_volumes, half_made, unused_bytes,
    lost_layer,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.__name__))
def test_each_fault_is_told_and_mended(own: Engine, fault: Callable[[Engine], list[str]]) -> None:
    mended(own, *fault(own))


def test_what_a_removal_set_aside_is_finished_and_what_is_unknown_is_kept(own: Engine) -> None:
    unknown_volumes(own)
    own.system.check(repair=True)
    assert [volume.name for volume in own.volumes.list()] == ["full"]
    assert (own.context.paths.volume("full") / "file").read_text() == "x"


def test_what_cannot_be_mended_is_told_with_what_to_do(own: Engine) -> None:
    made = own.containers.create(ContainerConfig(image=BUSYBOX, cmd=("true",)), name="box")
    (own.context.paths.container(made.id) / "upper").rmdir()
    image = own.images.get(BUSYBOX)
    blob_path(own.context, image.manifest_digest).write_bytes(b"{}")
    found = own.system.check(repair=True)
    assert [(finding.kind, finding.mended) for finding in found] == [("container", False), ("image", False)]
    assert all(finding.hint for finding in found)


def test_the_command_ends_with_one_until_it_is_mended(own: Engine) -> None:
    kill_monitor(own, sleeper(own))
    stray_run_directory(own)

    def check(*arguments: str) -> tuple[int, str]:
        root = str(own.context.paths.state)
        done = subprocess.run(
            [sys.executable, "-m", "tuidock", "--root", root, "system", "check", *arguments],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, text = check("--format", "json")
    first, second = (json.loads(line) for line in text.splitlines())
    assert code == 1
    assert (first["Kind"], first["Subject"], first["Mended"]) == ("container", "box", False)
    assert second["Kind"] == "run directory"
    code, text = check()
    assert code == 1 and text.splitlines()[0].endswith("(tuidock system check --repair: mark it as exited)")
    code, text = check("--repair")
    assert code == 0 and all(": mended (" in line for line in text.splitlines())
    assert check() == (0, "nothing is wrong\n")


# -- a reboot -------------------------------------------------------------------------------------


def policy(name: str) -> RestartPolicy:
    return RestartPolicy(RestartPolicyName(name))


def test_after_a_reboot_the_restart_policies_are_kept(own: Engine) -> None:
    always = sleeper(own, "always", restart=policy("always"))
    unless = sleeper(own, "unless", restart=policy("unless-stopped"))
    failure = sleeper(own, "failure", restart=policy("on-failure"))
    plain = sleeper(own, "plain")
    for name in ("always-stopped", "unless-stopped"):
        stopped = sleeper(own, name, restart=policy(name.removesuffix("-stopped") if "al" in name else name))
        own.containers.stop(stopped, timeout=0)
    never = ContainerConfig(image=BUSYBOX, cmd=("sleep", "9"), restart=policy("always"))
    own.containers.create(never, name="never-started")
    joined = sleeper(own, "joined", network_mode=f"container:{unless}", restart=policy("always"))
    for container_id in (always, unless, failure, plain, joined):
        kill_monitor(own, container_id)
    # What the kernel held is gone after a reboot; on a persistent run directory its files are not.
    with links.open_here() as netlink:
        links.delete(netlink, [row[0] for row in own.context.db.rows("SELECT bridge FROM network")])
    seen = Engine(own.context.paths.state).containers.list(all=True)
    assert {item.name: item.state.status.value for item in seen} == {
        "always": "exited", "unless": "exited", "failure": "exited", "plain": "exited", "joined": "exited",
        "always-stopped": "exited", "unless-stopped": "exited", "never-started": "created",
    }  # fmt: skip
    started, failed = own.system.boot()
    assert not failed
    assert {item.name for item in started} == {"always", "always-stopped", "unless", "failure", "joined"}
    assert {item.name for item in own.containers.list()} == {item.name for item in started}
    assert own.system.boot() == ([], [])


# -- volumes and groups that are shared -----------------------------------------------------------


def test_a_donor_that_removes_itself_leaves_the_volumes_that_others_mount(own: Engine) -> None:
    volume = Mount(MountType.VOLUME, "", "/data")
    config = ContainerConfig(
        image=BUSYBOX,
        cmd=("sh", "-c", "echo kept > /data/file; sleep 1000"),
        mounts=(volume,),
        auto_remove=True,
    )
    own.containers.run(config, name="donor")
    borrower = ContainerConfig(
        image=BUSYBOX, cmd=("sleep", "1000"), volumes_from=("donor",), auto_remove=True
    )
    own.containers.run(borrower, name="borrower")
    (name,) = (item.name for item in own.volumes.list())
    own.containers.kill("donor")
    deadline = time.monotonic() + 10
    while len(own.containers.list(all=True)) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (own.context.paths.volume(name) / "file").read_text() == "kept\n"
    own.containers.remove("borrower", force=True)
    assert own.volumes.list() == []
    assert not list(own.context.paths.volumes.iterdir())


def test_groups_made_for_a_parent_go_with_the_last_container(own: Engine) -> None:
    backend = cgroups.detect()
    parent = f"/td-parent-{own.context.root_id}/below"
    backend.create(f"/td-ours-{own.context.root_id}", {}, None)
    try:
        first = sleeper(own, "one", cgroup_parent=parent)
        second = sleeper(own, "two", cgroup_parent=parent)
        own.containers.remove(first, force=True)
        assert backend.exists(parent)
        kill_monitor(own, second)
        own.containers.remove(second, force=True)
        assert not backend.exists(parent) and not backend.exists(parent.rpartition("/")[0])
    finally:
        backend.remove(f"/td-ours-{own.context.root_id}")


def test_an_end_is_told_truly_although_the_clock_was_set_back(own: Engine) -> None:
    made = sleeper(own)
    with own.context.db.write() as tx:
        later = time.time_ns() + 3600 * 10**9
        tx.execute("UPDATE container SET state = json_set(state, '$.started_at', ?)", (later,))
    (own.context.paths.container(made) / "exit").write_bytes(marshal.dumps((3, False, time.time_ns())))
    kill_monitor(own, made)
    assert Engine(own.context.paths.state).containers.get(made).state.exit_code == 3
    own.containers.start(made)
    kill_monitor(own, made)
    assert Engine(own.context.paths.state).containers.get(made).state.exit_code == 137


def test_a_group_without_a_container_goes_with_the_next_command(engine: Engine, busybox: str) -> None:
    """As when its first process was killed while it made the groups, after everybody else had gone."""
    backend, parent = cgroups.detect(), engine.context.cgroup_parent
    name, kept = "d" * 64, "chosen-by-a-user"
    for group in (name, kept):
        backend.create(f"{parent}/{group}", {}, None)
    made = sleeper(engine)
    with closing(Engine(engine.context.paths.state)) as again:
        again.containers.list()
    assert {kept, made} <= set(backend.children(parent))
    assert name not in backend.children(parent)
    backend.remove(f"{parent}/{kept}")
