"""tuidock events: what happens, as it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.event import Event

__all__ = ["command", "event_document", "event_line"]

_PAUSE = 0.05
_FILTERS = ("action", "container", "event", "image", "label", "network", "scope", "type", "volume")


def event_document(event: Event) -> dict[str, object]:
    """docker's fields; "from" is a container's image."""
    image = {"from": event.attributes["image"]} if "image" in event.attributes else {}
    return {
        "status": event.action,
        "id": event.actor,
        **image,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": "local",
        "time": event.time // 1_000_000_000,
        "timeNano": event.time,
    }


def event_line(event: Event) -> str:
    """ "2024-05-31T12:00:00.123456789+02:00 container start ID (image=base, name=web)"."""
    seconds, rest = divmod(event.time, 1_000_000_000)
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    offset = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{rest:09d}{offset}"
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
    text = f"{stamp} {event.type} {event.action} {event.actor}"
    return f"{text} ({attributes})" if attributes else text


@declare(
    "events",
    usage="[OPTIONS]",
    examples=["tuidock events --since 10m", "tuidock events --filter type=container --format '{{json .}}'"],
)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output")
@click.option("--format", metavar="TEMPLATE", help="Format output: json or a template")
@click.option("--since", metavar="TIME", help="Show all events created since a time or a duration ago")
@click.option("--until", metavar="TIME", help="Stream events until this time")
@pass_invocation
def command(
    invocation: Invocation, filters: tuple[str, ...], format: str | None, since: str | None, until: str | None
) -> None:
    """Get real time events."""
    from runtime.model.parse import parse_time
    from tuidock.cli.listing import parse_filters
    from tuidock.cli.template import Template
    from tuidock.cli.template_functions import to_json

    now = time.time_ns()
    wanted = parse_filters(filters, _FILTERS)
    first = parse_time(since, now) if since is not None else None
    last = parse_time(until, now) if until is not None else None
    template = Template(format) if format not in (None, "", "json") and format is not None else None
    engine = invocation.engine
    seq = 0 if first is not None or (last is not None and last <= now) else engine.events.last_seq()
    while True:
        version = engine.events.data_version
        batch = engine.events.since(seq)
        for event in batch:
            seq = event.seq
            if last is not None and event.time > last:
                return
            if (first is not None and event.time < first) or not _matches(event, wanted):
                continue
            if template is not None:
                line = template.render(event_document(event))
            else:
                line = to_json(event_document(event)) if format == "json" else event_line(event)
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if not batch and not _wait(engine, version, last):
            return


def _wait(engine: Engine, version: int, last: int | None) -> bool:
    """Until somebody has committed; False once ``last`` has passed."""
    while engine.events.data_version == version:
        if last is not None and time.time_ns() > last:
            return False
        time.sleep(_PAUSE)
    return True


def _matches(event: Event, wanted: Mapping[str, Sequence[str]]) -> bool:
    from tuidock.cli.listing import matches_labels

    for key, values in wanted.items():
        if key == "type" and event.type not in values:
            return False
        named = (event.action, event.action.partition(":")[0])
        if key in ("event", "action") and not any(value in named for value in values):
            return False
        if key == "scope" and "local" not in values:
            return False
        if key == "label" and not matches_labels(event.attributes, values):
            return False
        if key in ("container", "image", "network", "volume") and not any(_is(event, key, v) for v in values):
            return False
    return True


def _is(event: Event, kind: str, value: str) -> bool:
    names = (event.attributes.get("name"), event.attributes.get("image") if kind == "image" else None)
    return (event.type == kind and event.actor.startswith(value)) or (
        (event.type == kind or kind == "image") and value in names
    )
