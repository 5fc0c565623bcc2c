"""HTTP as a registry needs it, over urllib3: one answer to one request, or an error in our words.

Redirects are followed here, since credentials must not go to another host; sockets are known here, so that a
cancelled verb does not wait for one that says nothing.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse, HTTPResponse

from runtime.config import Config
from runtime.errors import Cancelled, EngineError, Unavailable
from runtime.images.registry.certificates import certificate_directories, tls_context
from runtime.images.registry.faults import BadContent, Temporary
from runtime.images.registry.proxies import proxy_for
from runtime.images.registry.wording import connection_error
from runtime.model.event import CancelEvent

__all__ = ["Answer", "Timing", "Transport"]

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_WATCH = 0.1
_AGENT = "tuidock/0.1.0"


@dataclass(frozen=True)
class Timing:
    """Seconds, and how often something is tried. ``document`` bounds a whole manifest, config or token;
    a blob must bring ``slowest`` bytes in ``stall`` seconds."""

    connect: float = 15.0
    read: float = 30.0
    document: float = 60.0
    stall: float = 60.0
    slowest: int = 4096
    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0


class Transport:
    """Connections to any host, kept for the next request. Use as a context manager; safe between threads."""

    def __init__(
        self,
        config: Config,
        *,
        cancel: CancelEvent | None = None,
        timing: Timing | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self.cancel = cancel
        self._directories = certificate_directories(config)
        self._environ = os.environ if environ is None else environ
        self._managers: dict[tuple[str, str, bool, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._deadlines: dict[socket.socket, float] = {}
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="registry-watch", daemon=True)

    def __enter__(self) -> Transport:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._watcher.join()
        for manager in self._managers.values():
            manager.clear()

    def check(self) -> None:
        """Raises Cancelled when the caller asked to stop."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("cancelled")

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str = "",
        body: bytes | Iterable[bytes] | None = None,
        verify: bool = True,
    ) -> Answer:
        """The answer, whatever its status; close it. ``authorization`` goes to the host of ``url`` and to no
        other, and never from TLS to plain text.

        Raises Temporary, Unavailable, BadContent (redirects without end), Cancelled.
        """
        sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **(headers or {})}
        origin = _origin(url)
        for _ in range(_MAX_REDIRECTS + 1):
            self.check()
            own = (
                {**sent, "Authorization": authorization} if authorization and _origin(url) == origin else sent
            )
            answer = self._send(method, url, own, body, verify)
            location = answer.headers.get("Location", "")
            if answer.status not in _REDIRECTS or not location or not (body is None or body == b""):
                return answer
            answer.close()
            url = _redirected(url, location, verify)
            if answer.status == 303 and method != "HEAD":
                method = "GET"
        raise BadContent(
            f"registry {urlsplit(url).netloc}: redirects in circles", subject=urlsplit(url).netloc
        )

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        verify: bool,
    ) -> Answer:
        manager = self._manager(url, verify)
        try:
            response = manager.request(
                method,
                url,
                headers=dict(headers),
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=self.timing.connect, read=self.timing.read),
            )
        except (HTTPError, OSError, ValueError) as error:
            self.check()
            raise connection_error(urlsplit(url).netloc, error) from error
        return Answer(self, url, response)

    def _manager(self, url: str, verify: bool) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = proxy_for(url, self._environ)
        key = (parts.scheme, parts.netloc, verify, proxy)
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                manager = self._managers[key] = self._new_manager(parts.scheme, parts.netloc, verify, proxy)
            return manager

    def _new_manager(self, scheme: str, host: str, verify: bool, proxy: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": 16, "num_pools": 2}
        if scheme == "https":
            options["ssl_context"] = tls_context(host, self._directories, verify=verify)
            if not verify:
                options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        manager: urllib3.PoolManager
        if proxy:
            parts = urlsplit(proxy)
            if parts.scheme not in ("http", "https"):
                raise Unavailable(
                    f"the proxy {parts.hostname} speaks {parts.scheme}, which is not supported",
                    hint="HTTP_PROXY and HTTPS_PROXY take http:// and https:// addresses",
                )
            headers = None
            if parts.username:
                pair = f"{parts.username}:{parts.password or ''}"
                headers = urllib3.make_headers(proxy_basic_auth=pair)
            address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            manager = urllib3.ProxyManager(address, proxy_headers=headers, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = _pools(self)
        return manager

    def connected(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """``connect`` looks a name up and waits for the other side, neither of which can be interrupted: it
        goes its way alone when the caller has cancelled."""
        made: queue.SimpleQueue[socket.socket | BaseException] = queue.SimpleQueue()
        given_up = threading.Event()

        def run() -> None:
            try:
                opened = connect()
            except BaseException as error:  # handed to the waiting thread, which raises it
                made.put(error)
                return
            if given_up.is_set():
                opened.close()
            made.put(opened)

        threading.Thread(target=run, name="registry-connect", daemon=True).start()
        while True:
            try:
                found = made.get(timeout=_WATCH)
                break
            except queue.Empty:
                if self.cancel is not None and self.cancel.is_set():
                    given_up.set()
                    raise Cancelled("cancelled") from None
        if isinstance(found, BaseException):
            raise found
        with self._lock:
            self._sockets = {item for item in self._sockets if item.fileno() >= 0}
            self._sockets.add(found)
        return found

    @contextmanager
    def limited(self, waiting: socket.socket | None) -> Iterator[None]:
        """The head of an answer comes in time, or the connection is shut: a read timeout alone lets a server
        send a byte now and then for ever."""
        if waiting is None:
            yield
            return
        self._deadlines[waiting] = time.monotonic() + self.timing.document
        try:
            yield
        finally:
            self._deadlines.pop(waiting, None)

    def _watch(self) -> None:
        """Shuts what is too slow and, once cancelled, everything: that ends the calls that wait on it."""
        while not self._closed.wait(_WATCH):
            cancelled = self.cancel is not None and self.cancel.is_set()
            now = time.monotonic()
            with self._lock:
                shut = list(self._sockets) if cancelled else []
            shut += [item for item, deadline in list(self._deadlines.items()) if deadline < now]
            for item in shut:
                try:
                    item.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class Answer:
    """A status, headers (looked up without regard to case) and a body that is read once."""

    def __init__(self, transport: Transport, url: str, response: BaseHTTPResponse) -> None:
        self._transport = transport
        self._response = response
        self.url = url
        self.status = response.status
        self.headers = response.headers

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def length(self) -> int | None:
        """What Content-Length says, when it says a number."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def read_some(self, most: int) -> bytes:
        """What has come, at most ``most`` bytes; b"" at the end. Raises Temporary, Cancelled."""
        try:
            return self._response.read1(most, decode_content=False)
        except (HTTPError, OSError, ValueError) as error:
            self._transport.check()
            raise connection_error(self.host, error) from error

    def read_document(self, limit: int, what: str) -> bytes:
        """The whole body. Raises BadContent above ``limit`` bytes, Temporary when it takes too long."""
        deadline = time.monotonic() + self._transport.timing.document
        parts: list[bytes] = []
        size = 0
        while piece := self.read_some(1 << 16):
            size += len(piece)
            if size > limit:
                raise BadContent(
                    f"registry {self.host}: {what} is larger than {limit >> 10} KiB", subject=self.host
                )
            if time.monotonic() > deadline:
                raise Temporary(f"registry {self.host}: {what} takes too long to come", subject=self.host)
            parts.append(piece)
        expected = self.length()
        if expected is not None and expected != size and self._response.status not in (204, 304):
            raise Temporary(f"registry {self.host}: {what} was cut off", subject=self.host)
        return b"".join(parts)

    def excerpt(self, limit: int = 1 << 16) -> bytes:
        """The beginning of the body of an error, as far as it comes."""
        data = b""
        deadline = time.monotonic() + self._transport.timing.read
        try:
            while len(data) < limit and time.monotonic() < deadline:
                piece = self.read_some(limit - len(data))
                if not piece:
                    break
                data += piece
        except Cancelled:
            raise
        except EngineError:
            return data
        return data

    def close(self) -> None:
        """The connection is used again only when the body was read to its end."""
        try:
            if self._response.length_remaining == 0:
                self._response.read(decode_content=False)
                self._response.release_conn()
            else:
                self._response.close()
        except (HTTPError, OSError, ValueError):
            return


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _redirected(url: str, location: str, verify: bool) -> str:
    target = urljoin(url, location)
    parts = urlsplit(target)
    host = urlsplit(url).netloc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadContent(
            f"registry {host}: redirects to {location[:80]!r}, which is no address", subject=host
        )
    if url.startswith("https://") and parts.scheme == "http" and verify:
        raise BadContent(f"registry {host}: redirects from TLS to plain HTTP", subject=host)
    return target


def _pools(transport: Transport) -> dict[str, type]:
    """urllib3's pools, with connections that tell us of their sockets before the TLS handshake."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return transport.connected(super()._new_conn)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
            with transport.limited(self.sock):
                return super().getresponse()

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return transport.connected(super()._new_conn)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
            with transport.limited(self.sock):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
