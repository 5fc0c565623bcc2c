"""A registry that does what registries must not: one fault at a time, chosen by a seeded plan.

It serves a :class:`Content` over HTTP/1.1. Before each answer the plan names a fault (or none), and the
answer is then cut, changed, delayed or replaced. It remembers what it was sent as Authorization.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["BODY_FAULTS", "RANGE_FAULTS", "TOKEN_FAULTS", "Content", "FaultServer"]

BODY_FAULTS = (
    "drop-before-head", "drop-in-head", "drop-in-body", "drop-every-tenth", "reset",
    "status-500", "status-502", "status-503", "status-429", "status-429-date", "status-429-garbage",
    "wrong-byte", "truncated", "longer", "longer-chunked", "endless", "endless-head", "slow-head", "trickle",
    "redirect-loop", "redirect-elsewhere", "redirect-ftp", "redirect-nowhere", "html", "wrong-type",
    "status-418", "not-http",
    "no-length", "no-length-cut", "chunked", "chunked-cut", "chunked-garbage", "says-gzip", "two-lengths",
    "length-garbage", "empty", "denied", "gone",
)  # fmt: skip
RANGE_FAULTS = ("range-ignored", "range-shifted", "range-wrong-bytes", "range-no-header", "range-416")
TOKEN_FAULTS = (
    "token-500", "token-html", "token-none", "token-empty", "token-evil", "token-expired", "token-denied",
    "token-endless", "token-elsewhere", "challenge-garbage", "challenge-other", "challenge-file",
)  # fmt: skip
_ENDLESS = 64 << 20


@dataclass
class Content:
    """What a good registry would serve: path ("manifests/1", "blobs/sha256:...") to (bytes, media type)."""

    parts: dict[str, tuple[bytes, str]] = field(default_factory=dict)


Plan = Callable[[str], str]
"""From a request's path to the fault that it meets, "" for none."""


