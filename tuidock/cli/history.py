"""tuidock history: the steps that made an image."""

from __future__ import annotations

import click

from runtime.model.image import HistoryEntry
from tuidock.cli import output
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing

__all__ = ["command"]


def _listing(truncate: bool, human: bool) -> Listing[tuple[str, HistoryEntry]]:
    columns: list[Column[tuple[str, HistoryEntry]]] = [
        Column("ID", "IMAGE", lambda row: (output.short_id(row[0]) if truncate else row[0]) or "<missing>"),
        Column("CreatedSince", "CREATED", lambda row: output.ago(row[1].created_at)),
        Column("CreatedAt", "CREATED AT", lambda row: _moment(row[1].created_at)),
        Column("CreatedBy", "CREATED BY", lambda row: _created_by(row[1], truncate)),
        Column("Size", "SIZE", lambda row: output.decimal_size(row[1].size) if human else str(row[1].size)),
        Column("Comment", "COMMENT", lambda row: row[1].comment),
    ]
    created = "CreatedSince" if human else "CreatedAt"
    return Listing(
        columns=columns,
        shown=("ID", created, "CreatedBy", "Size", "Comment"),
        quiet=lambda row: (output.short_id(row[0]) if truncate else row[0]) or "<missing>",
    )


def _moment(created_at: int) -> str:
    """docker's: whole seconds."""
    return output.timestamp_rfc3339(created_at).partition(".")[0] + "Z"


def _created_by(entry: HistoryEntry, truncate: bool) -> str:
    text = " ".join(entry.created_by.replace("\t", " ").split("\n"))
    return output.ellipsis(text, 45) if truncate else text


@declare(
    "history",
    usage="[OPTIONS] IMAGE",
    examples=["tuidock history hello", "tuidock history --no-trunc --format '{{.CreatedBy}}' hello"],
)
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("-H", "--human/--no-human", default=True, help="Print sizes and dates in human readable format")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@click.argument("image")
@pass_invocation
def command(
    invocation: Invocation, format: str | None, human: bool, no_trunc: bool, quiet: bool, image: str
) -> None:
    """Show the history of an image."""
    found = invocation.engine.images.history(image)
    newest_first = list(reversed(found.history))
    rows = [(found.id if place == 0 else "", entry) for place, entry in enumerate(newest_first)]
    _listing(not no_trunc, human).print(rows, format=format, quiet=quiet)
