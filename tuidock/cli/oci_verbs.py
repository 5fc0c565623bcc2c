"""tuidock oci's verbs on containers that exist, and what it says of itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.oci.state import Record

__all__ = [
    "delete",
    "features",
    "kill",
    "list_command",
    "pause",
    "ps",
    "resume",
    "spec",
    "start",
    "state",
    "update",
]

_FORMAT = click.option("-f", "--format", "form", type=click.Choice(["table", "json"]), default="table")


def _find(invocation: Invocation, container_id: str) -> Record:
    from runtime.oci import lifecycle

    return lifecycle.find(invocation.runtime.root, container_id, invocation.runtime.warn)


def _show(found: object) -> None:
    click.echo(json.dumps(found, indent=2))


@declare("start", usage="CONTAINER-ID", examples=["tuidock oci start web"])
@click.argument("container_id")
@pass_invocation
def start(invocation: Invocation, container_id: str) -> None:
    """Let a created container's program run."""
    from runtime.oci import lifecycle

    lifecycle.start(_find(invocation, container_id))


@declare("state", usage="CONTAINER-ID", examples=["tuidock oci state web"])
@click.argument("container_id")
@pass_invocation
def state(invocation: Invocation, container_id: str) -> None:
    """Show a container's state, as JSON."""

    _show(_find(invocation, container_id).document())


@declare("kill", usage="[OPTIONS] CONTAINER-ID [SIGNAL]", examples=["tuidock oci kill web KILL"])
@click.option("-a", "--all", "everything", is_flag=True, help="To all processes of the container")
@click.argument("container_id")
@click.argument("signal_name", default="SIGTERM")
@pass_invocation
def kill(invocation: Invocation, everything: bool, container_id: str, signal_name: str) -> None:
    """Send a signal to a container's process (default: SIGTERM)."""
    from runtime.model.parse import parse_signal
    from runtime.oci import lifecycle

    number = parse_signal(signal_name)
    lifecycle.kill(_find(invocation, container_id), number, everything=everything)


@declare("delete", usage="[OPTIONS] CONTAINER-ID", examples=["tuidock oci delete --force web"])
@click.option("-f", "--force", is_flag=True, help="Kill it first; one that does not exist is fine")
@click.argument("container_id")
@pass_invocation
def delete(invocation: Invocation, force: bool, container_id: str) -> None:
    """Delete what is held by a container that has stopped."""
    from runtime.errors import NotFound
    from runtime.oci import lifecycle

    try:
        record = _find(invocation, container_id)
    except NotFound:
        if force:
            return
        raise
    lifecycle.delete(record, force=force, warn=invocation.runtime.warn)


@declare("pause", usage="CONTAINER-ID", examples=["tuidock oci pause web"])
@click.argument("container_id")
@pass_invocation
def pause(invocation: Invocation, container_id: str) -> None:
    """Suspend all processes of a container."""
    from runtime.oci import lifecycle

    lifecycle.pause(_find(invocation, container_id))


@declare("resume", usage="CONTAINER-ID", examples=["tuidock oci resume web"])
@click.argument("container_id")
@pass_invocation
def resume(invocation: Invocation, container_id: str) -> None:
    """Resume all processes of a container that is paused."""
    from runtime.oci import lifecycle

    lifecycle.resume(_find(invocation, container_id))


@declare("list", usage="[OPTIONS]", examples=["tuidock oci list --format json"])
@_FORMAT
@click.option("-q", "--quiet", is_flag=True, help="Only the ids")
@pass_invocation
def list_command(invocation: Invocation, form: str, quiet: bool) -> None:
    """List the containers of this root."""
    from runtime.oci import lifecycle

    found = [
        record.document() for record in lifecycle.find_all(invocation.runtime.root, invocation.runtime.warn)
    ]
    if quiet:
        sys.stdout.write("".join(f"{item['id']}\n" for item in found))
    elif form == "json":
        click.echo(json.dumps(found))
    else:
        _table(
            [("ID", "PID", "STATUS", "BUNDLE", "CREATED")]
            + [
                tuple(str(item[key]) for key in ("id", "pid", "status", "bundle", "created"))
                for item in found
            ]
        )


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())