class FaultServer:
    """Use as a context manager; ``host`` is where it listens. With ``password`` it wants a bearer token."""

    def __init__(self) -> None:
        self.content = Content()
        self.plan: Plan = lambda path: ""
        self.password = False
        self.elsewhere = ""
        """Where "redirect-elsewhere" leads."""
        self.authorizations: list[str] = []
        self.random = random.Random(0)
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def prepare(self, content: Content, plan: Plan, seed: int, *, password: bool) -> None:
        """For the next round."""
        self.content, self.plan, self.password = content, plan, password
        self.random = random.Random(seed)
        self.tokens.clear()
        self.authorizations.clear()
        self.asked.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], owner: FaultServer
    ) -> None:
        super().__init__(address, handler)
        self.owner = owner

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 5
    wbufsize = 0

    def log_message(self, format: str, *args: object) -> None:
        return None

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    @property
    def owner(self) -> FaultServer:
        return self.server.owner

    def _answer(self) -> None:
        owner = self.owner
        given = self.headers.get("Authorization", "")
        parts = urlsplit(self.path)
        if given and parts.path != "/token":
            # The token server is the registry's choice, and gets the password by the protocol.
            owner.authorizations.append(given)
        owner.asked.append(f"{self.command} {self.path}")
        if parts.path == "/token":
            self._token(owner.plan("token"))
            return
        if parts.path == "/v2/":
            self._send(200, b"{}", {"Content-Type": "application/json"})
            return
        rest = parts.path.partition("/app/")[2]
        fault = owner.plan(rest)
        if owner.password and given.removeprefix("Bearer ") not in owner.tokens:
            self._challenge(owner.plan("challenge"))
            return
        found = owner.content.parts.get(rest)
        if fault == "redirect-loop" or "loop=" in parts.query:
            self._send(307, b"", {"Location": f"{parts.path}?loop={owner.random.random()}"})
        elif found is None:
            body = json.dumps(
                {"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown\x1b[31m\nto registry"}]}
            )
            self._send(404, body.encode(), {"Content-Type": "application/json"})
        else:
            with suppress(OSError):
                self._faulty(fault, *found)

    def _challenge(self, fault: str) -> None:
        value = f'Bearer realm="http://{self.owner.host}/token",service="test",scope="repository:app:pull"'
        if fault == "challenge-garbage":
            value = 'Bearer realm="unclosed, =,,= scope'
        elif fault == "challenge-other":
            value = 'Negotiate abc, Digest realm="x"'
        elif fault == "challenge-file":
            value = 'Bearer realm="file:///etc/passwd"'
        elif fault == "token-elsewhere" and self.owner.elsewhere:
            value = f'Bearer realm="http://{self.owner.elsewhere}/token",service="test"'
        self._send(401, b"{}", {"WWW-Authenticate": value})

    def _token(self, fault: str) -> None:
        given = self.headers.get("Authorization", "")
        expected = base64.b64encode(b"me:secret").decode()
        if fault == "token-500":
            self._send(500, b"", {})
        elif fault == "token-html":
            self._send(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        elif fault == "token-none":
            self._send(200, b'{"hello": 1}', {})
        elif fault == "token-empty":
            self._send(200, b"", {})
        elif fault == "token-evil":
            self._send(200, json.dumps({"token": "x\r\nEvil: 1"}).encode(), {})
        elif fault == "token-expired":
            self._send(200, json.dumps({"token": "old", "expires_in": -5}).encode(), {})
        elif fault == "token-denied" or given != f"Basic {expected}":
            self._send(401, b"{}", {})
        elif fault == "token-endless":
            self._head(200, {"Transfer-Encoding": "chunked"})
            self._chunks(b"x" * 65536, _ENDLESS)
        else:
            token = f"t{self.owner.random.getrandbits(64):x}"
            self.owner.tokens.add(token)
            assert parse_qs(urlsplit(self.path).query).get("scope") == ["repository:app:pull"]
            self._send(200, json.dumps({"token": token, "expires_in": 300}).encode(), {})

    def _faulty(self, fault: str, body: bytes, media_type: str) -> None:
        start = self._range(len(body))
        headers = {"Content-Type": media_type}
        status = 200
        if start and fault in RANGE_FAULTS:
            self._ranged(fault, body, start, headers)
            return
        if start:
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
        rest = body[start:]
        method = getattr(self, "_" + fault.replace("-", "_"), None)
        if method is not None:
            method(status, rest, headers)
        elif fault.startswith("status-"):
            self._status(fault)
        else:
            self._send(status, rest, headers)

    def _range(self, size: int) -> int:
        text = self.headers.get("Range", "")
        if not text.startswith("bytes=") or not text.endswith("-"):
            return 0
        start = int(text[6:-1])
        return start if start < size else 0

    def _ranged(self, fault: str, body: bytes, start: int, headers: dict[str, str]) -> None:
        said = {**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        if fault == "range-ignored":
            self._send(200, body, headers)
        elif fault == "range-shifted":
            self._send(206, body[start - 1 :], {**headers, "Content-Range": f"bytes {start + 3}-9/9"})
        elif fault == "range-wrong-bytes":
            self._send(206, bytes(len(body) - start), said)
        elif fault == "range-no-header":
            self._send(206, body[start:], headers)
        else:
            self._send(416, b"", headers)

    # Each fault by its name.

    def _drop_before_head(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._close()

    def _drop_in_head(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        self._close()

    def _drop_in_body(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[: self.owner.random.randrange(len(body) + 1)])
        self._close()

    def _drop_every_tenth(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[:10])
        self._close()

    def _reset(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[: len(body) // 2])
        # Linger of 0 makes close(2) send RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def _status(self, fault: str) -> None:
        headers = {"Content-Type": "application/json"}
        if fault.startswith("status-429"):
            said = {"status-429": "1", "status-429-date": "Wed, 21 Oct 2115 07:28:00 GMT"}.get(fault, "soon")
            headers["Retry-After"] = said
        self._send(int(fault[7:10]), b'{"errors":[{"code":"X","message":"no"}]}', headers)

    def _wrong_byte(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        place = self.owner.random.randrange(max(1, len(body)))
        wrong = body[:place] + bytes([(body[place] ^ 0x20) if body else 0]) + body[place + 1 :]
        self._send(status, wrong, headers)

    def _truncated(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(status, body[: self.owner.random.randrange(max(1, len(body)))], headers)

    def _longer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(status, body + b"more", headers)

    def _longer_chunked(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"})
        self._chunks(body + b"more", 0)
        self.wfile.write(b"0\r\n\r\n")

    def _endless(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"})
        self._chunks(body or b"x", 0)
        self._chunks(b"\0" * 65536, _ENDLESS)
        self._close()

    def _endless_head(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            self.wfile.write(f"X-{number}: {'y' * 1000}\r\n".encode())

    def _slow_head(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: 1\r\n" * 3:
            self.wfile.write(bytes([byte]))
            time.sleep(0.1)
        self._close()

    def _trickle(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        for byte in body[:40]:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)
        self._close()

    def _redirect_elsewhere(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(307, b"", {"Location": f"http://{self.owner.elsewhere}{self.path}"})

    def _redirect_ftp(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(302, b"", {"Location": "ftp://example.invalid/x"})

    def _redirect_nowhere(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(302, b"", {"Location": "http://"})

    def _html(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(200, b"<!DOCTYPE html><title>Please log in</title>", {"Content-Type": "text/html"})

    def _wrong_type(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(status, body, {**headers, "Content-Type": "text/plain; charset=\x1b[2J"})

    def _not_http(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n")
        self._close()

    def _no_length(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Connection": "close"})
        self.wfile.write(body)
        self._close()

    def _no_length_cut(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Connection": "close"})
        self.wfile.write(body[: len(body) // 2])
        self._close()

    def _chunked(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"})
        for place in range(0, len(body), 7):
            self._chunks(body[place : place + 7], 0)
        self.wfile.write(b"0\r\n\r\n")

    def _chunked_cut(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"})
        self._chunks(body[: len(body) // 2] or b"x", 0)
        self._close()

    def _chunked_garbage(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Transfer-Encoding": "chunked"})
        self.wfile.write(b"zz\r\n" + body)
        self._close()

    def _says_gzip(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(status, body, {**headers, "Content-Encoding": "gzip"})

    def _two_lengths(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        head = (
            f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\nContent-Length: {len(body) + 9}\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)
        self._close()

    def _length_garbage(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": "-1"})
        self.wfile.write(body)
        self._close()

    def _empty(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(status, b"", headers)

    def _denied(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(403, b'{"errors":[{"code":"DENIED","message":"requested access is denied"}]}', {})

    def _gone(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send(404, b"nothing here", {"Content-Type": "text/plain"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.wfile.write("\r\n".join(lines).encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _chunks(self, data: bytes, until: int) -> None:
        piece = f"{len(data):x}\r\n".encode() + data + b"\r\n"
        sent = 0
        while True:
            self.wfile.write(piece)
            sent += len(data)
            if sent >= until:
                return

    def _close(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
