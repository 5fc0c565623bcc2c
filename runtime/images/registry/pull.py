"""pull: from a registry into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, EngineError, Failed, InvalidInput, NotFound, Unavailable
from runtime.images.create import register_image
from runtime.images.leases import lease
from runtime.images.oci import parse_config
from runtime.images.parallel import Stop
from runtime.images.reference import Reference
from runtime.images.registry.blobs import fetch
from runtime.images.registry.credentials import CredentialStore
from runtime.images.registry.endpoints import Endpoint, endpoints
from runtime.images.registry.faults import BadContent, Temporary, Unreachable, WrongScheme
from runtime.images.registry.ingest import Ingest
from runtime.images.registry.layers import pull_layers
from runtime.images.registry.manifests import MAX_CONFIG, Manifest, Platform
from runtime.images.registry.reporting import TransferReport
from runtime.images.registry.repository import find_manifest, list_tags
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Timing, Transport
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.store import images as rows
from runtime.store.layer_sources import settle

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Pulled", "pull"]


@dataclass(frozen=True)
class Pulled:
    """``digest`` is what the registry calls it (the list's, for an image of several platforms); ``changed``:
    the reference was new here, or stood for another image."""

    reference: str
    digest: str
    image_id: str
    changed: bool


def pull(
    ctx: Context,
    reference: str,
    *,
    platform: str = "",
    all_tags: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
    timing: Timing | None = None,
) -> list[Pulled]:
    """Bring an image, or every tag of its repository. What an earlier try brought is not asked for again.

    Raises NotFound, Denied (login), Unavailable (network), Failed (wrong content, disk), InvalidInput,
    Cancelled; whatever the registry does, only verified content is kept.
    """
    wanted = Reference.parse(reference)
    if all_tags and (wanted.digest or reference.endswith(f":{wanted.tag}")):
        raise InvalidInput(
            "tag can't be used with --all-tags/-a", hint="leave the tag out", subject=reference
        )
    chosen = Platform.parse(platform)
    credentials = CredentialStore()
    report = TransferReport(progress)
    failures: list[EngineError] = []
    for endpoint in endpoints(wanted.domain, ctx.config):
        stop = Stop(cancel)
        try:
            with lease(ctx), Transport(ctx.config, cancel=stop, timing=timing) as transport:
                known = credentials.get(endpoint.host if endpoint.mirror else wanted.domain)
                session = Session(transport, endpoint, known, wanted.path)
                session.ping()
                tags = list_tags(session) if all_tags else [wanted.tag]
                return [
                    _Pull(ctx, session, _tagged(wanted, tag), chosen, bool(platform), report, stop).run()
                    for tag in tags
                ]
        except Cancelled:
            raise
        except EngineError as error:
            if not _next_may_do(endpoint, error):
                raise _with_notes(error, failures) from error.__cause__
            failures.append(error)
    raise _with_notes(failures[-1], failures[:-1])


def _next_may_do(endpoint: Endpoint, error: EngineError) -> bool:
    """After a mirror the registry itself; after TLS plain HTTP, where the settings allow that."""
    if endpoint.mirror:
        return not isinstance(error, InvalidInput)
    return (
        not endpoint.verify
        and endpoint.url.startswith("https:")
        and isinstance(error, (Temporary, WrongScheme))
    )


def _with_notes(error: EngineError, others: Sequence[EngineError]) -> EngineError:
    """The registry's own failure counts; what its mirrors said explains it."""
    told = [other for other in others if not isinstance(other, Unreachable) or other.subject != error.subject]
    if told and isinstance(error, (Unavailable, NotFound)):
        error.hint = f"a mirror failed, too: {told[0].message}"
    return error


def _tagged(wanted: Reference, tag: str) -> Reference:
    return Reference(wanted.domain, wanted.path, "" if wanted.digest else tag, wanted.digest)


class _Pull:
    def __init__(
        self,
        ctx: Context,
        session: Session,
        reference: Reference,
        platform: Platform,
        explicit: bool,
        report: TransferReport,
        stop: Stop,
    ) -> None:
        self._ctx = ctx
        self._session = session
        self._reference = reference
        self._platform = platform
        self._explicit = explicit
        self._report = report
        self._stop = stop

    def run(self) -> Pulled:
        ctx, reference = self._ctx, self._reference
        name = reference.familiar()
        found, digest = find_manifest(self._session, reference, self._platform, name)
        self._report.tell(Progress(reference.tag or reference.digest, f"Pulling from {reference.path}"))
        image_id = found.config.digest
        by_digest = Reference(reference.domain, reference.path, "", digest)
        config = self._config(found, name)
        pull_layers(ctx, self._session, found, parse_config(config).diff_ids, self._report, self._stop)
        before = rows.resolve_ref(ctx.db, str(reference))
        refs = [str(reference)] if reference.digest else [str(reference), str(by_digest)]
        register_image(ctx, config, refs=refs, event="pull", actor=name, manifest=found.data)
        with ctx.db.write() as tx:
            settle(tx, parse_config(config).diff_ids)
        changed = before != image_id
        self._report.line(f"Digest: {digest}")
        status = "Downloaded newer image" if changed else "Image is up to date"
        self._report.line(f"Status: {status} for {name}")
        return Pulled(str(reference), digest, image_id, changed)

    def _config(self, manifest: Manifest, name: str) -> bytes:
        """The config blob, checked: it names as many layers as the manifest, for the platform asked for."""
        from runtime.images.content import has_blob, read_blob

        digest, size = manifest.config.digest, manifest.config.size
        if size > MAX_CONFIG:
            raise BadContent(f"{name}: the image's config has {size} bytes, more than {MAX_CONFIG >> 20} MiB")
        data = read_blob(self._ctx, digest) if has_blob(self._ctx, digest) else self._fetch_config(manifest)
        document = parse_config(data)
        if len(document.diff_ids) != len(manifest.layers):
            raise BadContent(
                f"{name}: the image has {len(manifest.layers)} layers,"
                f" its config names {len(document.diff_ids)}"
            )
        have = Platform(document.os, document.architecture, document.variant)
        if self._explicit and have.architecture and not have.score(self._platform):
            raise NotFound(
                f"image with reference {name} was found but does not provide the specified platform"
                f" ({self._platform})",
                hint=f"it is for {have}",
                subject=name,
            )
        if have.os not in ("", "linux"):
            raise InvalidInput(f'{name}: image operating system "{have.os}" cannot be used on this platform')
        return data

    def _fetch_config(self, manifest: Manifest) -> bytes:
        digest, size = manifest.config.digest, manifest.config.size
        for last in (False, True):
            with Ingest(self._ctx, digest, size, self._stop) as ingest:
                try:
                    fetch(self._session, ingest)
                except BadContent:
                    if last or not ingest.pieced:
                        raise
                    continue
                data = ingest.content()
                ingest.discard()
                return data
        raise Failed(f"cannot fetch {digest}")
