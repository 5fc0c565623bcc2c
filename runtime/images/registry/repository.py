"""What a repository has: manifests by tag or digest and platform, and its tags."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import urlsplit

from runtime.errors import Denied, NotFound
from runtime.images.reference import Reference
from runtime.images.registry.faults import BadContent, Temporary
from runtime.images.registry.manifests import ACCEPT, MAX_MANIFEST, Manifest, Platform, choose, parse
from runtime.images.registry.session import Session

__all__ = ["find_manifest", "list_tags"]

_MAX_DEPTH = 4
_MAX_PAGES = 200
_MAX_TAGS = 50_000
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


def find_manifest(
    session: Session, reference: Reference, platform: Platform, what: str
) -> tuple[Manifest, str]:
    """The image's manifest for a platform, and the digest of what the reference names (the list's, where it
    is one). Raises NotFound, Denied, BadContent, InvalidInput."""
    data, content_type = _get(session, reference.digest or reference.tag, what, reference)
    digest = named = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if reference.digest and reference.digest != digest:
        raise _differs(what, reference.digest, digest)
    for _ in range(_MAX_DEPTH):
        found = parse(data, digest, content_type, what)
        if isinstance(found, Manifest):
            return found, named
        entry = choose(found, platform, what)
        if entry.size > MAX_MANIFEST:
            raise BadContent(f"{what}: a manifest of {entry.size} bytes")
        digest = entry.digest
        data, content_type = _get(session, digest, what, reference)
        got = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if got != digest:
            raise _differs(what, digest, got)
    raise BadContent(f"{what}: its indexes are nested more than {_MAX_DEPTH} deep")


def _get(session: Session, name: str, what: str, reference: Reference) -> tuple[bytes, str]:
    backoff = session.backoff()
    while True:
        try:
            answer = session.ask(
                "GET",
                session.url(f"manifests/{name}"),
                what=f"manifest for {what}",
                headers={"Accept": ACCEPT},
            )
            with answer:
                data = answer.read_document(MAX_MANIFEST, "the manifest")
                return data, answer.headers.get("Content-Type", "")
        except Temporary as error:
            backoff.wait(error, session.transport.cancel)
        except Denied as error:
            if session.logged_in:
                raise
            raise Denied(
                f"pull access denied for {reference.familiar_name},"
                " repository does not exist or may require 'tuidock login'",
                hint=error.hint,
                subject=what,
            ) from error
        except NotFound as error:
            error.hint = "tuidock search finds names, where the registry offers it"
            raise


def _differs(what: str, wanted: str, got: str) -> BadContent:
    return BadContent(
        f"{what}: the registry sent the manifest {got[:19]} instead of {wanted[:19]}", subject=what
    )


def list_tags(session: Session) -> list[str]:
    """Every tag, in the registry's order (distribution-spec, "Listing Tags"). Raises NotFound, BadContent."""
    what = f"tags of {session.path}"
    url = session.url("tags/list")
    tags: dict[str, None] = {}
    for _ in range(_MAX_PAGES):
        with session.ask("GET", url, what=what) as answer:
            body = answer.read_document(MAX_MANIFEST, what)
            link = _NEXT.search(answer.headers.get("Link", ""))
            following = session.absolute(answer, link[1]) if link else ""
        try:
            names = json.loads(body).get("tags") or []
            found = [name for name in names if isinstance(name, str) and _TAG.fullmatch(name)]
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise BadContent(f"{what}: what the registry sent is no list") from None
        known = len(tags)
        tags.update(dict.fromkeys(found))
        if not following or len(tags) == known:
            break
        if len(tags) > _MAX_TAGS or urlsplit(following).netloc != urlsplit(url).netloc:
            raise BadContent(f"{what}: the list does not end")
        url = following
    if not tags:
        raise NotFound(f"no tags of {session.path} in registry {session.host}", subject=session.path)
    return list(tags)
