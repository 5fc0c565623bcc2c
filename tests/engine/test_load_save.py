"""Archives of images: what is saved can be loaded, other tools' forms can, and damaged ones cannot."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

import pytest

from runtime.engine import Engine
from runtime.errors import EngineError, InvalidInput, NotFound
from runtime.images.create import create_image
from runtime.images.layers import adopt_layer, layer_path, temporary_directory
from runtime.images.oci import host_architecture
from runtime.images.pack import LayerTar
from runtime.model.event import Progress
from runtime.model.image import HistoryEntry, Image, ImageConfig

pytestmark = pytest.mark.engine


def tar_of(files: Mapping[str, bytes | tuple[str, bytes]]) -> bytes:
    """A value is a file's content, or (link target, type)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.linkname, info.type = content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config_of(*layers: bytes, **fields: object) -> bytes:
    document = {
        "architecture": host_architecture(),
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        **fields,
    }
    return json.dumps(document).encode()


LOWER = tar_of({"a": b"1", "b": b"2"})
UPPER = tar_of({".wh.a": b"", "c": b"3"})


def make_image(engine: Engine, *refs: str) -> Image:
    """Two layers that we made ourselves, so without blobs."""
    ctx = engine.context
    layers = []
    for number in range(2):
        root = temporary_directory(ctx)
        (root / f"file{number}").write_text("x" * 1000 * number)
        (root / "dir").mkdir()
        (root / "dir" / "link").symlink_to("/etc/passwd")
        layers.append(adopt_layer(ctx, root).diff_id)
    history = [HistoryEntry(1, "one"), HistoryEntry(2, "empty", empty_layer=True), HistoryEntry(3, "two")]
    return create_image(
        ctx, config=ImageConfig(cmd=("sh",)), layers=layers, history=history, refs=refs, created_at=10**18
    )


def save(engine: Engine, *references: str) -> bytes:
    buffer = io.BytesIO()
    engine.images.save(references, buffer)
    return buffer.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            if file is not None:
                found[info.name] = file.read()
    return found


