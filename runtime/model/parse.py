"""What users write on the command line and in compose files, turned into the model's values.

The one door to docker's small grammars: ports, environment files, restart policies and signals are here,
mounts in :mod:`runtime.model.mounts`, sizes, durations and times in :mod:`runtime.model.quantities`. Every
parser raises :class:`InvalidInput`, naming the value and the accepted form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from runtime.errors import InvalidInput, NotFound
from runtime.model.container import PortBinding, RestartPolicy, RestartPolicyName
from runtime.model.ids import DEFAULT_COUNT
from runtime.model.mounts import parse_mount, parse_volume
from runtime.model.quantities import parse_cpus, parse_duration, parse_size, parse_time

__all__ = [
    "parse_cpus",
    "parse_duration",
    "parse_env",
    "parse_env_file",
    "parse_env_text",
    "parse_link",
    "parse_mount",
    "parse_port",
    "parse_restart",
    "parse_signal",
    "parse_size",
    "parse_time",
    "parse_userns",
    "parse_volume",
]

_PROTOCOLS = ("tcp", "udp", "sctp")
_Wrong = Callable[[str], InvalidInput]
_PORT_FORM = "[[IP:]HOST[-END]:]CONTAINER[-END][/PROTOCOL], for example 8080:80 or 127.0.0.1:8080:80/udp"


# ports


def parse_port(text: str) -> list[PortBinding]:
    """``-p``: [[IP:][HOST[-END]]:]CONTAINER[-END][/PROTOCOL], an IPv6 address in brackets; a range gives
    one binding a port. Without a host port an ephemeral one is asked for (``host_port`` 0)."""

    def wrong(reason: str) -> InvalidInput:
        return InvalidInput(f"invalid port {text!r}: {reason}", hint=_PORT_FORM, subject=text)

    spec, slash, protocol = text.strip().partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise wrong(f"the protocol is tcp, udp or sctp, not {protocol!r}")
    address, host, container = _split_port(spec, wrong)
    if address and not _is_address(address):
        raise wrong(f"{address!r} is not an IP address")
    first, last = _port_range(container, wrong)
    host_first, host_last = _port_range(host, wrong) if host else (0, 0)
    if host_first and host_last - host_first != last - first:
        raise wrong("the ranges of host and container ports differ in length")
    return [
        PortBinding(
            container_port=port,
            protocol=protocol,
            host_ip=address or "0.0.0.0",
            host_port=host_first + port - first if host_first else 0,
        )
        for port in range(first, last + 1)
    ]


def _split_port(spec: str, wrong: _Wrong) -> tuple[str, str, str]:
    if spec.startswith("["):
        address, bracket, rest = spec[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise wrong("the address in brackets is not followed by ports")
        host, colon, container = rest[1:].rpartition(":")
        if not colon:
            raise wrong("an address needs HOST:CONTAINER after it")
        return address, host, container
    parts = spec.rsplit(":", 2)
    if len(parts) == 1:
        return "", "", parts[0]
    if len(parts) == 2:
        if not parts[0]:
            raise wrong("the host port is missing")
        return "", parts[0], parts[1]
    if ":" in parts[0]:
        raise wrong("an IPv6 address is written in brackets")
    return parts[0], parts[1], parts[2]


def _port_range(text: str, wrong: _Wrong) -> tuple[int, int]:
    start, dash, end = text.partition("-")
    if not start:
        raise wrong("the container port is missing")
    first = _port_number(start, wrong)
    last = _port_number(end, wrong) if dash else first
    if last < first:
        raise wrong(f"the range {text} ends before it starts")
    return first, last


def _port_number(text: str, wrong: _Wrong) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise wrong(f"{text!r} is not a port number")
    if not 1 <= int(text) <= 65535:
        raise wrong(f"{text} is not between 1 and 65535")
    return int(text)


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# restart policies and signals


def parse_restart(text: str) -> RestartPolicy:
    """``--restart``: no, always, unless-stopped or on-failure[:MAXIMUM]; "" is no."""

    def wrong(reason: str) -> InvalidInput:
        return InvalidInput(
            f"invalid restart policy {text!r}: {reason}",
            hint="one of no, always, unless-stopped, on-failure, on-failure:COUNT",
            subject=text,
        )

    name, colon, count = text.strip().partition(":")
    if name and name not in list(RestartPolicyName):
        raise wrong(f"there is no policy {name!r}")
    policy = RestartPolicyName(name or "no")
    if not colon:
        return RestartPolicy(policy)
    if policy is not RestartPolicyName.ON_FAILURE:
        raise wrong(f"a maximum count goes with on-failure only, not with {policy.value}")
    if not re.fullmatch(r"[0-9]{1,9}", count, re.ASCII):
        raise wrong(f"{count!r} is not a count")
    return RestartPolicy(policy, int(count))


def parse_signal(text: str) -> int:
    """A signal's number, from a number or a name with or without SIG: "9", "TERM", "SIGRTMIN+3"."""
    import signal

    name = text.strip().upper()
    number = 0
    if re.fullmatch(r"[0-9]{1,3}", name, re.ASCII):
        number = int(name)
    else:
        match = re.fullmatch(r"(?:SIG)?([A-Z0-9]+)([+-][0-9]{1,2})?", name, re.ASCII)
        known = signal.Signals.__members__.get(f"SIG{match[1]}") if match else None
        if match and known and (match[2] is None or match[1] in ("RTMIN", "RTMAX")):
            number = int(known) + int(match[2] or "0")
    if not 1 <= number <= 64:
        raise InvalidInput(
            f"invalid signal: {text!r}",
            hint="give a number from 1 to 64 or a name such as SIGTERM",
            subject=text,
        )
    return number


