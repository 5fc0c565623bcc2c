"""``--cache-to`` and ``--cache-from``: steps of a build, in an OCI layout or a registry, for others.

A layout (image-spec, image-layout.md) has a manifest for each tag whose layers are the steps' and whose
config says which step made which. A key says what a step stands on and does, so what is found under it is
taken as what the step would make; every layer is checked against its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runtime.build.cache import CachedLayer
from runtime.build.options import CacheStore
from runtime.errors import Cancelled, EngineError, Failed, InvalidInput
from runtime.images.layers import has_layer, layer_info, open_layer_tar, unpack_layer
from runtime.images.oci import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, to_json_bytes
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent
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
        if store.type == "registry":
            Reference.parse(store.place)
        elif store.type != "local":
            raise InvalidInput(
                f"a cache of type {store.type} is not supported",
                hint="type=local with a directory, or type=registry,ref=NAME",
            )


class _Place(Protocol):
    """Where a cache is kept."""

    def read(self, config_type: str) -> dict[str, Any]:
        """``records`` (the steps) and ``layers`` (a descriptor for each diff id)."""
        ...

    def bring(self, diff_id: str, layer: Mapping[str, Any]) -> None:
        """A layer into our store."""
        ...

    def write(self, diff_ids: Iterable[str], config_type: str, document: dict[str, Any]) -> None: ...


def _open(ctx: Context, store: CacheStore, cancel: CancelEvent | None) -> _Place:
    if store.type == "registry":
        from runtime.build.cache_registry import RegistryCache

        return RegistryCache(ctx, store.place, cancel)
    return _LayoutCache(ctx, Path(store.place), store.tag)


class ImportedCache:
    """The steps that the caches of ``stores`` know. Raises nothing but Cancelled: what cannot be read is
    among ``problems``, and the steps are made."""

    def __init__(self, ctx: Context, stores: Iterable[CacheStore], cancel: CancelEvent | None = None) -> None:
        self._ctx = ctx
        self._records: dict[str, tuple[_Place, str, dict[str, Any], dict[str, Any]]] = {}
        self.problems: list[str] = []
        for store in stores:
            place = _open(ctx, store, cancel)
            try:
                document = place.read(_CONFIG_TYPE)
                layers = document["layers"]
                for record in document["records"]:
                    known = (place, store.place, record, layers[record["layer"]])
                    self._records.setdefault(str(record["key"]), known)
            except Cancelled:
                raise
            except (OSError, EngineError, *_MALFORMED) as error:
                self.problems.append(f"cannot import the cache {store.place}: {_reason(error)}")

    def find(self, key: str) -> CachedLayer | None:
        """The step's layer, brought into the store and noted in our own cache."""
        known = self._records.get(key)
        if known is None:
            return None
        place, name, record, layer = known
        try:
            diff_id = str(record["layer"])
            if not has_layer(self._ctx, diff_id):
                place.bring(diff_id, layer)
            size = layer_info(self._ctx, diff_id).size
            created_at = int(record["created_at"])
        except Cancelled:
            raise
        except (OSError, EngineError, *_MALFORMED) as error:
            self._records.pop(key, None)
            self.problems.append(f"cannot use the cache {name}: {_reason(error)}")
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


def export_cache(
    ctx: Context,
    store: CacheStore,
    records: Mapping[str, CachedLayer],
    wanted: Collection[str],
    cancel: CancelEvent | None = None,
) -> int:
    """Write the steps (all, or with ``mode=min`` those whose layers are ``wanted``) to the store; how many.
    Layers that are there already are not written again. Raises Failed and what the registry raises."""
    kept = {key: made for key, made in records.items() if store.every_step or made.layer in wanted}
    layers = sorted({made.layer for made in kept.values()})
    try:
        _open(ctx, store, cancel).write(layers, _CONFIG_TYPE, {"records": _described(ctx, kept)})
    except OSError as error:
        raise Failed(
            f"cannot write the cache {store.place}: {error.strerror}", subject=store.place
        ) from error
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


class _LayoutCache:
    """A directory with an OCI image layout; layers are plain tars, whose digests are the diff ids."""

    def __init__(self, ctx: Context, place: Path, tag: str) -> None:
        self._ctx = ctx
        self._place = place
        self._tag = tag

    def read(self, config_type: str) -> dict[str, Any]:
        path = self._place / "index.json"
        for descriptor in _object(path.read_bytes(), path)["manifests"]:
            if (descriptor.get("annotations") or {}).get(_REF_NAME) == self._tag:
                manifest = self._document(str(descriptor["digest"]))
                if manifest["config"]["mediaType"] != config_type:
                    raise InvalidInput("it was not written by tuidock build --cache-to")
                return self._document(str(manifest["config"]["digest"]))
        raise InvalidInput(f"it has no tag {self._tag!r}")

    def bring(self, diff_id: str, layer: Mapping[str, Any]) -> None:
        with self._blob(str(layer["digest"])).open("rb") as stream:
            unpack_layer(self._ctx, stream, diff_id=diff_id)

    def write(self, diff_ids: Iterable[str], config_type: str, document: dict[str, Any]) -> None:
        (self._place / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        layers = {
            diff_id: {"mediaType": _LAYER_TYPE, "digest": diff_id, "size": self._write_layer(diff_id)}
            for diff_id in diff_ids
        }
        config = self._write(to_json_bytes({**document, "layers": layers}))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_MANIFEST,
            "config": {"mediaType": config_type, **config},
            "layers": list(layers.values()),
        }
        self._name({"mediaType": MEDIA_TYPE_MANIFEST, **self._write(to_json_bytes(manifest))})

    def _blob(self, digest: str) -> Path:
        """Raises InvalidInput for a digest that is none, so that no other file can be named."""
        algorithm, _, digits = digest.partition(":")
        if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise InvalidInput(f"not a digest: {digest!r}")
        return self._place / "blobs" / "sha256" / digits

    def _document(self, digest: str) -> dict[str, Any]:
        path = self._blob(digest)
        if path.stat().st_size > _MAX_DOCUMENT:
            raise InvalidInput(f"{path} is too large")
        data = path.read_bytes()
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise InvalidInput(f"{path} does not match its digest")
        return _object(data, path)

    def _write_layer(self, diff_id: str) -> int:
        """Its size."""
        path = self._blob(diff_id)
        if not path.exists():
            part = path.with_name(f".{path.name}.{os.getpid()}")
            stream = open_layer_tar(self._ctx, diff_id)
            try:
                with part.open("wb") as file:
                    while chunk := stream.read(_CHUNK):
                        file.write(chunk)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return path.stat().st_size

    def _write(self, data: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        path = self._blob(digest)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_bytes(data)
        part.replace(path)
        return {"digest": digest, "size": len(data)}

    def _name(self, descriptor: dict[str, object]) -> None:
        """In the index, with the other tags kept."""
        path = self._place / "index.json"
        try:
            others = [
                item
                for item in _object(path.read_bytes(), path).get("manifests", ())
                if (item.get("annotations") or {}).get(_REF_NAME) != self._tag
            ]
        except (FileNotFoundError, InvalidInput, *_MALFORMED):
            others = []
        named = {**descriptor, "annotations": {_REF_NAME: self._tag}}
        index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [*others, named]}
        part = self._place / f".index.{os.getpid()}"
        part.write_bytes(to_json_bytes(index))
        part.replace(path)
        (self._place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="ascii")


def _object(data: bytes, path: Path) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} cannot be read")
    return found