@declare("ps", usage="[OPTIONS] CONTAINER-ID", examples=["tuidock oci ps web"])
@_FORMAT
@click.argument("container_id")
@pass_invocation
def ps(invocation: Invocation, form: str, container_id: str) -> None:
    """Show the processes of a container."""
    from runtime.oci.processes import processes

    found = processes(_find(invocation, container_id))
    if form == "json":
        click.echo(json.dumps([item.pid for item in found]))
    else:
        _table(
            [("UID", "PID", "PPID", "CMD")]
            + [(str(item.uid), str(item.pid), str(item.parent), item.command) for item in found]
        )


@declare("update", usage="[OPTIONS] CONTAINER-ID", examples=["tuidock oci update --memory 67108864 web"])
@click.option("-r", "--resources", metavar="FILE", help="linux.resources as JSON; - is standard input")
@click.option("--memory", type=int, metavar="BYTES", help="Memory limit")
@click.option("--memory-reservation", type=int, metavar="BYTES", help="Soft memory limit")
@click.option("--memory-swap", type=int, metavar="BYTES", help="Memory and swap together; -1 for no limit")
@click.option("--cpu-share", type=int, metavar="N", help="Relative weight")
@click.option("--cpu-quota", type=int, metavar="MICROSECONDS", help="Processor time in a period")
@click.option("--cpu-period", type=int, metavar="MICROSECONDS", help="The period")
@click.option("--cpuset-cpus", metavar="LIST", help="Processors to use")
@click.option("--cpuset-mems", metavar="LIST", help="Memory nodes to use")
@click.option("--pids-limit", type=int, metavar="N", help="Processes at most")
@click.option("--blkio-weight", type=int, metavar="N", help="Block I/O weight, 10 to 1000")
@click.argument("container_id")
@pass_invocation
def update(invocation: Invocation, /, resources: str | None, container_id: str, **limits: Any) -> None:
    """Change the limits of a container."""
    from runtime.errors import InvalidInput
    from runtime.oci import document, lifecycle

    record = _find(invocation, container_id)
    if resources:
        wanted = document.read_object(Path("/dev/stdin" if resources == "-" else resources))
    else:
        wanted = {}
        for option, (section, key) in _LIMITS.items():
            if limits[option] is not None:
                wanted.setdefault(section, {})[key] = limits[option]
    if not wanted:
        raise InvalidInput("update needs at least one limit")
    lifecycle.update(record, wanted)


_LIMITS = {
    "memory": ("memory", "limit"),
    "memory_reservation": ("memory", "reservation"),
    "memory_swap": ("memory", "swap"),
    "cpu_share": ("cpu", "shares"),
    "cpu_quota": ("cpu", "quota"),
    "cpu_period": ("cpu", "period"),
    "cpuset_cpus": ("cpu", "cpus"),
    "cpuset_mems": ("cpu", "mems"),
    "pids_limit": ("pids", "limit"),
    "blkio_weight": ("blockIO", "weight"),
}


@declare("spec", usage="[OPTIONS]", examples=["tuidock oci spec --bundle /srv/bundle"])
@click.option("-b", "--bundle", default=".", metavar="DIR", help="Where to write it (default: here)")
def spec(bundle: str) -> None:
    """Write a config.json to start from."""
    from runtime.errors import Conflict
    from runtime.oci.features import default_document

    path = Path(bundle) / "config.json"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(default_document(), indent="\t") + "\n")
    except FileExistsError as error:
        raise Conflict(f"{path} exists", hint="remove it first") from error


@declare("features", examples=["tuidock oci features"])
def features() -> None:
    """Show what this runtime can do, as JSON."""
    from runtime.oci.features import features as found

    _show(found())
