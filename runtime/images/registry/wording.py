"""What went wrong, in words that a user understands; no two layers say it twice."""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl

from urllib3.exceptions import (
    ConnectTimeoutError,
    IncompleteRead,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from runtime.errors import Denied, EngineError, NotFound, Unavailable
from runtime.images.registry.faults import BadContent, Temporary, Unreachable, WrongScheme

__all__ = ["connection_error", "registry_errors", "retry_after", "status_error"]

_OFFLINE = (
    "is the network up? without one: tuidock load, tuidock image bootstrap, or a mirror in registry-mirrors"
)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


def connection_error(host: str, error: BaseException) -> EngineError:
    """For what urllib3 and the socket raise. Temporary where trying again may help."""
    cause = _innermost(error)
    if isinstance(error, ProxyError) or isinstance(getattr(error, "reason", None), ProxyError):
        return Unreachable(
            f"cannot reach registry {host} through the proxy: {_reason(cause)}",
            hint="HTTP_PROXY, HTTPS_PROXY and NO_PROXY say which proxy is used",
            subject=host,
        )
    if isinstance(cause, ssl.SSLError):
        return _tls_error(host, cause)
    chain = _chain(error)
    if any(isinstance(item, NameResolutionError) for item in chain) or isinstance(cause, socket.gaierror):
        return Unreachable(
            f"cannot reach registry {host}: its name does not resolve", hint=_OFFLINE, subject=host
        )
    if any(isinstance(item, NewConnectionError) for item in chain):
        return Unreachable(f"cannot reach registry {host}: {_reason(cause)}", hint=_OFFLINE, subject=host)
    # (a NewConnectionError is a ConnectTimeoutError to urllib3, so it comes first)
    if any(isinstance(item, ConnectTimeoutError) for item in chain):
        return Unreachable(f"cannot reach registry {host}: it does not answer", hint=_OFFLINE, subject=host)
    if any(isinstance(item, ReadTimeoutError) for item in chain) or isinstance(cause, TimeoutError):
        return Temporary(f"registry {host}: no answer in time", subject=host)
    if any(isinstance(item, IncompleteRead) for item in chain):
        return Temporary(f"registry {host}: the connection was cut", subject=host)
    return Temporary(f"registry {host}: the connection broke: {_reason(cause)}", subject=host)


def _tls_error(host: str, error: ssl.SSLError) -> EngineError:
    text = f"{error.reason or ''} {error}"
    if any(word in text for word in _NOT_TLS):
        return WrongScheme(
            f"registry {host} speaks plain HTTP, not TLS",
            hint=f"if that is meant to be, add {host} to insecure-registries in the settings",
            subject=host,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(
            f"registry {host}: its certificate is not trusted: {error.verify_message}",
            hint=f"put its authority's certificate into /etc/docker/certs.d/{host}/ca.crt",
            subject=host,
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Temporary(f"registry {host}: the connection was cut", subject=host)
    if "ALERT" in text and ("CERTIFICATE" in text or "HANDSHAKE" in text):
        return Denied(
            f"registry {host}: it wants a client certificate: {error.reason}",
            hint=f"put client.cert and client.key into /etc/docker/certs.d/{host}/",
            subject=host,
        )
    return Temporary(f"registry {host}: TLS failed: {error.reason or error}", subject=host)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        inner = getattr(current, "reason", None)
        current = inner if isinstance(inner, BaseException) else current.__cause__ or current.__context__
    return found


def _innermost(error: BaseException) -> BaseException:
    chain = _chain(error)
    for item in reversed(chain):
        if isinstance(item, OSError):
            return item
    return chain[-1]


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in errno.errorcode and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MaxRetryError):
        return "too many failures"
    return _clean(str(error)) or type(error).__name__


def registry_errors(body: bytes) -> list[tuple[str, str]]:
    """(code, message) of the error document (distribution-spec, "Error Codes"); [] for anything else."""
    try:
        document = json.loads(body)
        items = document["errors"]
        found = [(str(item.get("code", "")), _clean(str(item.get("message") or ""))) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return found[:3]


def status_error(
    host: str, status: int, body: bytes, *, what: str, after: float | None = None, logged_in: bool = False
) -> EngineError:
    """For an answer that is not the one hoped for; ``what`` says what was asked."""
    said = registry_errors(body)
    detail = "; ".join(message.lower() or code.lower() for code, message in said)
    if status == 401:
        return Denied(
            f"{what}: registry {host} wants a login" if not logged_in else f"{what}: login was refused",
            hint=f"tuidock login {host}",
            subject=host,
        )
    if status == 403:
        return Denied(
            f"{what}: access denied by registry {host}" + (f": {detail}" if detail else ""), subject=host
        )
    if status == 404:
        return NotFound(f"{what} not found" + (f": {detail}" if detail else ""), subject=host)
    if status == 429:
        return Temporary(
            f"{what}: registry {host} asks for patience: too many requests",
            hint="log in for a higher limit, or try again later",
            subject=host,
            after=after,
        )
    if status >= 500 or status == 408:
        return Temporary(
            f"{what}: registry {host} answered {status}" + (f": {detail}" if detail else ""),
            subject=host,
            after=after,
        )
    return BadContent(
        f"{what}: registry {host} answered {status}" + (f": {detail}" if detail else ""), subject=host
    )


def retry_after(text: str) -> float | None:
    """Seconds, from the header's number or date (RFC 9110, 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    if not text:
        return None
    import time
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _clean(text: str) -> str:
    """What a stranger says: one line, no control characters, not too long."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]+", " ", text).strip()
    return text if len(text) <= 200 else text[:199] + "…"
