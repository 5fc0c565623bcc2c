"""Where a registry is spoken to: its address, Docker Hub's mirrors, and registries without good TLS."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.config import Config
from runtime.errors import InvalidInput
from runtime.images.reference import DEFAULT_DOMAIN

__all__ = ["HUB", "INDEX", "Endpoint", "endpoints", "is_insecure"]

HUB = "registry-1.docker.io"
"""Docker Hub's registry; ``docker.io`` itself is only a name."""
INDEX = "https://index.docker.io/v1/"
"""What Docker Hub is called in docker's config.json."""

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Endpoint:
    """``url`` has no slash at its end. ``verify`` False: certificates are not looked at. ``domain`` is the
    registry's name in references; a mirror's differs from its host."""

    url: str
    domain: str
    verify: bool = True
    mirror: bool = False

    @property
    def host(self) -> str:
        """With the port where one is given: "localhost:5000"."""
        return urlsplit(self.url).netloc

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://") and self.verify


def endpoints(domain: str, config: Config, *, mirrors: bool = True) -> list[Endpoint]:
    """Those to try, in order. Raises InvalidInput for a mirror's address that is none."""
    found: list[Endpoint] = []
    if domain == DEFAULT_DOMAIN and mirrors:
        found += [_mirror(text, config) for text in config.registry_mirrors]
    host = HUB if domain == DEFAULT_DOMAIN else domain
    if is_insecure(host, config.insecure_registries):
        found.append(Endpoint(f"https://{host}", domain, verify=False))
        found.append(Endpoint(f"http://{host}", domain, verify=False))
    else:
        found.append(Endpoint(f"https://{host}", domain))
    return found


def _mirror(text: str, config: Config) -> Endpoint:
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"registry-mirrors: {text!r} is not the address of a registry",
            hint="give https://HOST[:PORT]",
            subject=text,
        )
    if parts.username:
        raise InvalidInput(
            "registry-mirrors: an address must not carry a password",
            hint=f"use: tuidock login {parts.hostname}",
        )
    verify = parts.scheme == "https" and not is_insecure(parts.netloc, config.insecure_registries)
    return Endpoint(
        f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", DEFAULT_DOMAIN, verify, mirror=True
    )


def is_insecure(host: str, listed: Iterable[str], resolve: Callable[[str], list[str]] | None = None) -> bool:
    """Docker's rule: the machine itself always; else HOST[:PORT] by name, or by address in a CIDR."""
    parts = urlsplit(f"//{host}")
    name = parts.hostname or host
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for item in listed:
        plain = item.partition("://")[2] or item
        if plain in (host, name):
            return True
        try:
            networks.append(ipaddress.ip_network(plain, strict=False))
        except ValueError:
            continue
    if name == "localhost":
        return True
    try:
        addresses = [str(ipaddress.ip_address(name))]
    except ValueError:
        addresses = (resolve or _resolve)(name) if networks else []
    return any(
        ipaddress.ip_address(address) in network
        for address in addresses
        for network in (*networks, *_LOOPBACK)
    )


def _resolve(name: str) -> list[str]:
    try:
        return [str(item[4][0]) for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []
