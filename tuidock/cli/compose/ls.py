"""tuidock compose ls: list projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import PROJECT, Target, pass_target
from tuidock.cli.listing import Column, Listing, parse_filters

if TYPE_CHECKING:
    from runtime.model.container import Container

__all__ = ["command"]

_FILES = "com.docker.compose.project.config_files"


@dataclass(frozen=True)
class _Row:
    name: str
    containers: Sequence[Container]

    @property
    def status(self) -> str:
        """ "exited(1), running(2)"."""
        counts = Counter(item.state.status.value for item in self.containers)
        return ", ".join(f"{status}({count})" for status, count in sorted(counts.items()))

    @property
    def files(self) -> str:
        return next((text for item in self.containers if (text := item.config.labels.get(_FILES))), "")


@declare("ls", usage="[OPTIONS]", examples=["tuidock compose ls", "tuidock compose ls -a --format json"])
@click.option("-a", "--all", "show_all", is_flag=True, help="Show all stopped compose projects")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output: name=")
@click.option("--format", metavar="TEMPLATE", help="Format output: table, json or a template")
@click.option("-q", "--quiet", is_flag=True, help="Only display project names")
@pass_target
def command(
    target: Target, show_all: bool, filters: tuple[str, ...], format: str | None, quiet: bool
) -> None:
    """List running compose projects."""
    names = parse_filters(filters, ("name",)).get("name", [])
    projects: dict[str, list[Container]] = {}
    for item in target.engine.containers.list(all=True):
        if project := item.config.labels.get(PROJECT):
            projects.setdefault(project, []).append(item)
    rows = [
        _Row(name, found)
        for name, found in sorted(projects.items())
        if (show_all or any(item.state.status.alive for item in found))
        and (not names or any(text in name for text in names))
    ]
    columns: list[Column[_Row]] = [
        Column("Name", "NAME", lambda row: row.name),
        Column("Status", "STATUS", lambda row: row.status),
        Column("ConfigFiles", "CONFIG FILES", lambda row: row.files),
    ]
    listing = Listing(columns=columns, shown=("Name", "Status", "ConfigFiles"), quiet=lambda row: row.name)
    listing.print(rows, format=format, quiet=quiet)
