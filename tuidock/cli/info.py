"""tuidock info: this machine and what tuidock has on it."""

from __future__ import annotations

from collections.abc import Mapping

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]

_LINES = (
    ("Containers", "Containers", ""),
    ("Running", "ContainersRunning", " "),
    ("Paused", "ContainersPaused", " "),
    ("Stopped", "ContainersStopped", " "),
    ("Images", "Images", ""),
    ("Server Version", "ServerVersion", ""),
    ("Storage Driver", "Driver", ""),
    ("Logging Driver", "LoggingDriver", ""),
    ("Cgroup Driver", "CgroupDriver", ""),
    ("Cgroup Version", "CgroupVersion", ""),
    ("Security Options", "SecurityOptions", ""),
    ("Kernel Version", "KernelVersion", ""),
    ("Operating System", "OperatingSystem", ""),
    ("OSType", "OSType", ""),
    ("Architecture", "Architecture", ""),
    ("CPUs", "NCPU", ""),
    ("Total Memory", "MemTotal", ""),
    ("Name", "Name", ""),
    ("ID", "ID", ""),
    ("Tuidock Root Dir", "DockerRootDir", ""),
)


@declare("info", usage="[OPTIONS]", examples=["tuidock info", "tuidock info -f '{{.KernelVersion}}'"])
@click.option("-f", "--format", metavar="TEMPLATE", help="Format output: json or a Go template")
@pass_invocation
def command(invocation: Invocation, format: str | None) -> None:
    """Display system-wide information."""
    from tuidock.cli.output import emit
    from tuidock.cli.template import Template
    from tuidock.cli.template_functions import to_json

    document = invocation.engine.system.info()
    if format == "json":
        emit(to_json(document))
    elif format:
        emit(Template(format).render(document))
    else:
        for line in _text(document):
            emit(line)
        for warning in document.get("Warnings") or ():
            click.echo(f"WARNING: {warning}", err=True)


def _text(document: Mapping[str, object]) -> list[str]:
    from tuidock.cli.output import binary_size

    lines = []
    for title, key, indent in _LINES:
        if key not in document:
            continue
        value = document[key]
        if key == "MemTotal" and isinstance(value, int):
            value = binary_size(value)
        if isinstance(value, (list, tuple)):
            lines.append(f"{indent}{title}:")
            lines.extend(f"{indent}  {item}" for item in value)
            continue
        lines.append(f"{indent}{title}: {value}")
    return lines
