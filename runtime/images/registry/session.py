"""One repository at one endpoint: requests with authorization, tried again where that may help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urljoin, urlsplit

from runtime.errors import Denied, EngineError
from runtime.images.registry.auth import Authorizer
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.endpoints import Endpoint
from runtime.images.registry.faults import Backoff, Temporary, Unreachable
from runtime.images.registry.transport import Answer, Transport
from runtime.images.registry.wording import retry_after, status_error

__all__ = ["Session"]


class Session:
    """``path`` is the repository ("library/base"); ``actions`` what a token is asked for: "pull" or
    "pull,push". ``also`` are further repositories to read, for mounting out of them."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        credentials: Credentials,
        path: str = "",
        actions: str = "pull",
        also: Iterable[str] = (),
    ) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.path = path
        self._authorizer = Authorizer(transport, credentials, verify=endpoint.verify)
        scopes = [f"repository:{path}:{actions}"] if path else []
        scopes += [f"repository:{other}:pull" for other in also]
        self._scope = " ".join(scopes)

    @property
    def host(self) -> str:
        return self.endpoint.host

    @property
    def logged_in(self) -> bool:
        return self._authorizer.logged_in

    def ping(self) -> None:
        """Is anybody there? Raises Unreachable, WrongScheme, Unavailable; with TLS that is not checked also
        Temporary, since plain HTTP may be what the other side speaks."""
        try:
            self.transport.request("GET", f"{self.endpoint.url}/v2/", verify=self.endpoint.verify).close()
        except Unreachable:
            raise
        except Temporary:
            if not self.endpoint.verify and self.endpoint.url.startswith("https:"):
                raise

    def url(self, rest: str) -> str:
        """Of something in the repository: "manifests/latest"."""
        return f"{self.endpoint.url}/v2/{self.path}/{rest}"

    def backoff(self) -> Backoff:
        timing = self.transport.timing
        return Backoff(timing.attempts, timing.first_wait, timing.longest_wait)

    def once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """One request, with a login where the registry asks for it; a body that is an iterable must not need
        one. The authorization stays with this endpoint's host."""
        ours = _same_host(url, self.endpoint.url)
        sent = self._authorizer.header(self._scope) if ours else ""
        verify = self.endpoint.verify
        for _ in range(2):
            answer = self.transport.request(
                method, url, headers=headers, authorization=sent, body=body, verify=verify
            )
            if answer.status != 401 or not ours or not _same_host(answer.url, self.endpoint.url):
                return answer
            if body is not None and not isinstance(body, bytes):
                return answer
            with answer:
                sent = self._authorizer.answer(answer, self._scope, sent)
        return self.transport.request(
            method, url, headers=headers, authorization=sent, body=body, verify=verify
        )

    def ask(
        self,
        method: str,
        url: str,
        *,
        what: str,
        accept: Iterable[int] = (200,),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """The same until it gives an ``accept``ed status. Raises what the last failure was: NotFound, Denied,
        Temporary, BadContent; or Cancelled."""
        backoff = self.backoff()
        while True:
            try:
                answer = self.once(method, url, headers=headers, body=body)
                if answer.status in accept:
                    return answer
                with answer:
                    raise self.failure(answer, what)
            except EngineError as error:
                backoff.wait(error, self.transport.cancel)

    def failure(self, answer: Answer, what: str) -> EngineError:
        """An answer that nobody hoped for, as an error."""
        error = status_error(
            answer.host,
            answer.status,
            answer.excerpt(),
            what=what,
            after=retry_after(answer.headers.get("Retry-After", "")),
            logged_in=self.logged_in,
        )
        if isinstance(error, Denied) and answer.status == 403 and not self.logged_in:
            error.hint = f"tuidock login {self.host}"
        return error

    def absolute(self, answer: Answer, location: str) -> str:
        """An address that an answer's header gave, which may be relative to it."""
        return urljoin(answer.url, location)


def _same_host(one: str, other: str) -> bool:
    left, right = urlsplit(one), urlsplit(other)
    return (left.scheme, left.netloc) == (right.scheme, right.netloc)
