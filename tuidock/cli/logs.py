"""tuidock logs: what a container has written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
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
    if timestamps or details or last is not None:
        prefix = _details(containers.log_details(container)) if details else b""
        entries = containers.logs(
            container, tail=lines, since=first, until=last, follow=follow, warn=_warning(container)
        )
        write_entries(entries, timestamps=timestamps, prefix=prefix, at_once=follow)
    else:
        sys.stdout.flush()
        containers.copy_logs(
            container, {1: 1, 2: 2}, tail=lines, since=first, follow=follow, warn=_warning(container)
        )


def _warning(container: str) -> Callable[[str], None]:
    def warn(text: str) -> None:
        sys.stdout.flush()
        click.echo(f"warning: log of {container}: {text}", err=True)

    return warn


def _details(found: dict[str, str]) -> bytes:
    """As docker writes them: url.QueryEscape, joined by commas, a blank even when there are none."""
    from urllib.parse import quote_plus

    pairs = (f"{quote_plus(name, safe='~')}={quote_plus(value, safe='~')}" for name, value in found.items())
    return ",".join(pairs).encode() + b" "


def _moment(text: str | None, now: int) -> int | None:
    if not text:
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


def write_entries(
    entries: Iterable[LogEntry], *, timestamps: bool, prefix: bytes = b"", at_once: bool
) -> None:
    """Each line to the stream that it came from, in order. ``at_once`` flushes every line, for ``-f``."""
    for stream, data in _chunks(entries, timestamps, prefix, 1 if at_once else _BATCH):
        target = sys.stderr.buffer if stream == 2 else sys.stdout.buffer
        target.write(data)
        target.flush()


def _chunks(
    entries: Iterable[LogEntry], timestamps: bool, prefix: bytes, batch: int
) -> Iterator[tuple[int, bytes]]:
    """Neighbouring lines of one stream together, at most ``batch`` of them."""
    from tuidock.cli.output import timestamp_rfc3339

    lines: list[bytes] = []
    current = 1
    moment, before = -1, prefix
    for time_, stream, line, ended in entries:
        if lines and (stream != current or len(lines) >= batch):
            yield current, b"".join(lines)
            lines = []
        current = stream
        if timestamps and time_ != moment:  # lines of one chunk share their time
            moment, before = time_, timestamp_rfc3339(time_).encode() + b" " + prefix
        lines.append(before + line + b"\n" if ended else before + line)
        if batch == 1:
            yield current, lines.pop()
    if lines:
        yield current, b"".join(lines)
