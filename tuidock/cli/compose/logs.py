"""tuidock compose logs: the output of all of a project's containers, merged."""

from __future__ import annotations

import time

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "logs",
    usage="[OPTIONS] [SERVICE...]",
    examples=["tuidock compose logs -f --tail 20", "tuidock compose -p demo logs web"],
)
@click.option("-f", "--follow", is_flag=True, help="Follow log output")
@click.option(
    "--index", type=int, metavar="N", help="Index of the container if service has multiple replicas"
)
@click.option("--no-color", is_flag=True, help="Produce monochrome output")
@click.option("--no-log-prefix", is_flag=True, help="Don't print prefix in logs")
@click.option("--since", metavar="TIME", help="Show logs since a time or a duration ago")
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Number of lines to show from the end of each log"
)
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps")
@click.option("--until", metavar="TIME", help="Show logs before a time or a duration ago")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    follow: bool,
    index: int | None,
    no_color: bool,
    no_log_prefix: bool,
    since: str | None,
    tail: str,
    timestamps: bool,
    until: str | None,
    services: tuple[str, ...],
) -> None:
    """View output from containers."""
    from runtime.model.parse import parse_time
    from tuidock.cli.compose.merged_logs import MergedLogs, Style
    from tuidock.cli.logs import parse_tail

    now = time.time_ns()
    merged = MergedLogs(
        target,
        services,
        style=Style(color=not no_color, prefix=not no_log_prefix, timestamps=timestamps),
        index=index,
        tail=parse_tail(tail),
        since=parse_time(since, now) if since is not None else None,
        until=parse_time(until, now) if until is not None else None,
    )
    try:
        merged.follow() if follow else merged.show()
    except KeyboardInterrupt:
        click.echo()
