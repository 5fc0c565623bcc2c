"""docker's local volume driver: which options make which mount."""

from __future__ import annotations

import pytest

from runtime.containers.spec import volume_mount
from runtime.errors import InvalidInput
from runtime.model.container import Mount, MountType
from runtime.model.mounts import parse_mount
from runtime.model.volume import Filesystem
from runtime.volumes.local_driver import filesystem_of


@pytest.mark.parametrize(
    ("options", "made_of"),
    [
        ({}, None),
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"},
            Filesystem("tmpfs", "tmpfs", ("size=1m", "uid=5")),
        ),
        ({"type": "none", "device": "/srv/./x", "o": "bind"}, Filesystem("bind", "/srv/x", ("bind",))),
        ({"type": "ext4", "device": "/dev/sdb1"}, Filesystem("ext4", "/dev/sdb1")),
    ],
)
def test_options(options: dict[str, str], made_of: Filesystem | None) -> None:
    assert filesystem_of(options) == made_of


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, 'invalid option: "colour"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"o": "bind"}, 'missing required option: "device"'),
        ({"device": "/srv"}, 'missing required option: "type"'),
        ({"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"}, "volumes of type nfs are not supported"),
        ({"type": "proc", "device": "proc"}, "cannot be of type proc"),
        ({"type": "none", "device": "/srv"}, "needs o=bind"),
        ({"type": "none", "device": "srv", "o": "bind"}, "not an absolute path"),
        ({"type": "ext4", "device": "sdb1"}, "not an absolute path"),
        ({"type": "tmpfs", "device": "tmpfs", "size": "1g"}, "needs quotas"),
    ],
)
def test_wrong_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        filesystem_of(options)


def test_a_mount_carries_options_and_labels_of_its_volume() -> None:
    mount = parse_mount(
        "type=volume,src=v,dst=/x,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b"
    )
    assert (mount.driver_options, mount.volume_labels) == (("type=tmpfs", "device=tmpfs"), ("a=b",))


@pytest.mark.parametrize(
    "text", ["type=bind,src=/a,dst=/x,volume-opt=type=x", "dst=/x,volume-label", "dst=/x,volume-opt==b"]
)
def test_wrong_volume_keys(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_mount(text)


def test_read_only_and_part_of_a_volume() -> None:
    mount = Mount(MountType.VOLUME, "v", "/x", read_only=True, subpath="a/b")
    assert volume_mount(mount, Filesystem("bind", "/srv", ("bind",))) == {
        "destination": "/x",
        "type": "bind",
        "source": "/srv",
        "options": ["ro", "rbind", "rprivate"],
        "extra": {"subpath": "a/b"},
    }
