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
    part = {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "PythonVersion": python,
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": machine.release,
    }
    document = {"Client": part, "Server": part}
    if format == "json":
        emit(to_json(document))
    elif format:
        emit(Template(format).render(document))
    else:
        emit(
            f"tuidock\n Version:        {__version__}\n API version:    {API_VERSION} (docker's documents)\n"
            f" Python version: {python}\n OS/Arch:        linux/{architecture}\n"
            f" Kernel:         {machine.release}"
        )
