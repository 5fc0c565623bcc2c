"""A service's networks, ports, names and addresses; and the top level's networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from runtime.compose.project import NetworkSpec, PortRange
from runtime.compose.schema import SECTIONS
from runtime.compose.storage import is_external
from runtime.compose.values import Value, nearest
from runtime.model.container import NetworkAttachment, PortBinding
from runtime.model.parse import parse_port

__all__ = ["attachments", "declared_networks", "exposed", "ports"]

Warn = Callable[[str], None]


def declared_networks(section: Value | None, project: str, warn: Warn) -> dict[str, NetworkSpec]:
    """What is declared, and ``default`` in any case."""
    found = {"default": NetworkSpec("default", f"{project}_default")}
    for key, at in section.mapping().items() if section else ():
        at.known_keys(SECTIONS["network"])
        external, old_name = is_external(at)
        name, driver, internal, labels = (at.get(item) for item in ("name", "driver", "internal", "labels"))
        subnet, gateway = _address_management(at.get("ipam"), warn)
        options = at.get("driver_opts")
        ipv6 = at.get("enable_ipv6")
        if ipv6 and ipv6.boolean():
            warn(f"{ipv6.path} is not supported and ignored")
        found[key] = NetworkSpec(
            key=key,
            name=name.string() if name else old_name or (key if external else f"{project}_{key}"),
            external=external,
            driver=_driver(driver),
            subnet=subnet,
            gateway=gateway,
            internal=internal.boolean() if internal else False,
            labels=labels.string_map() if labels else {},
            options=options.string_map() if options else {},
        )
    return found


def _driver(at: Value | None) -> str:
    if at is None or at.string() in ("", "default"):
        return "bridge"
    return at.choice("bridge", "host", "none", "macvlan", "overlay")


def _address_management(at: Value | None, warn: Warn) -> tuple[str | None, str | None]:
    if at is None:
        return None, None
    at.known_keys(SECTIONS["ipam"])
    configs = at.get("config")
    found: tuple[str | None, str | None] = (None, None)
    for item in configs.items() if configs else ():
        item.known_keys(SECTIONS["ipam_config"])
        subnet, gateway = item.get("subnet"), item.get("gateway")
        for key in ("ip_range", "aux_addresses"):
            if value := item.get(key):
                warn(f"{value.path} is not supported and ignored")
        if subnet is None:
            continue
        try:
            network = ipaddress.ip_network(subnet.string())
        except ValueError as error:
            raise subnet.wrong(f'"{subnet.string()}" is not a subnet in CIDR notation: {error}') from None
        if network.version != 4 or found[0] is not None:
            warn(f"{subnet.path} is not supported and ignored: a network has one IPv4 subnet")
            continue
        if gateway and not _inside(gateway.string(), network):
            raise gateway.wrong(f'"{gateway.string()}" is not an address in {network}')
        found = (str(network), gateway.string() if gateway else None)
    return found


def _inside(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False


def attachments(
    service: Value, name: str, networks: Mapping[str, NetworkSpec], warn: Warn
) -> tuple[str, tuple[NetworkAttachment, ...]]:
    """The network mode and what to attach to, the highest priority first; a service of no network is on
    ``default``. Everybody finds the service by its name."""
    mode, listed = service.get("network_mode"), service.get("networks")
    if mode:
        if listed:
            raise mode.wrong("network_mode and networks cannot both be given")
        text = mode.string()
        if text in ("none", "host") or text.startswith(("service:", "container:")):
            return text, ()
        if text not in ("bridge", "default"):
            raise mode.wrong(
                f'must be bridge, host, none, service:NAME or container:NAME, not "{text}"',
                hint="to join a network, list it under networks",
            )
        return "bridge", ()
    entries = listed.mapping() if listed and not listed.empty else {}
    if not entries:
        entries = {"default": Value(service.node, f"{service.path}.networks")}
    made: list[tuple[int, NetworkAttachment]] = []
    for key, at in entries.items():
        spec = networks.get(key)
        if spec is None:
            raise at.wrong(
                f'the network "{key}" is not declared',
                hint=nearest(key, networks) or f"add it at the top level: networks: {{{key}: {{}}}}",
            )
        made.append(_attachment(at, spec, name, warn, declared=listed is not None))
    made.sort(key=lambda item: -item[0])
    first = made[0][1].network
    return first, tuple(attachment for _, attachment in made)


def _attachment(
    at: Value, spec: NetworkSpec, service: str, warn: Warn, *, declared: bool
) -> tuple[int, NetworkAttachment]:
    if not declared or at.empty:
        return 0, NetworkAttachment(spec.name, (service,))
    at.known_keys(SECTIONS["service_network"])
    aliases, address, priority = at.get("aliases"), at.get("ipv4_address"), at.get("priority")
    for key in (
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "driver_opts",
        "interface_name",
    ):
        if value := at.get(key):
            warn(f"{value.path} is not supported and ignored")
    if address:
        try:
            ipaddress.IPv4Address(address.string())
        except ValueError:
            raise address.must_be("an IPv4 address") from None
    names = (service, *(aliases.strings() if aliases else ()))
    outside = at.get("gw_priority")
    attachment = NetworkAttachment(
        spec.name,
        tuple(dict.fromkeys(names)),
        address.string() if address else None,
        gw_priority=outside.integer(-(1 << 31)) if outside else 0,
    )
    return priority.integer(-(1 << 31)) if priority else 0, attachment


def ports(service: Value, group: str) -> tuple[tuple[PortBinding, ...], tuple[PortRange, ...]]:
    """``ports`` in the long form; the replicas of a service share them through ``group``, except those that
    are published on a range."""
    listed = service.get("ports")
    found: list[PortBinding] = []
    ranges: list[PortRange] = []
    for at in listed.items() if listed else ():
        at.known_keys(SECTIONS["port"])
        target, published = at.get("target"), at.get("published")
        if target is None:
            raise at.wrong("a port needs a target")
        host_ip, protocol, mode = at.get("host_ip"), at.get("protocol"), at.get("mode")
        if mode:
            mode.choice("host", "ingress")
        words = protocol.choice("tcp", "udp", "sctp") if protocol else "tcp"
        number = target.integer(1, 65535)
        first, dash, last = published.string().partition("-") if published else ("", "", "")
        text = f"{first}:{number}/{words}" if published else f"{number}/{words}"
        if host_ip:
            address = host_ip.string()
            text = f"{f'[{address}]' if ':' in address else address}:{text if published else ':' + text}"
        binding = at.parsed(parse_port, text)[0]
        if dash and published:
            end = at.parsed(parse_port, f"{last}:{number}")[0].host_port
            if end < binding.host_port:
                raise published.wrong(f'the range "{published.string()}" ends before it starts')
            ranges.append(PortRange(number, binding.host_port, end, words, binding.host_ip))
            continue
        found.append(PortBinding(number, words, binding.host_ip, binding.host_port, group))
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(ranges))


def exposed(service: Value) -> tuple[str, ...]:
    """``expose``: PORT[-END][/PROTOCOL] becomes "PORT/PROTOCOL" each."""
    listed = service.get("expose")
    found: list[str] = []
    for at in listed.items() if listed else ():
        if ":" in at.string():
            raise at.wrong(f'must be a port of the container, not "{at.string()}"')
        found += [f"{port.container_port}/{port.protocol}" for port in at.parsed(parse_port, at.string())]
    return tuple(found)
