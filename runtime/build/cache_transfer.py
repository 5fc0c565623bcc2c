"""``--cache-to`` and ``--cache-from``: steps of a build in an OCI layout that others can start from.

The layout (image-spec, image-layout.md) has a manifest for each tag whose layers are the steps' and whose
config says which step made which. A key says what a step stands on and does, so what is found under it is
taken as what the step would make; every layer is checked against its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.build.cache import CachedLayer
from runtime.build.options import CacheStore
from runtime.errors import EngineError, Failed, InvalidInput
from runtime.images.layers import has_layer, layer_info, open_layer_tar, unpack_layer
from runtime.images.oci import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, to_json_bytes
from runtime.store import build_cache

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["ImportedCache", "check_stores", "export_cache"]

_CONFIG_TYPE = "application/vnd.tuidock.cacheconfig.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20
_MAX_DOCUMENT = 64 << 20
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a document that is not as expected raises."""


def check_stores(stores: Iterable[CacheStore]) -> None:
    """Before anything is built. Raises InvalidInput."""
    for store in stores:
        if store.type != "local":
            raise InvalidInput(
                f"a cache of type {store.type} is not supported: {store.place or store.type}",
                hint="type=local,src=DIR for --cache-from, type=local,dest=DIR for --cache-to",
            )


class ImportedCache:
    """The steps that the layouts of ``stores`` know. Raises nothing: what cannot be read is told by ``warn``
    and the steps are made."""

    def __init__(self, ctx: Context, stores: Iterable[CacheStore]) -> None:
        self._ctx = ctx
        self._records: dict[str, tuple[Path, dict[str, Any]]] = {}
        self.problems: list[str] = []
        for store in stores:
            try:
                for record in _read_layout(Path(store.place), store.tag):
                    self._records.setdefault(str(record["key"]), (Path(store.place), record))
            except (OSError, InvalidInput, *_MALFORMED) as error:
                self.problems.append(f"cannot import the cache {store.place}: {_reason(error)}")

    def find(self, key: str) -> CachedLayer | None:
        """The step's layer, unpacked into the store and noted in our own cache."""
        known = self._records.get(key)
        if known is None:
            return None
        place, record = known
        diff_id = str(record.get("layer", ""))
        try:
            if not has_layer(self._ctx, diff_id):
                with _blob(place, diff_id).open("rb") as stream:
                    unpack_layer(self._ctx, stream, diff_id=diff_id)
            size = layer_info(self._ctx, diff_id).size
            created_at = int(record["created_at"])
        except (OSError, EngineError, *_MALFORMED) as error:
            del self._records[key]
            self.problems.append(f"cannot use the cache {place}: {_reason(error)}")
            return None
        with self._ctx.db.write() as tx:
            build_cache.put(
                tx,
                key,
                parent=str(record.get("parent", "")),
                description=str(record.get("description", "")),
                layer=diff_id,
                size=size,
                created_at=created_at,
            )
        return CachedLayer(diff_id, created_at)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return error.message if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"


def _blob(place: Path, digest: str) -> Path:
    """Raises InvalidInput for a digest that is none, so that no other file can be named."""
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise InvalidInput(f"not a digest: {digest!r}")
    return place / "blobs" / "sha256" / digits


def _document(place: Path, digest: str) -> dict[str, Any]:
    path = _blob(place, digest)
    if path.stat().st_size > _MAX_DOCUMENT:
        raise InvalidInput(f"{path} is too large")
    data = path.read_bytes()
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise InvalidInput(f"{path} does not match its digest")
    return _object(data, path)


def _object(data: bytes, path: Path) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} cannot be read")
    return found


def _read_layout(place: Path, tag: str) -> list[dict[str, Any]]:
    index = _object((place / "index.json").read_bytes(), place / "index.json")
    for descriptor in index["manifests"]:
        if (descriptor.get("annotations") or {}).get(_REF_NAME) == tag:
            manifest = _document(place, str(descriptor["digest"]))
            if manifest["config"]["mediaType"] != _CONFIG_TYPE:
                raise InvalidInput("it was not written by tuidock build --cache-to")
            records = _document(place, str(manifest["config"]["digest"]))["records"]
            return [record for record in records if isinstance(record, dict)]
    raise InvalidInput(f"it has no tag {tag!r}")


def export_cache(
    ctx: Context, store: CacheStore, records: Mapping[str, CachedLayer], wanted: Collection[str]
) -> int:
    """Write the steps (all, or with ``mode=min`` those whose layers are ``wanted``) under the store's tag;
    how many. Layers that are there already are not written again. Raises Failed."""
    place = Path(store.place)
    kept = {key: made for key, made in records.items() if store.every_step or made.layer in wanted}
    try:
        (place / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        layers = {made.layer: _write_layer(ctx, place, made.layer) for made in kept.values()}
        config = _write(place, to_json_bytes({"records": _described(ctx, kept)}))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_MANIFEST,
            "config": {"mediaType": _CONFIG_TYPE, **config},
            "layers": [
                {"mediaType": _LAYER_TYPE, "digest": digest, "size": size} for digest, size in layers.items()
            ],
        }
        written = _write(place, to_json_bytes(manifest))
        _name(place, store.tag, {"mediaType": MEDIA_TYPE_MANIFEST, **written})
    except OSError as error:
        raise Failed(f"cannot write the cache {place}: {error.strerror}", subject=str(place)) from error
    return len(kept)


def _described(ctx: Context, kept: Mapping[str, CachedLayer]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for key in sorted(kept):
        row = build_cache.find(ctx.db, key)
        found.append(
            {
                "key": key,
                "layer": kept[key].layer,
                "created_at": kept[key].created_at,
                "description": row.description if row else "",
                "parent": row.parent if row else "",
            }
        )
    return found


def _write_layer(ctx: Context, place: Path, diff_id: str) -> int:
    """The plain tar, whose digest is the diff id; its size."""
    path = _blob(place, diff_id)
    if not path.exists():
        part = path.with_name(f".{path.name}.{os.getpid()}")
        stream = open_layer_tar(ctx, diff_id)
        try:
            with part.open("wb") as file:
                while chunk := stream.read(_CHUNK):
                    file.write(chunk)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path.stat().st_size


def _write(place: Path, data: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = _blob(place, digest)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)
    return {"digest": digest, "size": len(data)}


def _name(place: Path, tag: str, descriptor: dict[str, object]) -> None:
    """In the index, with the other tags kept."""
    path = place / "index.json"
    try:
        others = [
            item
            for item in _object(path.read_bytes(), path).get("manifests", ())
            if (item.get("annotations") or {}).get(_REF_NAME) != tag
        ]
    except (FileNotFoundError, ValueError, InvalidInput, AttributeError):
        others = []
    named = {**descriptor, "annotations": {_REF_NAME: tag}}
    index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [*others, named]}
    part = place / f".index.{os.getpid()}"
    part.write_bytes(to_json_bytes(index))
    part.replace(path)
    (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="ascii")
