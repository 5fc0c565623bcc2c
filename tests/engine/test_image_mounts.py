"""--mount type=image: another image's files in a container, read-only."""

from __future__ import annotations

import io
import tarfile

import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, EngineError, NotFound
from runtime.images.create import create_image
from runtime.images.layers import unpack_layer
from runtime.model.container import Container, ContainerConfig, Mount, MountType
from runtime.model.image import ImageConfig
from runtime.model.parse import parse_mount
from tests.engine.test_network_verbs import inside

pytestmark = pytest.mark.engine


def layer(**files: str) -> bytes:
    """A tar; a value that begins with "->" is a symbolic link's target."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            if content.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[2:]
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content.encode()))
    return out.getvalue()


@pytest.fixture
def assets(engine: Engine) -> str:
    """Two layers; the upper one hides a file, removes one and has links that lead out."""
    layers = [
        layer(www__index="old", www__gone="gone", top="top"),
        layer(**{"www__index": "new", "www__.wh.gone": "", "out": "->/etc", "up": "->../../../../etc"}),
    ]
    made = [unpack_layer(engine.context, io.BytesIO(data)).diff_id for data in layers]
    create_image(engine.context, config=ImageConfig(), layers=made, refs=["assets:latest"])
    return "assets"


def run(engine: Engine, image: str, *mounts: str, **more: str) -> Container:
    config = ContainerConfig(
        image=image,
        cmd=("sleep", "1000"),
        init=True,
        network_mode="none",
        mounts=tuple(parse_mount(text) for text in mounts),
        **more,  # type: ignore[arg-type]  # fields of the configuration
    )
    return engine.containers.run(config, name="web")


@pytest.mark.parametrize("userns", ["", "auto"])
def test_the_tree_is_there_and_read_only(engine: Engine, busybox: str, assets: str, userns: str) -> None:
    run(
        engine,
        busybox,
        f"type=image,source={assets},target=/all",
        f"type=image,src={assets},dst=/www,image-subpath=www",
        f"type=image,source={busybox},target=/one",
        **({"userns_mode": "auto:size=65536"} if userns else {}),
    )
    assert inside(engine, "web", "sh", "-c", "cat /all/www/index /www/index /all/top") == "newnewtop"
    assert inside(engine, "web", "ls", "/www") == "index\n"
    assert "busybox" in inside(engine, "web", "ls", "/one/bin")
    for place in ("/all/new", "/www/index", "/one/new"):
        assert "Read-only file system" in inside(engine, "web", "sh", "-c", f"echo x >{place} 2>&1")
    assert inside(engine, "web", "stat", "-c", "%u", "/www/index") == "0\n"
    mounts = {item["Destination"]: item for item in engine.containers.inspect("web")["Mounts"]}
    assert (mounts["/www"]["Type"], mounts["/www"]["Source"], mounts["/www"]["RW"]) == (
        "image",
        assets,
        False,
    )
    wanted = engine.containers.inspect("web")["HostConfig"]["Mounts"]
    assert {"Type": "image", "Source": assets, "Target": "/www", "ReadOnly": True,
            "ImageOptions": {"Subpath": "www"}} in wanted  # fmt: skip


def test_it_lasts(engine: Engine, busybox: str, assets: str) -> None:
    """What a name meant stays, however the name moves; an image that is mounted stays too."""
    run(engine, busybox, f"type=image,source={assets},target=/all")
    with pytest.raises(Conflict, match="is using its referenced image"):
        engine.images.remove(assets)
    with pytest.raises(Conflict):
        engine.images.remove(engine.images.get(assets).id, force=True)
    engine.images.tag(busybox, "assets:latest")
    engine.images.prune()
    engine.containers.restart("web", timeout=0)
    assert inside(engine, "web", "cat", "/all/www/index") == "new"
    image = engine.containers.get("web").config.mounts[0].image_id
    engine.containers.remove("web", force=True)
    assert image in engine.images.prune()[0]


@pytest.mark.parametrize("subpath", ["out", "up", "no", "www/nothing"])
def test_a_part_is_inside_of_it(engine: Engine, busybox: str, assets: str, subpath: str) -> None:
    with pytest.raises(EngineError, match=r"No such file or directory"):
        run(engine, busybox, f"type=image,source={assets},target=/p,image-subpath={subpath}")
    assert engine.containers.get("web").state.status == "created"


def test_an_image_that_is_not_there(engine: Engine, busybox: str) -> None:
    with pytest.raises(NotFound, match="nothing-here"):
        run(engine, busybox, "type=image,source=nothing-here,target=/x")
    assert engine.containers.list(all=True) == []


def test_a_mount_of_an_image_only() -> None:
    mount = parse_mount("type=image,source=a:1,target=/x,image-subpath=b//c,readonly")
    assert mount == Mount(MountType.IMAGE, "a:1", "/x", read_only=True, subpath="b/c")