# environment


def parse_env(items: Iterable[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """``-e``: "NAME=VALUE" as it is; "NAME" takes the caller's value. It stays "NAME" when there is none:
    then the variable is taken out of what the image (or the container) has."""
    known = os.environ if environ is None else environ
    found = []
    for item in items:
        name, equals, _ = item.partition("=")
        if not name or "\0" in item:
            raise InvalidInput(
                f"invalid environment variable: {item!r}", hint="give NAME=VALUE or NAME", subject=item
            )
        found.append(f"{name}={known[name]}" if not equals and name in known else item)
    return found


def parse_env_file(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """``--env-file``: NAME=VALUE a line, the value verbatim (docker's rules: no quotes, no interpolation).

    Raises NotFound for a file that does not exist, InvalidInput with file and line for a wrong one."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"environment file {path} does not exist", subject=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(f"cannot read environment file {path}: {reason}", subject=str(path)) from error
    return parse_env_text(text, str(path), environ)


def parse_env_text(text: str, name: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """What :func:`parse_env_file` reads; ``name`` is the file's, for errors."""
    found = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        variable = line.partition("=")[0]
        if not variable or any(c.isspace() for c in variable) or "\0" in line:
            reason = "a variable has no name" if not variable else f"{variable!r} is not a variable's name"
            raise InvalidInput(
                f"{name}:{number}: {reason}", hint="each line is NAME=VALUE or NAME", subject=name
            )
        found.extend(parse_env([line], environ))
    return found


# user namespaces


def parse_userns(mode: str) -> str:
    """``--userns``: host, remap, auto[:size=N] (its size is filled in), container:NAME or nothing."""
    kind, colon, rest = mode.partition(":")
    if mode in ("", "host", "remap") or (kind == "container" and rest):
        return mode
    if mode == "auto":
        return f"auto:size={DEFAULT_COUNT}"
    if kind == "auto" and colon:
        key, _, value = rest.partition("=")
        if key == "size" and value.isascii() and value.isdigit() and 0 < int(value) < 1 << 31:
            return f"auto:size={int(value)}"
    raise InvalidInput(
        f"--userns: invalid mode {mode!r}",
        hint="host, remap, auto, auto:size=N or container:NAME",
        subject=mode,
    )


# links


def parse_link(text: str) -> str:
    """ "NAME:ALIAS" of CONTAINER[:ALIAS]. Raises InvalidInput."""
    name, _, alias = text.partition(":")
    alias = alias or name
    if not name or not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", alias, re.ASCII):
        raise InvalidInput(
            f"bad format for --link: {text!r}", hint="give CONTAINER or CONTAINER:ALIAS", subject=text
        )
    return f"{name}:{alias}"
