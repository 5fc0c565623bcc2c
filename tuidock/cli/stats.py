"""tuidock stats: what containers use, once or live."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing
from tuidock.cli.output import binary_size, decimal_size

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.stats import ContainerStats

__all__ = ["Usage", "command", "stats_listing"]

_FIRST_SPAN = 0.5
_SPAN = 1.0


@dataclass(frozen=True)
class Usage:
    """A container between two samples; ``now`` is None when it does not run."""

    id: str
    name: str
    now: ContainerStats | None
    before: ContainerStats | None = None
    asked: str = ""
    """The name on the command line, which docker's ``.Container`` repeats."""

    @property
    def cpu_percent(self) -> float:
        """100 is one busy processor."""
        if self.now is None or self.before is None or self.now.time <= self.before.time:
            return 0.0
        used = self.now.cpu_usage - self.before.cpu_usage
        return max(used, 0) / (self.now.time - self.before.time) * 100

    @property
    def memory_percent(self) -> float:
        if self.now is None or not self.now.memory_limit:
            return 0.0
        return self.now.memory_usage / self.now.memory_limit * 100


def stats_listing(*, truncate: bool = True) -> Listing[Usage]:
    def identifier(item: Usage) -> str:
        return item.id[:12] if truncate else item.id

    columns: list[Column[Usage]] = [
        Column("Container", "CONTAINER", lambda item: item.asked or identifier(item)),
        Column("ID", "CONTAINER ID", identifier),
        Column("Name", "NAME", lambda item: item.name),
        Column("CPUPerc", "CPU %", lambda item: f"{item.cpu_percent:.2f}%"),
        Column("MemUsage", "MEM USAGE / LIMIT", _memory),
        Column("MemPerc", "MEM %", lambda item: f"{item.memory_percent:.2f}%"),
        Column("NetIO", "NET I/O", _network),
        Column("BlockIO", "BLOCK I/O", _block),
        Column("PIDs", "PIDS", lambda item: str(item.now.pids) if item.now else "0"),
    ]
    shown = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
    return Listing(columns=columns, shown=shown, quiet=identifier)


def _memory(item: Usage) -> str:
    if item.now is None:
        return "0B / 0B"
    return f"{binary_size(item.now.memory_usage)} / {binary_size(item.now.memory_limit)}"


def _network(item: Usage) -> str:
    if item.now is None:
        return "0B / 0B"
    return f"{decimal_size(item.now.network_rx)} / {decimal_size(item.now.network_tx)}"


def _block(item: Usage) -> str:
    if item.now is None:
        return "0B / 0B"
    return f"{decimal_size(item.now.block_read)} / {decimal_size(item.now.block_write)}"


@declare(
    "stats",
    usage="[OPTIONS] [CONTAINER...]",
    examples=["tuidock stats", "tuidock stats --no-stream --format json web"],
)
@click.option(
    "-a", "--all", "show_all", is_flag=True, help="Show all containers (default shows just running)"
)
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("--no-stream", is_flag=True, help="Disable streaming stats and only pull the first result")
@click.option("--no-trunc", is_flag=True, help="Do not truncate output")
@click.argument("containers", nargs=-1)
@pass_invocation
def command(
    invocation: Invocation,
    show_all: bool,
    format: str | None,
    no_stream: bool,
    no_trunc: bool,
    containers: tuple[str, ...],
) -> None:
    """Display a live stream of container resource usage statistics."""
    engine = invocation.engine
    listing = stats_listing(truncate=not no_trunc)
    before = _samples(engine, containers)
    live = sys.stdout.isatty() and not no_stream
    if live:
        sys.stdout.write("\x1b[2J")
        _draw(listing.lines(_usages(engine, containers, show_all, before, {}), format=format))
    try:
        _stream(engine, listing, containers, before, show_all, format, live, no_stream)
    except KeyboardInterrupt:
        sys.stdout.write("\n")


def _stream(
    engine: Engine,
    listing: Listing[Usage],
    containers: tuple[str, ...],
    before: Mapping[str, ContainerStats],
    show_all: bool,
    format: str | None,
    live: bool,
    once: bool,
) -> None:
    """A table a second, from the difference of two samples."""
    time.sleep(_FIRST_SPAN)
    while True:
        now = _samples(engine, containers)
        lines = listing.lines(_usages(engine, containers, show_all, now, before), format=format)
        if live:
            _draw(lines)
        elif lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        if once:
            return
        before = now
        time.sleep(_SPAN)


def _samples(engine: Engine, names: Sequence[str]) -> dict[str, ContainerStats]:
    return {sample.container_id: sample for sample in engine.containers.stats(names or None)}


def _usages(
    engine: Engine,
    names: Sequence[str],
    show_all: bool,
    now: Mapping[str, ContainerStats],
    before: Mapping[str, ContainerStats],
) -> list[Usage]:
    """In the order that was asked for; else newest first."""
    if names:
        pairs = [(name, engine.containers.get(name)) for name in names]
    else:
        known = engine.containers.list(all=show_all)
        pairs = [("", item) for item in known if show_all or item.id in now]
    return [Usage(item.id, item.name, now.get(item.id), before.get(item.id), name) for name, item in pairs]


def _draw(lines: Sequence[str]) -> None:
    """From the top left corner, each line's rest cleared: no flicker."""
    body = "".join(f"{line}\x1b[K\n" for text in lines for line in text.split("\n"))
    sys.stdout.write(f"\x1b[H{body}\x1b[J")
    sys.stdout.flush()
