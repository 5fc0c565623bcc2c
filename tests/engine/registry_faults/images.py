"""Tiny images as a registry has them: good ones of every form, and hostile ones that must never be stored."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from tests.engine.registry_faults.server import Content

__all__ = ["HOSTILE", "Made", "good_image", "hostile_image"]

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."


@dataclass
class Made:
    """``files`` are what a good image's layers hold, by layer; ``image_id`` is its config's digest."""

    content: Content
    image_id: str = ""
    files: tuple[dict[str, bytes], ...] = ()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Builder:
    """Puts documents and blobs into a Content. ``change`` may alter the manifest before it is named."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.content = Content()
        self.oci = rng.random() < 0.5

    def blob(self, data: bytes) -> dict[str, object]:
        digest = digest_of(data)
        self.content.parts[f"blobs/{digest}"] = (data, "application/octet-stream")
        return {"digest": digest, "size": len(data)}

    def layer(self, tar: bytes, form: str = "") -> tuple[dict[str, object], str]:
        """(descriptor, diff id)"""
        form = form or self.rng.choice(["gzip", "gzip", "plain", "zstd"])
        data = tar
        if form == "gzip":
            data = gzip.compress(tar, 1, mtime=0)
        elif form == "zstd":
            data = zstandard.compress(tar, 1)
        media = f"{OCI}layer.v1.tar" if self.oci else f"{DOCKER}image.rootfs.diff.tar"
        suffix = {"plain": "", "zstd": "+zstd", "gzip": "+gzip" if self.oci else ".gzip"}[form]
        return {"mediaType": media + suffix, **self.blob(data)}, digest_of(tar)

    def config(self, diff_ids: list[str], **more: object) -> dict[str, object]:
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"R={self.rng.random()}"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [],
            **more,
        }
        media = f"{OCI}config.v1+json" if self.oci else f"{DOCKER}container.image.v1+json"
        return {"mediaType": media, **self.blob(json.dumps(document).encode())}

    def manifest(
        self, config: dict[str, object], layers: list[dict[str, object]], /, **more: object
    ) -> bytes:
        media = f"{OCI}manifest.v1+json" if self.oci else f"{DOCKER}distribution.manifest.v2+json"
        document = {"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers, **more}
        return json.dumps(document).encode()

    def publish(self, data: bytes, name: str = "1") -> dict[str, object]:
        """Under its digest, and under the tag when ``name`` is one."""
        media = str(json.loads(data).get("mediaType", ""))
        digest = digest_of(data)
        self.content.parts[f"manifests/{digest}"] = (data, media)
        if name:
            self.content.parts[f"manifests/{name}"] = (data, media)
        return {"mediaType": media, "digest": digest, "size": len(data)}

    def index(self, entries: list[dict[str, object]], name: str = "1") -> dict[str, object]:
        media = f"{OCI}index.v1+json" if self.oci else f"{DOCKER}distribution.manifest.list.v2+json"
        document = {"schemaVersion": 2, "mediaType": media, "manifests": entries}
        return self.publish(json.dumps(document).encode(), name)


def tar_of(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
        for entry in extra:
            archive.addfile(entry)
    return buffer.getvalue()


def some_files(rng: random.Random) -> dict[str, bytes]:
    return {
        f"d{n}/f{rng.randrange(100)}": rng.randbytes(rng.randrange(300)) for n in range(rng.randint(1, 3))
    }


def good_image(rng: random.Random) -> Made:
    """One to three layers, plain or in an index, or in two."""
    made = Builder(rng)
    files = tuple(some_files(rng) for _ in range(rng.randint(1, 3)))
    layers = [made.layer(tar_of(item)) for item in files]
    config = made.config([diff_id for _, diff_id in layers])
    data = made.manifest(config, [item for item, _ in layers])
    depth = rng.choice([0, 0, 1, 2])
    descriptor = made.publish(data, "" if depth else "1")
    for level in range(depth):
        ours = {**descriptor, "platform": {"architecture": "amd64", "os": "linux"}}
        other = {
            **descriptor,
            "digest": digest_of(b"arm"),
            "platform": {"architecture": "arm64", "os": "linux"},
        }
        descriptor = made.index([other, ours], "1" if level == depth - 1 else "")
    return Made(made.content, str(config["digest"]), files)


def _hostile_entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


def _layer_with(entry: tarfile.TarInfo) -> Callable[[Builder], None]:
    def make(made: Builder) -> None:
        layer, diff_id = made.layer(tar_of({"a": b"a"}, entry))
        made.publish(made.manifest(made.config([diff_id]), [layer]))

    return make


def _descriptor(**change: object) -> Callable[[Builder], None]:
    def make(made: Builder) -> None:
        layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
        made.publish(made.manifest(made.config([diff_id]), [{**layer, **change}]))

    return make


def _manifest(**change: object) -> Callable[[Builder], None]:
    def make(made: Builder) -> None:
        layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
        made.publish(made.manifest(made.config([diff_id]), [layer], **change))

    return make


def _wrong_diff_id(made: Builder) -> None:
    layer, _ = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    made.publish(made.manifest(made.config([digest_of(b"another")]), [layer]))


def _fewer_diff_ids(made: Builder) -> None:
    layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    other, _ = made.layer(tar_of({"b": made.rng.randbytes(50)}))
    made.publish(made.manifest(made.config([diff_id]), [layer, other]))


def _size(delta: int) -> Callable[[Builder], None]:
    def make(made: Builder) -> None:
        layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
        size = layer["size"]
        assert isinstance(size, int)
        made.publish(made.manifest(made.config([diff_id]), [{**layer, "size": size + delta}]))

    return make


def _cut_gzip(made: Builder) -> None:
    """Its digest is right, its content ends too early."""
    tar = tar_of({"a": made.rng.randbytes(500)})
    data = gzip.compress(tar, 1, mtime=0)[:-40]
    layer = {"mediaType": f"{OCI}layer.v1.tar+gzip", **made.blob(data)}
    made.publish(made.manifest(made.config([digest_of(tar)]), [layer]))


def _not_a_tar(made: Builder) -> None:
    layer, diff_id = made.layer(made.rng.randbytes(700))
    made.publish(made.manifest(made.config([diff_id]), [layer]))


def _deep_index(made: Builder) -> None:
    layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    entry = made.publish(made.manifest(made.config([diff_id]), [layer]), "")
    for level in range(8):
        entry = made.index([entry], "1" if level == 7 else "")


def _other_platforms(made: Builder) -> None:
    layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    entry = made.publish(made.manifest(made.config([diff_id]), [layer]), "")
    made.index([{**entry, "platform": {"os": "plan9", "architecture": "mips"}}])


def _schema1(made: Builder) -> None:
    made.publish(
        json.dumps(
            {"schemaVersion": 1, "fsLayers": [], "mediaType": f"{DOCKER}distribution.manifest.v1+json"}
        ).encode()
    )


def _index_and_image(made: Builder) -> None:
    layer, diff_id = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    made.publish(made.manifest(made.config([diff_id]), [layer], manifests=[]))


def _nested_json(made: Builder) -> None:
    made.content.parts["manifests/1"] = (b"[" * 100_000, f"{OCI}manifest.v1+json")


def _large_manifest(made: Builder) -> None:
    made.content.parts["manifests/1"] = (
        b'{"schemaVersion": 2, "x": "' + b"x" * (5 << 20) + b'"}',
        f"{OCI}manifest.v1+json",
    )


def _many_layers(made: Builder) -> None:
    layer, diff_id = made.layer(tar_of({"a": b"a"}))
    made.publish(made.manifest(made.config([diff_id] * 5000), [layer] * 5000))


def _config_is_no_config(made: Builder) -> None:
    layer, _ = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    config = {"mediaType": f"{OCI}config.v1+json", **made.blob(b"\xff\xfe[] not json")}
    made.publish(made.manifest(config, [layer]))


def _config_of_types(made: Builder) -> None:
    layer, _ = made.layer(tar_of({"a": made.rng.randbytes(50)}))
    document = {"config": ["x"], "rootfs": {"diff_ids": 7}, "os": {}, "history": "x"}
    config = {"mediaType": f"{OCI}config.v1+json", **made.blob(json.dumps(document).encode())}
    made.publish(made.manifest(config, [layer]))


HOSTILE: dict[str, Callable[[Builder], None]] = {
    "path leads out": _layer_with(_hostile_entry("../../escaped")),
    "path leads out in the middle": _layer_with(_hostile_entry("a/../../../escaped")),
    "hard link outside": _layer_with(_hostile_entry("link", tarfile.LNKTYPE, "../../../etc/passwd")),
    "hard link to nothing": _layer_with(_hostile_entry("link", tarfile.LNKTYPE, "etc/shadow")),
    "whiteout of nothing": _layer_with(_hostile_entry(".wh...")),
    "unknown type": _layer_with(_hostile_entry("odd", b"Z")),
    "digest with a path": _descriptor(digest="sha256:../../../../etc/passwd"),
    "digest of another kind": _descriptor(digest="md5:d41d8cd98f00b204e9800998ecf8427e"),
    "no digest": _descriptor(digest=None),
    "negative size": _descriptor(size=-1),
    "size of words": _descriptor(size="12"),
    "impossible size": _descriptor(size=1 << 62),
    "a size too small": _size(-3),
    "a size too large": _size(+3),
    "encrypted layer": _descriptor(mediaType=f"{OCI}layer.v1.tar+gzip+encrypted"),
    "hostile media type": _descriptor(mediaType="../../\x1b[31m/etc/passwd\n"),
    "config of an artifact": _manifest(
        config={"mediaType": "application/vnd.x", "digest": digest_of(b""), "size": 0}
    ),
    "layers that are none": _manifest(layers={"0": "x"}),
    "config that is none": _manifest(config="sha256:x"),
    "wrong schema version": _manifest(schemaVersion=3),
    "an index and an image at once": _index_and_image,
    "wrong diff id": _wrong_diff_id,
    "fewer diff ids": _fewer_diff_ids,
    "cut gzip": _cut_gzip,
    "not a tar": _not_a_tar,
    "deep index": _deep_index,
    "other platforms": _other_platforms,
    "schema 1": _schema1,
    "nested JSON": _nested_json,
    "large manifest": _large_manifest,
    "many layers": _many_layers,
    "config that is no config": _config_is_no_config,
    "config of wrong types": _config_of_types,
}


def hostile_image(rng: random.Random, kind: str) -> Made:
    made = Builder(rng)
    HOSTILE[kind](made)
    return Made(made.content)