class Pipe(io.RawIOBase):
    """Bytes that come once, in small pieces, as from standard input."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, n: int = -1, /) -> bytes:
        return self._stream.read(min(n, 7000) if n >= 0 else 7000)


def test_an_archive_is_an_oci_layout_that_docker_reads(fresh_engine: Engine) -> None:
    image = make_image(fresh_engine, "one", "me/two:2")
    found = members(save(fresh_engine, "one", "me/two:2"))
    for name, data in found.items():
        if name.startswith("blobs/"):
            assert digest(data) == f"sha256:{name.rpartition('/')[2]}"
    (entry,) = json.loads(found["manifest.json"])
    assert entry["RepoTags"] == ["one:latest", "me/two:2"]
    assert digest(found[entry["Config"]]) == image.id
    assert [digest(found[name]) for name in entry["Layers"]] == list(image.layers)
    index = json.loads(found["index.json"])
    assert [item["annotations"]["io.containerd.image.name"] for item in index["manifests"]] == [
        "docker.io/library/one:latest",
        "docker.io/me/two:2",
    ]
    assert found["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    assert save(fresh_engine, "one", "me/two:2") == save(fresh_engine, "one", "me/two:2")


@pytest.mark.parametrize("form", ["file", "pipe", "gzip", "gzip pipe", "zstd"])
def test_what_is_saved_is_loaded(fresh_engine: Engine, new_root: Callable[[], Path], form: str) -> None:
    import zstandard

    image = make_image(fresh_engine, "one", "two:2")
    data = save(fresh_engine, "one", "two:2")
    plain = fresh_engine.context.paths.state / "archive.tar"
    plain.write_bytes(data)
    sources: dict[str, Callable[[], object]] = {
        "file": lambda: plain.open("rb"),
        "pipe": lambda: Pipe(data),
        "gzip": lambda: io.BytesIO(gzip.compress(data)),
        "gzip pipe": lambda: Pipe(gzip.compress(data)),
        "zstd": lambda: Pipe(zstandard.compress(data)),
    }
    other = Engine(new_root(), config=fresh_engine.context.config)
    steps: list[Progress] = []
    try:
        with cast("IO[bytes]", sources[form]()) as source:
            assert other.images.load(source, progress=steps.append) == ["one:latest", "two:2"]
        loaded = other.images.get("two:2")
        assert loaded.id == image.id
        assert (loaded.config, loaded.layers, loaded.history) == (image.config, image.layers, image.history)
        for layer in image.layers:
            ours = b"".join(LayerTar(layer_path(fresh_engine.context, layer)))
            theirs = b"".join(LayerTar(layer_path(other.context, layer)))
            assert ours == theirs
        assert [step.stage for step in steps if step.done] == ["Loaded layer"] * 2
        assert members(save(other, "one"))["oci-layout"]
        assert [event.action for event in other.events.since(0)] == ["load", "tag", "tag", "save"]
    finally:
        other.close()


def test_loading_again_unpacks_nothing(fresh_engine: Engine) -> None:
    image = make_image(fresh_engine, "one")
    data = save(fresh_engine, "one")
    before = sorted(os.listdir(fresh_engine.context.paths.layers))
    fresh_engine.images.remove("one", force=True)
    assert os.listdir(fresh_engine.context.paths.layers) == [".lock"]
    for _ in range(2):
        steps: list[Progress] = []
        fresh_engine.images.load(io.BytesIO(data), progress=steps.append)
    assert {step.stage for step in steps} == {"Layer already exists"}
    assert len(os.listdir(fresh_engine.context.paths.layers)) == len(before)
    assert fresh_engine.images.get("one").id == image.id


def docker_archive(**changes: bytes) -> bytes:
    config = config_of(LOWER, UPPER)
    manifest = [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]
    files: dict[str, bytes | tuple[str, bytes]] = {
        "2/layer.tar": UPPER,
        "1/layer.tar": LOWER,
        "c.json": config,
        "manifest.json": json.dumps(manifest).encode(),
    }
    return tar_of(
        {**files, **{name.replace("__", "/").replace("_", "."): data for name, data in changes.items()}}
    )


def test_docker_archives(fresh_engine: Engine) -> None:
    assert fresh_engine.images.load(io.BytesIO(docker_archive())) == ["app:1"]
    image = fresh_engine.images.get("app:1")
    assert image.id == digest(config_of(LOWER, UPPER))
    upper = layer_path(fresh_engine.context, image.layers[1])
    assert sorted(os.listdir(upper)) == ["a", "c"]
    assert (upper / "a").is_char_device()
    found = members(save(fresh_engine, "app:1"))
    (entry,) = json.loads(found["manifest.json"])
    assert [found[name] for name in entry["Layers"]] == [LOWER, UPPER], "made again, byte for byte"


def test_layers_shared_through_symlinks(fresh_engine: Engine) -> None:
    """docker save writes a layer that two images share once, and links to it."""
    config = config_of(LOWER)
    manifest = [
        {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar"]},
        {"Config": "c.json", "RepoTags": ["b:1"], "Layers": ["2/layer.tar"]},
    ]
    data = tar_of(
        {
            "manifest.json": json.dumps(manifest).encode(),
            "2/layer.tar": ("../1/layer.tar", tarfile.SYMTYPE),
            "1/layer.tar": LOWER,
            "c.json": config,
        }
    )
    assert fresh_engine.images.load(Pipe(data)) == ["a:1", "b:1"]  # type: ignore[arg-type]  # reads like one
    assert fresh_engine.images.get("a:1").id == fresh_engine.images.get("b:1").id


def test_archives_of_docker_before_manifests(fresh_engine: Engine) -> None:
    data = tar_of(
        {
            "repositories": json.dumps({"old/app": {"1.0": "top"}}).encode(),
            "top/json": json.dumps({"id": "top", "parent": "low", "config": {"Cmd": ["old"]}}).encode(),
            "top/layer.tar": UPPER,
            "low/json": json.dumps({"id": "low"}).encode(),
            "low/layer.tar": LOWER,
        }
    )
    assert fresh_engine.images.load(io.BytesIO(data)) == ["old/app:1.0"]
    image = fresh_engine.images.get("old/app:1.0")
    assert image.layers == (digest(LOWER), digest(UPPER))
    assert image.config.cmd == ("old",)


def oci_archive(
    layer_type: str = "tar+gzip", *, nested: bool = False, name: str = "app:2", **broken: bytes
) -> bytes:
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, data: bytes, **more: object) -> dict[str, object]:
        blobs[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    compress = gzip.compress if layer_type.endswith("gzip") else bytes
    layer = blob(f"application/vnd.oci.image.layer.v1.{layer_type}", compress(LOWER))
    config = blob("application/vnd.oci.image.config.v1+json", config_of(LOWER))
    manifest = {"schemaVersion": 2, "config": config, "layers": [layer]}
    annotations = {"org.opencontainers.image.ref.name": name}
    found = blob("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode())
    if nested:
        other = blob("application/vnd.oci.image.manifest.v1+json", b"{}")
        platforms = [
            {**other, "platform": {"architecture": "s390x", "os": "linux"}},
            {**found, "platform": {"architecture": host_architecture(), "os": "linux"}},
            {**other, "platform": {"architecture": "unknown", "os": "unknown"}},
        ]
        found = blob("application/vnd.oci.image.index.v1+json", json.dumps({"manifests": platforms}).encode())
    found["annotations"] = annotations
    for part, data in broken.items():
        chosen = {"layer": layer, "config": config}[part]
        blobs[f"blobs/sha256/{str(chosen['digest'])[7:]}"] = data
    return tar_of({"index.json": json.dumps({"manifests": [found]}).encode(), "oci-layout": b"{}", **blobs})


@pytest.mark.parametrize("layer_type", ["tar", "tar+gzip"])
@pytest.mark.parametrize("nested", [False, True])
def test_oci_archives(fresh_engine: Engine, layer_type: str, nested: bool) -> None:
    data = oci_archive(layer_type, nested=nested)
    assert fresh_engine.images.load(io.BytesIO(data)) == ["app:2"]
    assert fresh_engine.images.get("app:2").layers == (digest(LOWER),)


def test_an_image_without_a_name_is_shown_by_its_id(fresh_engine: Engine) -> None:
    image_id = digest(config_of(LOWER))
    assert fresh_engine.images.load(io.BytesIO(oci_archive(name="latest"))) == [image_id]
    (row,) = fresh_engine.images.list()
    assert (row.repository, row.tag, row.id) == ("<none>", "<none>", image_id)


BROKEN: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no archive": lambda: b"hello" * 1000,
    "a root file system": lambda: LOWER,
    "cut": lambda: docker_archive()[:4000],
    "a layer of another content": lambda: docker_archive(**{"1__layer_tar": UPPER}),
    "a config that is none": lambda: docker_archive(c_json=b"[]"),
    "a manifest that is none": lambda: docker_archive(manifest_json=b"{"),
    "a manifest without config": lambda: docker_archive(manifest_json=b'[{"Layers": []}]'),
    "a missing layer": lambda: docker_archive(
        manifest_json=b'[{"Config": "c.json", "Layers": ["1/layer.tar", "../../etc/passwd"]}]'
    ),
    "a missing config": lambda: docker_archive(manifest_json=b'[{"Config": "/etc/passwd", "Layers": []}]'),
    "too few layers": lambda: docker_archive(
        manifest_json=b'[{"Config": "c.json", "Layers": ["1/layer.tar"]}]'
    ),
    "a bad name": lambda: docker_archive(
        manifest_json=b'[{"Config": "c.json", "RepoTags": ["A B"], "Layers": ["1/layer.tar", "2/layer.tar"]}]'
    ),
    "a config unlike its digest": lambda: oci_archive(config=config_of(UPPER)),
    "a layer unlike its digest": lambda: oci_archive(layer=gzip.compress(UPPER)),
    "links in a circle": lambda: tar_of({"manifest.json": ("manifest.json", tarfile.SYMTYPE)}),
    "damaged gzip": lambda: gzip.compress(docker_archive())[:400],
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("seekable", [True, False])
def test_broken_archives_leave_nothing(
    fresh_engine: Engine, tmp_path: Path, name: str, seekable: bool
) -> None:
    data = BROKEN[name]()
    (tmp_path / "archive").write_bytes(data)
    with (tmp_path / "archive").open("rb") as file, pytest.raises(InvalidInput) as caught:
        fresh_engine.images.load(file if seekable else cast("IO[bytes]", Pipe(data)))
    assert "\n" not in caught.value.message
    assert fresh_engine.images.list() == []
    fresh_engine.system.check(repair=True)
    ctx = fresh_engine.context
    assert os.listdir(ctx.paths.layers) in ([".lock"], [])
    blobs = ctx.paths.content / "blobs/sha256"
    assert not blobs.exists() or os.listdir(blobs) == []
    assert set(os.listdir(ctx.paths.content)) <= {"blobs", "index.json", "oci-layout"}


def test_saving_what_is_not_there(fresh_engine: Engine) -> None:
    buffer = io.BytesIO()
    with pytest.raises(NotFound, match="no such image: nothing:latest"):
        fresh_engine.images.save(["nothing"], buffer)
    with pytest.raises(EngineError):
        fresh_engine.images.save([], buffer)
    assert buffer.getvalue() == b""


def test_a_name_without_tag_saves_all_its_tags(fresh_engine: Engine) -> None:
    make_image(fresh_engine, "one:1", "one:2", "other:1")
    (entry,) = json.loads(members(save(fresh_engine, "one"))["manifest.json"])
    assert entry["RepoTags"] == ["one:1", "one:2"]
    (entry,) = json.loads(
        members(save(fresh_engine, fresh_engine.images.get("one:1").id[7:19]))["manifest.json"]
    )
    assert entry["RepoTags"] is None


def test_import_makes_an_image_of_a_root_file_system(fresh_engine: Engine) -> None:
    image_id = fresh_engine.images.import_(
        io.BytesIO(gzip.compress(LOWER)), "imported", message="hello", changes=["CMD run", "ENV A=1"]
    )
    image = fresh_engine.images.get("imported")
    assert (image.id, image.layers) == (image_id, (digest(LOWER),))
    assert (image.config.cmd, image.config.env) == (("/bin/sh", "-c", "run"), ("A=1",))
    assert fresh_engine.images.inspect("imported")["Comment"] == "hello"
    assert [event.action for event in fresh_engine.events.since(0)] == ["import", "tag"]
    with pytest.raises(InvalidInput):
        fresh_engine.images.import_(io.BytesIO(LOWER), "imported", changes=["RUN x"])
    with pytest.raises(InvalidInput):
        fresh_engine.images.import_(io.BytesIO(b"no tar"), "imported")


def test_gnu_tar_reads_what_is_saved(fresh_engine: Engine, tmp_path: Path) -> None:
    image = make_image(fresh_engine, "one")
    (tmp_path / "a.tar").write_bytes(save(fresh_engine, "one"))
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path], check=True)
    layer = tmp_path / "blobs/sha256" / image.layers[1][7:]
    listing = subprocess.run(["tar", "-tf", layer], check=True, capture_output=True, text=True)
    assert listing.stdout.split() == ["dir/", "dir/link", "file1"]
