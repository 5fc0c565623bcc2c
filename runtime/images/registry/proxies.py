"""Proxies from the environment, as Go's programs read it (golang.org/x/net/http/httpproxy)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["proxy_for"]

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """The proxy's address for ``url``; "" for none. The machine itself is always spoken to directly."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    scheme = parts.scheme
    value = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") or ""
    if scheme == "http" and not environ.get("http_proxy") and environ.get("REQUEST_METHOD"):
        value = ""  # a CGI program: the variable may be a request's Proxy header (httpoxy)
    if not value or host == "localhost" or _is_loopback(host):
        return ""
    port = parts.port or _PORTS[scheme]
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if any(_covers(item.strip().lower(), host, port) for item in listed.split(",") if item.strip()):
        return ""
    return value if "://" in value else f"http://{value}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(item: str, host: str, port: int) -> bool:
    """A name stands for itself and all below it; ".name" for what is below only; addresses, CIDRs, "*"."""
    if item == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(item, strict=False)
    except ValueError:
        pass
    if "]:" in item or item.count(":") == 1:
        item, _, given = item.rpartition(":")
        if given != str(port):
            return False
    item = item.strip("[]")
    if item.startswith("*."):
        item = item[1:]
    if item.startswith("."):
        return host.endswith(item)
    return host == item or host.endswith(f".{item}")
