"""commit on the real kernel: what is in the new image, and what its config says."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from runtime.engine import Engine
from runtime.errors import Failed, InvalidInput, NotFound
from runtime.model.container import ContainerConfig, ContainerStatus, Mount, MountType, PortBinding

pytestmark = pytest.mark.engine


def ended(engine: Engine, image: str, script: str, **options: object) -> str:
    options.setdefault("network_mode", "none")
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), **options)  # type: ignore[arg-type]  # table of options
    container = engine.containers.run(config)
    assert engine.containers.wait(container.id) == 0
    return container.id


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_changes_are_in_the_image(engine: Engine, busybox: str) -> None:
    script = "echo new > /made; rm /etc/group; rm -r /home; mkdir /home; chown 5:6 /made; ln /made /twin"
    image_id = engine.containers.commit(
        ended(engine, busybox, script), "made:1", author="Ann <ann@example.org>", message="a change"
    )
    image, base = engine.images.get("made:1"), engine.images.get(busybox)
    assert image.id == image_id and image_id.startswith("sha256:")
    assert image.layers[:-1] == base.layers and image.parent == base.id
    assert image.author == "Ann <ann@example.org>"
    last = image.history[-1]
    assert (last.comment, last.author, last.created_by) == ("a change", image.author, f"sh -c {script}")
    check = "test $(cat /made) = new && test $(stat -c %u:%g:%h /made) = 5:6:2 && test ! -e /etc/group"
    ended(engine, "made:1", check + ' && test -z "$(ls /home)" && test -e /etc/passwd')


def test_the_config_is_the_containers(engine: Engine, busybox: str) -> None:
    container = engine.containers.create(
        ContainerConfig(
            image=busybox,
            cmd=("serve",),
            entrypoint=("/bin/app",),
            env=("MODE=x",),
            user="nobody",
            working_dir="/tmp",
            labels={"a": "b"},
            ports=(PortBinding(80),),
            mounts=(Mount(MountType.VOLUME, "", "/anonymous"), Mount(MountType.VOLUME, "named", "/named")),
        )
    )
    engine.containers.commit(container.id, "configured")
    config = engine.images.get("configured").config
    assert (config.entrypoint, config.cmd, config.user) == (("/bin/app",), ("serve",), "nobody")
    assert set(config.env) == {"MODE=x", "PATH=/bin"}
    assert (config.working_dir, config.labels, config.exposed_ports) == ("/tmp", {"a": "b"}, ("80/tcp",))
    assert config.volumes == ("/anonymous",)


def test_changes_are_dockerfile_instructions(engine: Engine, busybox: str) -> None:
    container = ended(engine, busybox, "true")
    engine.containers.commit(
        container, "changed", changes=['CMD ["echo", "hi"]', "ENV A=1", "USER nobody", "EXPOSE 8080"]
    )
    config = engine.images.get("changed").config
    assert (config.cmd, config.user, config.exposed_ports) == (("echo", "hi"), "nobody", ("8080/tcp",))
    assert "A=1" in config.env
    with pytest.raises(InvalidInput, match="RUN"):
        engine.containers.commit(container, "refused", changes=["RUN true"])
    with pytest.raises(NotFound):
        engine.images.get("refused")


def test_nothing_changed_is_no_layer_and_can_be_run(engine: Engine, busybox: str) -> None:
    first = engine.containers.commit(ended(engine, busybox, "true"))
    assert engine.images.get(first).layers == engine.images.get(busybox).layers
    second = engine.containers.commit(ended(engine, first, "echo x > /x"))
    third = engine.containers.commit(ended(engine, second, "true"))
    assert engine.images.get(third).layers == engine.images.get(second).layers
    ended(engine, third, "test -e /x")


def test_mounts_are_left_out(engine: Engine, busybox: str) -> None:
    mounts = (Mount(MountType.VOLUME, "vol", "/data"), Mount(MountType.TMPFS, "", "/scratch"))
    container = ended(engine, busybox, "echo v > /data/v; echo s > /scratch/s", mounts=mounts)
    engine.containers.commit(container, "unmounted")
    ended(engine, "unmounted", 'test -d /data && test -z "$(ls /data /scratch | grep -v :)"')


def test_a_running_container_is_paused_and_runs_on(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(
        image=busybox, cmd=("sh", "-c", "echo 1 > /count; exec sleep 1000"), network_mode="none"
    )
    container = engine.containers.run(config)
    until(lambda: any(change.path == "/count" for change in engine.containers.diff(container.id)))
    before = engine.events.last_seq()
    engine.containers.commit(container.id, "live")
    actions = [event.action for event in engine.events.since(before) if event.type == "container"]
    assert actions == ["pause", "unpause", "commit"]
    assert engine.containers.get(container.id).state.status is ContainerStatus.RUNNING
    before = engine.events.last_seq()
    engine.containers.commit(container.id, "live:unpaused", pause=False)
    assert "pause" not in [event.action for event in engine.events.since(before)]
    ended(engine, "live", "test $(cat /count) = 1")


def test_one_that_was_paused_stays_paused(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none")
    )
    engine.containers.pause(container.id)
    engine.containers.commit(container.id, "still")
    assert engine.containers.get(container.id).state.status is ContainerStatus.PAUSED


def test_a_wrong_name_is_refused_first(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none")
    )
    before = engine.events.last_seq()
    with pytest.raises(InvalidInput):
        engine.containers.commit(container.id, "Not A Name")
    assert engine.events.last_seq() == before
    with pytest.raises(NotFound, match="no such container: ghost"):
        engine.containers.commit("ghost")


def test_a_killed_commit_leaves_nothing_paused(engine: Engine, busybox: str) -> None:
    """The pause holds for as long as the one who asked is there."""
    from runtime.containers import control
    from runtime.monitor import wire

    container = engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sleep", "1000"), network_mode="none")
    )
    sock = control.connect(engine.context, container)
    sock.sendall(wire.request({"op": "pause", "hold": True}))
    assert "error" not in control.read_reply(sock, wire.FrameBuffer())
    assert engine.containers.get(container.id).state.status is ContainerStatus.PAUSED
    sock.close()
    until(lambda: engine.containers.get(container.id).state.status is ContainerStatus.RUNNING)


def test_a_name_that_would_remove_something_is_refused(engine: Engine, busybox: str) -> None:
    """In a layer .wh.passwd means that passwd is gone: a container must not say so by a file."""
    container = ended(engine, busybox, "touch /etc/.wh.passwd")
    before = set(engine.context.paths.layers.iterdir())
    with pytest.raises(Failed, match=r"/etc/\.wh\.passwd cannot be in a layer"):
        engine.containers.commit(container, "forged")
    assert set(engine.context.paths.layers.iterdir()) == before
