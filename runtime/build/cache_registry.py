"""A build cache kept in a registry: a manifest whose layers are the steps' and whose config tells of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.errors import Denied, EngineError, InvalidInput, Unavailable
from runtime.images.leases import lease
from runtime.images.oci import MEDIA_TYPE_MANIFEST, to_json_bytes
from runtime.images.parallel import Stop
from runtime.images.reference import Reference
from runtime.images.registry.blobs import fetch
from runtime.images.registry.credentials import CredentialStore
from runtime.images.registry.endpoints import endpoints
from runtime.images.registry.faults import Temporary, WrongScheme
from runtime.images.registry.ingest import Ingest
from runtime.images.registry.layers import bring_layer
from runtime.images.registry.manifests import ACCEPT, MAX_MANIFEST, Descriptor
from runtime.images.registry.packed import PackedLayer
from runtime.images.registry.reporting import TransferReport
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Transport
from runtime.images.registry.upload import has_remote_blob, upload
from runtime.store.layer_sources import LayerSource, add_source, sources_of

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.model.event import CancelEvent

__all__ = ["RegistryCache"]

_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_MAX_CONFIG = 64 << 20


class RegistryCache:
    """Reads and writes the cache at a reference. Raises what the registry's client raises."""

    def __init__(self, ctx: Context, reference: str, cancel: CancelEvent | None) -> None:
        self._ctx = ctx
        self._reference = Reference.parse(reference)
        self._stop = Stop(cancel)

    @contextmanager
    def _session(self, actions: str) -> Iterator[Session]:
        """The first of the registry's endpoints that answers."""
        reference = self._reference
        credentials = CredentialStore().get(reference.domain)
        failure: EngineError = Unavailable(f"registry {reference.domain} does not answer")
        with lease(self._ctx), Transport(self._ctx.config, cancel=self._stop) as transport:
            for endpoint in endpoints(reference.domain, self._ctx.config, mirrors=False):
                session = Session(transport, endpoint, credentials, reference.path, actions)
                try:
                    session.ping()
                except (Temporary, WrongScheme) as error:
                    failure = error
                    continue
                yield session
                return
        raise failure

    def read(self, config_type: str) -> dict[str, Any]:
        """The config's document. Raises InvalidInput for a manifest that is no cache."""
        reference = self._reference
        what = f"cache {reference.familiar()}"
        with self._session("pull") as session:
            url = session.url(f"manifests/{reference.digest or reference.tag}")
            with session.ask("GET", url, what=what, headers={"Accept": ACCEPT}) as answer:
                manifest = json.loads(answer.read_document(MAX_MANIFEST, what))
            config = manifest["config"]
            if config["mediaType"] != config_type:
                raise InvalidInput("it was not written by tuidock build --cache-to")
            if int(config["size"]) > _MAX_CONFIG:
                raise InvalidInput("its config is too large")
            with Ingest(self._ctx, str(config["digest"]), int(config["size"]), self._stop) as ingest:
                fetch(session, ingest)
                data = ingest.content()
                ingest.discard()
        found = json.loads(data)
        if not isinstance(found, dict):
            raise InvalidInput("its config cannot be read")
        return found

    def bring(self, diff_id: str, layer: Mapping[str, Any]) -> None:
        """A layer into the store, checked against both of its digests."""
        described = Descriptor(str(layer["mediaType"]), str(layer["digest"]), int(layer["size"]))
        with self._session("pull") as session:
            told = TransferReport(None).layer(described.digest)
            bring_layer(self._ctx, session, diff_id, described, told, self._stop)
            self._note(diff_id, described)

    def write(self, diff_ids: Iterable[str], config_type: str, document: dict[str, Any]) -> None:
        """Layers that are not there yet, the config (``document`` with the layers' descriptors), the
        manifest."""
        reference = self._reference
        with self._session("pull,push") as session:
            layers = {diff_id: self._send(session, diff_id) for diff_id in diff_ids}
            described = {
                diff_id: {"mediaType": item.media_type, "digest": item.digest, "size": item.size}
                for diff_id, item in layers.items()
            }
            config = to_json_bytes({**document, "layers": described})
            digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
            if not has_remote_blob(session, digest, len(config)):
                upload(session, _Bytes(config, digest))
            manifest = {
                "schemaVersion": 2,
                "mediaType": MEDIA_TYPE_MANIFEST,
                "config": {"mediaType": config_type, "digest": digest, "size": len(config)},
                "layers": list(described.values()),
            }
            url = session.url(f"manifests/{reference.tag}")
            what = f"cache {reference.familiar()}"
            headers = {"Content-Type": MEDIA_TYPE_MANIFEST}
            body = to_json_bytes(manifest)
            try:
                session.ask("PUT", url, what=what, accept=(200, 201, 202), headers=headers, body=body).close()
            except Denied as error:
                error.subject = reference.name
                raise

    def _send(self, session: Session, diff_id: str) -> Descriptor:
        for source in sources_of(self._ctx.db, diff_id):
            if source.repository == self._reference.name and has_remote_blob(
                session, source.blob_digest, source.blob_size
            ):
                return Descriptor(source.media_type, source.blob_digest, source.blob_size)
        with PackedLayer(self._ctx, diff_id, self._stop) as packed:
            digest = upload(session, packed)
            made = Descriptor(_LAYER_TYPE, digest, packed.size or 0)
        self._note(diff_id, made)
        return made

    def _note(self, diff_id: str, layer: Descriptor) -> None:
        with self._ctx.db.write() as tx:
            add_source(
                tx,
                LayerSource(diff_id, layer.digest, layer.size, layer.media_type, self._reference.name),
            )


class _Bytes:
    """A small blob, to be sent."""

    def __init__(self, data: bytes, digest: str) -> None:
        self._data = data
        self.digest = digest
        self.size: int | None = len(data)

    def chunks(self, start: int) -> Iterator[bytes]:
        yield self._data[start:]
