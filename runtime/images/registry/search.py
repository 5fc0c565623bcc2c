"""search: where the registry offers it. Docker Hub and its likes by their index, others by their catalog."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from runtime.errors import EngineError, InvalidInput, NotFound, Unavailable
from runtime.images.reference import DEFAULT_DOMAIN
from runtime.images.registry.credentials import CredentialStore
from runtime.images.registry.endpoints import endpoints
from runtime.images.registry.faults import BadContent, Temporary, WrongScheme
from runtime.images.registry.manifests import MAX_MANIFEST
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Timing, Transport
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["SearchResult", "search"]

_HUB_INDEX = "https://index.docker.io"
_MAX_PAGES = 50
_PAGE = 1000


@dataclass(frozen=True)
class SearchResult:
    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(
    ctx: Context,
    term: str,
    *,
    limit: int = 25,
    cancel: CancelEvent | None = None,
    timing: Timing | None = None,
) -> list[SearchResult]:
    """``term`` is [REGISTRY/]WORDS. Raises InvalidInput, Unavailable (the registry offers none), Denied."""
    if not 1 <= limit <= 100:
        raise InvalidInput(f"limit {limit} is outside the range of [1, 100]", subject=str(limit))
    first, slash, rest = term.partition("/")
    is_domain = bool(slash) and ("." in first or ":" in first or first == "localhost")
    domain, words = (first, rest) if is_domain else (DEFAULT_DOMAIN, term.removeprefix("library/"))
    if not words.strip():
        raise InvalidInput("nothing to search for was given", hint="tuidock search [REGISTRY/]WORD")
    failure: EngineError | None = None
    for endpoint in endpoints(domain, ctx.config, mirrors=False):
        try:
            with Transport(ctx.config, cancel=cancel, timing=timing) as transport:
                session = Session(transport, endpoint, CredentialStore().get(domain))
                session.ping()
                base = _HUB_INDEX if domain == DEFAULT_DOMAIN else endpoint.url
                found = _index(session, base, words, limit)
                if found is None:
                    found = _catalog(session, domain, words, limit)
                return found
        except (Temporary, WrongScheme) as error:
            if endpoint.verify or not endpoint.url.startswith("https:"):
                raise
            failure = error
    assert failure is not None
    raise failure


def _index(session: Session, base: str, words: str, limit: int) -> list[SearchResult] | None:
    """docker's first interface, which Docker Hub still has; None where it is not offered."""
    url = f"{base}/v1/search?{urlencode({'q': words, 'n': limit})}"
    answer = session.ask("GET", url, what="search", accept=(200, 401, 403, 404, 405, 501))
    with answer:
        if answer.status != 200 or "json" not in answer.headers.get("Content-Type", ""):
            return None
        body = answer.read_document(MAX_MANIFEST, "the search result")
    try:
        return [
            SearchResult(
                str(item["name"]),
                " ".join(str(item.get("description") or "").split()),
                int(item.get("star_count") or 0),
                bool(item.get("is_official")),
                bool(item.get("is_automated")),
            )
            for item in json.loads(body)["results"]
        ][:limit]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadContent(f"registry {session.host}: the search result cannot be read") from None


def _catalog(session: Session, domain: str, words: str, limit: int) -> list[SearchResult]:
    """Names that contain the words, out of all of them (distribution, "Listing Repositories")."""
    found: list[SearchResult] = []
    last = ""
    for _ in range(_MAX_PAGES):
        url = f"{session.endpoint.url}/v2/_catalog?n={_PAGE}" + (f"&last={quote(last)}" if last else "")
        try:
            with session.ask("GET", url, what=f"search in {domain}") as answer:
                body = answer.read_document(MAX_MANIFEST, "the catalog")
                more = "next" in answer.headers.get("Link", "")
        except (NotFound, BadContent) as error:
            raise Unavailable(
                f"registry {domain} does not offer a search", hint="its web page may", subject=domain
            ) from error
        try:
            names = [name for name in json.loads(body)["repositories"] if isinstance(name, str)]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadContent(f"registry {session.host}: the catalog cannot be read") from None
        found += [SearchResult(f"{domain}/{name}") for name in names if words.lower() in name.lower()]
        if not more or not names or names[-1] == last or len(found) >= limit:
            break
        last = names[-1]
    return found[:limit]
