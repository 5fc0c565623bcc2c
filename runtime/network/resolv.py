"""The contents of a container's resolv.conf, hosts and hostname files. Pure but for reading the machine's
own resolv.conf. docker's rules: libnetwork/internal/resolvconf, libnetwork/sandbox_dns_unix.go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import InvalidInput

if TYPE_CHECKING:
    from runtime.config import Config
    from runtime.model.container import ContainerConfig, Endpoint

__all__ = [
    "EMBEDDED", "HOST_GATEWAY", "ResolverSettings", "hostname_file", "hosts_file", "nameservers_of_machine",
    "own_names", "parse", "resolv_conf", "upstreams",
]  # fmt: skip

EMBEDDED = "127.0.0.11"
"""Where the resolver of user networks answers, in the container's network namespace."""
HOST_GATEWAY = "host-gateway"
"""The word in ``--add-host NAME:host-gateway`` for the machine itself."""
FALLBACK = ("8.8.8.8", "8.8.4.4")
MACHINE_FILE = "/etc/resolv.conf"
SYSTEMD_FILE = "/run/systemd/resolve/resolv.conf"
"""The real servers behind systemd-resolved's stub at 127.0.0.53 (systemd-resolved.service(8))."""


class ResolverSettings(NamedTuple):
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str) -> ResolverSettings:
    """resolv.conf(5): several nameserver lines, the last search or domain line, all options."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            nameservers.append(words[1].partition("%")[0])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return ResolverSettings(tuple(nameservers), search, tuple(options))


def _machine_settings() -> ResolverSettings:
    settings = _read(MACHINE_FILE)
    if settings.nameservers and all(server == "127.0.0.53" for server in settings.nameservers):
        behind = _read(SYSTEMD_FILE)
        if behind.nameservers:
            return behind
    return settings


def _read(path: str) -> ResolverSettings:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse(file.read())
    except OSError:
        return ResolverSettings()


def nameservers_of_machine() -> tuple[str, ...]:
    return _machine_settings().nameservers


def _loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def _effective(
    container: ContainerConfig, settings: Config, machine: ResolverSettings, keep_loopback: bool
) -> ResolverSettings:
    nameservers = container.dns or settings.dns
    if not nameservers:
        # A container without an IPv6 address cannot reach an IPv6 server either.
        reachable = [s for s in machine.nameservers if keep_loopback or not (_loopback(s) or ":" in s)]
        nameservers = tuple(reachable) or FALLBACK
    search = container.dns_search or settings.dns_search or machine.search
    if search == (".",):
        search = ()
    options = container.dns_options or settings.dns_opts or machine.options
    return ResolverSettings(nameservers, search, options)


def resolv_conf(
    container: ContainerConfig,
    settings: Config,
    *,
    machine: ResolverSettings | None = None,
    host_network: bool = False,
    embedded: bool = False,
) -> str:
    """``embedded``: names of user networks are answered at 127.0.0.11, which forwards the rest to
    :func:`upstreams`. A loopback server of the machine is of use only on its own network."""
    found = machine if machine is not None else _machine_settings()
    chosen = _effective(container, settings, found, host_network)
    servers = (EMBEDDED,) if embedded else chosen.nameservers
    options = chosen.options
    if embedded and not any(option.startswith("ndots:") for option in options):
        options = (*options, "ndots:0")
    lines = [f"nameserver {server}" for server in servers]
    if chosen.search:
        lines.append("search " + " ".join(chosen.search))
    if options:
        lines.append("options " + " ".join(options))
    return "\n".join(lines) + "\n"


def upstreams(
    container: ContainerConfig, settings: Config, *, machine: ResolverSettings | None = None
) -> tuple[str, ...]:
    """The servers that the embedded resolver asks, at most three."""
    found = machine if machine is not None else _machine_settings()
    return _effective(container, settings, found, False).nameservers[:3]


def hosts_file(
    hostname: str,
    domainname: str,
    endpoints: Sequence[Endpoint],
    extra_hosts: Iterable[str] = (),
    *,
    host_gateway: str = "",
) -> str:
    """``extra_hosts`` are "name:address" (or "name=address"). Raises InvalidInput for another form."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    gateway = host_gateway or next((endpoint.gateway for endpoint in endpoints), "")
    for entry in extra_hosts:
        separator = "=" if "=" in entry else ":"
        name, found, address = entry.partition(separator)
        if not found or not name or not address or any(c.isspace() for c in entry):
            raise InvalidInput(
                f"bad format for add-host: {entry!r}", hint="write --add-host NAME:ADDRESS", subject=entry
            )
        if address == HOST_GATEWAY:
            if not gateway:
                raise InvalidInput(
                    f"add-host {name}: there is no host gateway on this network", subject=entry
                )
            address = gateway
        lines.append(f"{address.strip('[]')}\t{name}")
    own = own_names(hostname, domainname)
    lines += [f"{endpoint.ipv4_address}\t{own}" for endpoint in endpoints]
    return "\n".join(lines) + "\n"


def own_names(hostname: str, domainname: str) -> str:
    """What stands behind the container's own addresses in its hosts file."""
    return f"{hostname}.{domainname} {hostname}" if domainname else hostname


def hostname_file(hostname: str) -> str:
    return hostname + "\n"
