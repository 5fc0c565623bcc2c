"""tuidock info: this machine and what tuidock has on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]

_LINES = (
    # docker's, in its order; what has no meaning without a daemon is left out
    ("Containers", "Containers", 0),
    ("Running", "ContainersRunning", 1),
    ("Paused", "ContainersPaused", 1),
    ("Stopped", "ContainersStopped", 1),
    ("Images", "Images", 0),
    ("Server Version", "ServerVersion", 0),
    ("Storage Driver", "Driver", 0),
    ("", "DriverStatus", 0),
    ("Logging Driver", "LoggingDriver", 0),
    ("Cgroup Driver", "CgroupDriver", 0),
    ("Cgroup Version", "CgroupVersion", 0),
    ("Plugins", "Plugins", 0),
    ("Runtimes", "Runtimes", 0),
    ("Default Runtime", "DefaultRuntime", 0),
    ("Security Options", "SecurityOptions", 0),
    ("Kernel Version", "KernelVersion", 0),
    ("Operating System", "OperatingSystem", 0),
    ("OSType", "OSType", 0),
    ("Architecture", "Architecture", 0),
    ("CPUs", "NCPU", 0),
    ("Total Memory", "MemTotal", 0),
    ("Name", "Name", 0),
    ("ID", "ID", 0),
    ("Docker Root Dir", "DockerRootDir", 0),
    ("Labels", "Labels", 0),
    ("Insecure Registries", "InsecureRegistries", 0),
    ("Registry Mirrors", "Mirrors", 0),
    ("Live Restore Enabled", "LiveRestoreEnabled", 0),
)


@declare("info", usage="[OPTIONS]", examples=["tuidock info", "tuidock info -f '{{.KernelVersion}}'"])
@click.option("-f", "--format", metavar="TEMPLATE", help="Format output: json or a Go template")
@pass_invocation
def command(invocation: Invocation, format: str | None) -> None:
    """Display system-wide information."""
    from tuidock.cli.output import emit
    from tuidock.cli.template import Template
    from tuidock.cli.template_functions import to_json

    document = _document(invocation.engine.system.info())
    if format == "json":
        emit(to_json(document))
    elif format:
        emit(Template(format).render(document))
    else:
        for line in _text(document):
            emit(line)
        for warning in document.get("Warnings") or ():
            click.echo(warning, err=True)


def _document(info: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's document and what only the program knows: its version, which is the server's too."""
    from tuidock import __version__

    return {
        **info,
        "ServerVersion": __version__,
        "DefaultRuntime": "tuidock",
        "Runtimes": {"tuidock": {"path": "tuidock"}},
        "LiveRestoreEnabled": True,  # containers outlive whatever started them
        "Swarm": {"LocalNodeState": "inactive", "NodeID": "", "NodeAddr": "", "Error": ""},
        "ClientInfo": {"Debug": False, "Version": __version__, "Context": "default", "Plugins": []},
    }


def _text(document: Mapping[str, Any]) -> list[str]:
    lines = ["Client:", f" Version:    {document['ClientInfo']['Version']}", " Context:    default", ""]
    lines.append("Server:")
    shown = {**document, **document["RegistryConfig"]}
    for title, key, depth in _LINES:
        indent = " " * (depth + 1)
        value = shown.get(key)
        if key == "DriverStatus":
            lines += [f"{indent} {name}: {text}" for name, text in value or ()]
        elif key == "Plugins":
            lines.append(f"{indent}Plugins:")
            lines += [
                f"{indent} {name}: {' '.join(shown[key][name])}" for name in ("Volume", "Network", "Log")
            ]
        elif key == "SecurityOptions":
            lines.append(f"{indent}Security Options:")
            lines += [line for text in value or () for line in _security(text, indent)]
        elif isinstance(value, (list, tuple)):
            if value:
                lines.append(f"{indent}{title}:")
                lines += [f"{indent} {item}" for item in value]
        elif value is not None:
            lines.append(f"{indent}{title}: {_shown(key, value)}")
    return lines


def _security(text: str, indent: str) -> list[str]:
    """ "name=seccomp,profile=builtin" as docker lays it out."""
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    name = next((value for key, value in pairs if key == "name"), text)
    return [f"{indent} {name}", *(f"{indent}  {k.capitalize()}: {v}" for k, v in pairs if k != "name")]


def _shown(key: str, value: object) -> str:
    from tuidock.cli.output import binary_size

    if key == "MemTotal" and isinstance(value, int):
        return binary_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, dict) else str(value)
