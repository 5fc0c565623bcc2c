"""Who we are: Basic (RFC 7617) and the bearer token flow (distribution, "Token Authentication")."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from runtime.errors import Denied
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.faults import BadContent
from runtime.images.registry.transport import Answer, Transport
from runtime.images.registry.wording import retry_after, status_error

__all__ = ["Authorizer", "Challenge", "parse_challenges"]

_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_.!#$%&\'*+^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z0-9_.!#$%&'*+^`|~-]+)(?=\s|,|$)(?!\s*=)")
_LONGEST = 8192
_MAX_TOKEN = 1 << 20
_SHORTEST_LIFE = 60.0
_CLIENT = "tuidock"


@dataclass(frozen=True)
class Challenge:
    """One scheme of a WWW-Authenticate header: "bearer" with realm, service, scope; or "basic"."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """Of every WWW-Authenticate header (RFC 9110, 11.6.1); what cannot be read ends a header."""
    found: list[Challenge] = []
    for header in headers:
        text = header[:_LONGEST]
        place = 0
        while (match := _SCHEME.match(text, place)) is not None:
            place = match.end()
            parameters: dict[str, str] = {}
            while (pair := _PARAMETER.match(text, place)) is not None:
                quoted, bare = pair[2], pair[3]
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
                parameters.setdefault(pair[1].lower(), value)
                place = pair.end()
            found.append(Challenge(match[1].lower(), parameters))
    return found


class Authorizer:
    """Answers one registry's challenges. Tokens are kept by scope until they expire; safe between threads."""

    def __init__(self, transport: Transport, credentials: Credentials, *, verify: bool) -> None:
        self._transport = transport
        self._credentials = credentials
        self._verify = verify
        self._lock = threading.Lock()
        self._headers: dict[str, tuple[str, float]] = {}

    @property
    def logged_in(self) -> bool:
        return bool(self._credentials)

    def header(self, scope: str) -> str:
        """What was learnt for the scope earlier; "" when nothing, or when it has expired."""
        value, expires = self._headers.get(scope, ("", 0.0))
        return value if expires > time.monotonic() else ""

    def answer(self, answer: Answer, scope: str, refused: str) -> str:
        """The Authorization header for a 401; ``refused`` is the one that was sent. Raises Denied."""
        with self._lock:
            known = self.header(scope)
            if known and known != refused:
                return known  # another thread was faster
            value, life = self._fresh(answer, scope, refused)
            self._headers[scope] = (value, time.monotonic() + life)
            return value

    def _fresh(self, answer: Answer, scope: str, refused: str) -> tuple[str, float]:
        challenges = parse_challenges(answer.headers.getlist("WWW-Authenticate"))
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                return self._token(answer, challenge, scope)
        if any(challenge.scheme == "basic" for challenge in challenges):
            if not self._credentials.username:
                raise Denied(
                    f"registry {answer.host} wants a login",
                    hint=f"tuidock login {answer.host}",
                    subject=answer.host,
                )
            basic = self._credentials.basic()
            if refused == basic:
                raise _refused(answer.host)
            return basic, float("inf")
        raise Denied(
            f"registry {answer.host} wants a login of a kind that is not known",
            hint="Basic and Bearer are",
            subject=answer.host,
        )

    def _token(self, answer: Answer, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm = challenge.parameters["realm"]
        service = challenge.parameters.get("service", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise BadContent(
                f"registry {answer.host} names an impossible token server: {realm[:80]!r}",
                subject=answer.host,
            )
        if parts.scheme == "http" and answer.url.startswith("https://") and self._verify:
            raise Denied(
                f"registry {answer.host} wants the password sent to {parts.netloc} without TLS",
                subject=answer.host,
            )
        wanted = scope or challenge.parameters.get("scope", "")
        fields = [("service", service)] if service else []
        fields += [("scope", item) for item in wanted.split()]
        reply = self._ask(realm, fields)
        with reply:
            if reply.status in (400, 401, 403):
                if reply.status == 401 or self.logged_in:
                    raise _refused(answer.host)
                raise status_error(reply.host, 403, reply.excerpt(), what="the token server")
            if reply.status != 200:
                raise status_error(
                    reply.host,
                    reply.status,
                    reply.excerpt(),
                    what="the token server",
                    after=retry_after(reply.headers.get("Retry-After", "")),
                )
            return _read_token(reply)

    def _ask(self, realm: str, fields: list[tuple[str, str]]) -> Answer:
        """GET with a password; POST (OAuth2) with an identity token."""
        separator = "&" if "?" in realm else "?"
        if self._credentials.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", self._credentials.identity_token),
                ("client_id", _CLIENT),
                *[pair for pair in fields if pair[0] != "scope"],
                ("scope", " ".join(value for name, value in fields if name == "scope")),
            ]
            return self._transport.request(
                "POST",
                realm,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
                verify=self._verify,
            )
        if self._credentials.username:
            fields = [("account", self._credentials.username), ("client_id", _CLIENT), *fields]
        url = f"{realm}{separator}{urlencode(fields)}" if fields else realm
        authorization = self._credentials.basic() if self._credentials.username else ""
        return self._transport.request("GET", url, authorization=authorization, verify=self._verify)


def _read_token(reply: Answer) -> tuple[str, float]:
    """The header and its life in seconds; a token that has no life is used once more at least."""
    body = reply.read_document(_MAX_TOKEN, "its token")
    try:
        document = json.loads(body)
        token = document.get("token") or document.get("access_token")
        life = float(document.get("expires_in") or _SHORTEST_LIFE)
    except (ValueError, TypeError, AttributeError, RecursionError):
        token, life = None, 0.0
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise BadContent(f"the token server {reply.host} sent no token", subject=reply.host)
    return f"Bearer {token}", max(life, _SHORTEST_LIFE) - 5


def _refused(host: str) -> Denied:
    return Denied(
        f"registry {host} refused the login: unauthorized: incorrect username or password",
        hint=f"tuidock login {host}",
        subject=host,
    )
