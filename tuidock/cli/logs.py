"""tuidock logs: what a container has written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.containers.logs import LogEntry

__all__ = ["command", "parse_tail"]

_BATCH = 4096


@declare(
    "logs",
    usage="[OPTIONS] CONTAINER",
    examples=["tuidock logs -f --tail 100 web", "tuidock logs --since 10m -t web"],
)
@click.option("--details", is_flag=True, help="Show extra details provided to logs")
@click.option("-f", "--follow", is_flag=True, help="Follow log output")
@click.option(
    "--since", metavar="TIME", help="Show logs since a time (2024-05-31T12:00:00Z) or a duration ago (42m)"
)
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Number of lines to show from the end of the logs"
)
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps")
@click.option("--until", metavar="TIME", help="Show logs before a time or a duration ago")
@click.argument("container")
@pass_invocation
def command(
    invocation: Invocation,
    details: bool,
    follow: bool,
    since: str | None,
    tail: str,
    timestamps: bool,
    until: str | None,
    container: str,
) -> None:
    """Fetch the logs of a container."""
    now = time.time_ns()
    first = _moment(since, now)
    last = _moment(until, now)
    containers, lines = invocation.engine.containers, parse_tail(tail)
    if timestamps or last is not None:
        entries = containers.logs(container, tail=lines, since=first, until=last, follow=follow)
        write_entries(entries, timestamps=timestamps, at_once=follow)
    else:
        write_chunks(containers.log_bytes(container, tail=lines, since=first, follow=follow))


def _moment(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    from runtime.model.parse import parse_time

    return parse_time(text, now)


def parse_tail(text: str) -> int | None:
    """A number of lines, None for "all". Raises InvalidInput."""
    if text.lower() == "all":
        return None
    try:
        count = int(text)
    except ValueError:
        from runtime.errors import InvalidInput

        raise InvalidInput(
            f"invalid value for --tail: {text!r}", hint="give a number or 'all'", subject=text
        ) from None
    return count if count >= 0 else None


def write_chunks(chunks: Iterable[tuple[int, bytes]]) -> None:
    """Bytes as they are, each to its stream; nothing is looked at, so this is as fast as a copy."""
    import os

    sys.stdout.flush()
    for stream, data in chunks:
        view = memoryview(data)
        while view:
            view = view[os.write(stream, view) :]


def write_entries(entries: Iterable[LogEntry], *, timestamps: bool, at_once: bool) -> None:
    """Each line to the stream that it came from, in order. ``at_once`` flushes every line, for ``-f``."""
    for stream, data in _chunks(entries, timestamps, 1 if at_once else _BATCH):
        target = sys.stderr.buffer if stream == 2 else sys.stdout.buffer
        target.write(data)
        target.flush()


def _chunks(entries: Iterable[LogEntry], timestamps: bool, batch: int) -> Iterator[tuple[int, bytes]]:
    """Neighbouring lines of one stream together, at most ``batch`` of them."""
    from tuidock.cli.output import timestamp_rfc3339

    lines: list[bytes] = []
    current = 1
    for entry in entries:
        if lines and (entry.stream != current or len(lines) >= batch):
            yield current, b"\n".join(lines) + b"\n"
            lines = []
        current = entry.stream
        line = entry.line
        if timestamps:
            line = timestamp_rfc3339(entry.time).encode() + b" " + line
        if batch == 1:
            yield current, line + b"\n"
        else:
            lines.append(line)
    if lines:
        yield current, b"\n".join(lines) + b"\n"
