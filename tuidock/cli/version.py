"""tuidock version: of the program and what it runs on."""

from __future__ import annotations

import os
import sys

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]

API_VERSION = "1.43"
"""The docker API whose documents we write."""


@declare(
    "version", usage="[OPTIONS]", examples=["tuidock version", "tuidock version -f '{{.Client.Version}}'"]
)
@click.option("-f", "--format", metavar="TEMPLATE", help="Format output: json or a Go template")
@pass_invocation
def command(invocation: Invocation, format: str | None) -> None:
    """Show the tuidock version information."""
    from tuidock import __version__
    from tuidock.cli.output import emit
    from tuidock.cli.template import Template
    from tuidock.cli.template_functions import to_json

    machine = os.uname()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine.machine, machine.machine)
    python = ".".join(str(part) for part in sys.version_info[:3])
    part: dict[str, object] = {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "PythonVersion": python,
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": machine.release,
    }
    engine = {
        "Name": "Engine",
        "Version": __version__,
        "Details": {"ApiVersion": API_VERSION, "Os": "linux", "Arch": architecture, "Experimental": "false"},
    }
    document = {
        "Client": {**part, "DefaultAPIVersion": API_VERSION, "Context": "default"},
        "Server": {
            **part,
            "Platform": {"Name": "tuidock"},
            "Components": [engine],
            "MinAPIVersion": API_VERSION,
            "Experimental": False,
        },
    }
    if format == "json":
        emit(to_json(document))
    elif format:
        emit(Template(format).render(document))
    else:
        system = f"linux/{architecture}"
        emit(
            f"Client:\n Version:           {__version__}\n API version:       {API_VERSION}\n"
            f" Python version:    {python}\n OS/Arch:           {system}\n Context:           default\n\n"
            f"Server: tuidock (there is no daemon)\n Engine:\n  Version:          {__version__}\n"
            f"  API version:      {API_VERSION} (docker's documents)\n  Python version:   {python}\n"
            f"  OS/Arch:          {system}\n  Kernel:           {machine.release}\n  Experimental:     false"
        )
