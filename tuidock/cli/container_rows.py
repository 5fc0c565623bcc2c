"""Containers as rows of ``ps``: columns, template fields and filters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput
from tuidock.cli import output
from tuidock.cli.listing import Column, Listing, matches_labels, one_flag, parse_filters

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container

__all__ = ["FILTERS", "container_listing", "select"]

FILTERS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network"),
    *("publish", "since", "status", "volume"),
)
_HEALTHS = ("starting", "healthy", "unhealthy", "none")
_STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


def container_listing(
    *,
    truncate: bool = True,
    now: int | None = None,
    size: Callable[[Container], str] | None = None,
) -> Listing[Container]:
    """``size`` gives the text of the SIZE column, which is shown then."""
    moment = time.time_ns() if now is None else now

    def identifier(item: Container) -> str:
        return item.id[:12] if truncate else item.id

    columns: list[Column[Container]] = [
        Column("ID", "CONTAINER ID", identifier),
        Column("Image", "IMAGE", lambda item: _image(item, truncate)),
        Column("Command", "COMMAND", lambda item: output.command_text(item.argv, truncate=truncate)),
        Column("CreatedAt", "CREATED AT", lambda item: output.timestamp(item.created_at)),
        Column("RunningFor", "CREATED", lambda item: output.ago(item.created_at, moment)),
        Column("Status", "STATUS", lambda item: output.status_text(item, moment)),
        Column("State", "STATE", lambda item: item.state.status.value),
        Column("Ports", "PORTS", _ports),
        Column("Names", "NAMES", lambda item: item.name),
        Column("Labels", "LABELS", _labels),
        Column("Mounts", "MOUNTS", lambda item: _mounts(item, truncate)),
        Column("LocalVolumes", "LOCAL VOLUMES", lambda item: str(len(_volumes(item)))),
        Column("Networks", "NETWORKS", lambda item: ",".join(_networks(item))),
        Column("Size", "SIZE", size or (lambda item: "0B")),
        Column("Platform", "PLATFORM", lambda item: "linux"),
        Column("HealthStatus", "HEALTH", lambda item: item.state.health.status if item.state.health else ""),
    ]
    shown = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
    return Listing(
        columns=columns,
        shown=shown if size is None else (*shown, "Size"),
        quiet=identifier,
        methods=lambda item: {"Label": lambda name: item.config.labels.get(str(name), "")},
    )


def _labels(item: Container) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(item.config.labels.items()))


def _image(item: Container, truncate: bool) -> str:
    name = item.config.image
    if name.startswith("sha256:"):
        return output.short_id(name) if truncate else name
    return output.familiar(name)


def _ports(item: Container) -> str:
    return output.ports_text(item.ports, item.config.exposed_ports) if item.state.status.alive else ""


def _volumes(item: Container) -> list[str]:
    return [mount.source for mount in item.config.mounts if mount.type.value == "volume"]


def _mounts(item: Container, truncate: bool) -> str:
    names = [mount.source for mount in item.config.mounts if mount.source]
    return ",".join(output.ellipsis(name, 15) if truncate else name for name in names)


def _networks(item: Container) -> list[str]:
    if item.endpoints:
        return [endpoint.network_name for endpoint in item.endpoints]
    return [attachment.network for attachment in item.config.networks] or [item.config.network_mode]


def select(engine: Engine, items: Sequence[Container], filters: Sequence[str]) -> list[Container]:
    """Those that ``--filter`` asks for. Values of one key are alternatives; labels must all hold."""
    wanted = parse_filters(filters, FILTERS)
    for status in wanted.get("status", ()):
        if status not in _STATUSES:
            raise InvalidInput(f"invalid filter 'status={status}'", hint=f"one of {', '.join(_STATUSES)}")
    for health in wanted.get("health", ()):
        if health not in _HEALTHS:
            raise InvalidInput(f"invalid filter 'health={health}'", hint=f"one of {', '.join(_HEALTHS)}")
    tests: list[Callable[[Container], bool]] = []
    if "label" in wanted:
        tests.append(lambda item: matches_labels(item.config.labels, wanted["label"]))
    if "exited" in wanted:
        codes = {_code(text) for text in wanted["exited"]}
        tests.append(lambda item: item.state.status.value == "exited" and item.state.exit_code in codes)
    if "ancestor" in wanted:
        images = {_image_id(engine, text) for text in wanted["ancestor"]}
        tests.append(lambda item: item.image_id in images)
    for key, later in (("since", True), ("before", False)):
        for text in wanted.get(key, ()):
            tests.append(_created(engine.containers.get(text).created_at, later))
    if "is-task" in wanted and one_flag("is-task", wanted["is-task"]):
        return []
    for key, matches in (("publish", _publishes), ("expose", _exposes)):
        if key in wanted:
            tests.append(_any_port(matches, [_port_filter(key, text) for text in wanted[key]]))
    for key, matcher in _MATCHERS.items():
        if key in wanted:
            tests.append(_any(matcher, wanted[key]))
    return [item for item in items if all(test(item) for test in tests)]


def _created(moment: int, later: bool) -> Callable[[Container], bool]:
    return lambda item: item.created_at > moment if later else item.created_at < moment


def _any(matcher: Callable[[Container, str], bool], values: Sequence[str]) -> Callable[[Container], bool]:
    return lambda item: any(matcher(item, value) for value in values)


def _code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(
            f"invalid filter 'exited={text}'", hint="give an exit code", subject=text
        ) from None


def _image_id(engine: Engine, text: str) -> str:
    from runtime.errors import NotFound

    try:
        return engine.images.get(text).id
    except NotFound:
        return ""


def _name_matches(item: Container, text: str) -> bool:
    """A regular expression anywhere in the name, which docker thinks of with a slash before it."""
    try:
        return re.search(text, item.name) is not None or re.search(text, "/" + item.name) is not None
    except re.error:
        return text in item.name


def _port_filter(key: str, text: str) -> tuple[range, str]:
    """PORT[-END][/PROTOCOL] of a filter: its ports, and the protocol. Raises InvalidInput."""
    from runtime.model.parse import parse_port

    try:
        bindings = parse_port(text) if ":" not in text else []
    except InvalidInput:
        bindings = []
    if not bindings:
        raise InvalidInput(f"invalid filter '{key}={text}'", hint="give PORT[-END][/PROTOCOL]", subject=text)
    ports = [binding.container_port for binding in bindings]
    return range(ports[0], ports[-1] + 1), bindings[0].protocol


def _any_port(
    matches: Callable[[Container, range, str], bool], wanted: Sequence[tuple[range, str]]
) -> Callable[[Container], bool]:
    return lambda item: any(matches(item, ports, protocol) for ports, protocol in wanted)


def _publishes(item: Container, ports: range, protocol: str) -> bool:
    return any(
        (binding.host_port in ports or binding.container_port in ports) and protocol == binding.protocol
        for binding in item.ports
    )


def _exposes(item: Container, ports: range, protocol: str) -> bool:
    for text in item.config.exposed_ports:
        port, _, kind = text.partition("/")
        if int(port) in ports and (kind or "tcp") == protocol:
            return True
    return _publishes(item, ports, protocol)


def _health(item: Container, text: str) -> bool:
    return (item.state.health.status if item.state.health else "none") == text


def _on_network(item: Container, text: str) -> bool:
    return text in _networks(item) or any(
        text and endpoint.network_id.startswith(text) for endpoint in item.endpoints
    )


_MATCHERS: Mapping[str, Callable[[Container, str], bool]] = {
    "id": lambda item, text: item.id.startswith(text),
    "name": _name_matches,
    "status": lambda item, text: item.state.status.value == text,
    "network": _on_network,
    "health": _health,
    "volume": lambda item, text: any(text in (mount.source, mount.target) for mount in item.config.mounts),
}
