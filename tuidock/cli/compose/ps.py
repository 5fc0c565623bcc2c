"""tuidock compose ps: list a project's containers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tuidock.cli import output
from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target, service_of
from tuidock.cli.listing import Column, Listing, parse_filters

if TYPE_CHECKING:
    from runtime.model.container import Container

__all__ = ["command", "project_listing"]

_STATUSES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")


def project_listing(*, truncate: bool = True, now: int | None = None) -> Listing[Container]:
    moment = time.time_ns() if now is None else now
    columns: list[Column[Container]] = [
        Column("ID", "CONTAINER ID", lambda item: item.short_id if truncate else item.id),
        Column("Name", "NAME", lambda item: item.name),
        Column("Image", "IMAGE", lambda item: output.familiar(item.config.image)),
        Column("Command", "COMMAND", lambda item: output.command_text(item.argv, truncate=truncate)),
        Column("Service", "SERVICE", service_of),
        Column("RunningFor", "CREATED", lambda item: output.ago(item.created_at, moment)),
        Column("CreatedAt", "CREATED AT", lambda item: output.timestamp(item.created_at)),
        Column("Status", "STATUS", lambda item: output.status_text(item, moment)),
        Column("State", "STATE", lambda item: item.state.status.value),
        Column("ExitCode", "EXIT CODE", lambda item: str(item.state.exit_code)),
        Column("Health", "HEALTH", lambda item: item.state.health.status if item.state.health else ""),
        Column("Ports", "PORTS", _ports),
        Column("Project", "PROJECT", lambda item: item.config.labels.get("com.docker.compose.project", "")),
    ]
    return Listing(
        columns=columns,
        shown=("Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports"),
        quiet=lambda item: item.id,
        methods=lambda item: {
            "Label": lambda name: item.config.labels.get(str(name), ""),
            "Names": item.name,
        },
    )


def _ports(item: Container) -> str:
    return output.ports_text(item.ports, item.config.exposed_ports) if item.state.status.alive else ""


@declare(
    "ps",
    usage="[OPTIONS] [SERVICE...]",
    examples=["tuidock compose ps", "tuidock compose -p demo ps --format json"],
)
@click.option("-a", "--all", "show_all", is_flag=True, help="Show all stopped containers")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter services by status=")
@click.option("--format", metavar="TEMPLATE", help="Format output: table, json or a template")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only display IDs")
@click.option("--services", "only_services", is_flag=True, help="Display services")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(_STATUSES), help="Filter services by status"
)
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    show_all: bool,
    filters: tuple[str, ...],
    format: str | None,
    no_trunc: bool,
    quiet: bool,
    only_services: bool,
    statuses: tuple[str, ...],
    services: tuple[str, ...],
) -> None:
    """List containers."""
    wanted = {*statuses, *parse_filters(filters, ("status",)).get("status", ())}
    found = target.containers(services)
    if wanted:
        found = [item for item in found if item.state.status.value in wanted]
    elif not show_all:
        found = [item for item in found if item.state.status.alive]
    if only_services:
        for name in dict.fromkeys(service_of(item) for item in found):
            output.emit(name)
        return
    project_listing(truncate=not no_trunc).print(found, format=format, quiet=quiet)
