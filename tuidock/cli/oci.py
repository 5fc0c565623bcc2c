"""tuidock oci: an OCI runtime with runc's command line, for podman, containerd and scripts.

Errors also go to ``--log``, as text or JSON lines, which is where conmon and containerd's shim read them.
The engine is not opened: what a runtime does needs none of its state.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from tuidock.cli.command import CONTINUE, Group, Invocation

__all__ = ["Runtime", "command", "main"]

_VERBS = "tuidock.cli.oci_verbs"
_PROCESSES = "tuidock.cli.oci_processes"
_MODULES = {
    "create": (f"{_PROCESSES}:create", "Create a container out of a bundle; its process waits for start"),
    "delete": (f"{_VERBS}:delete", "Delete what is held by a container that has stopped"),
    "exec": (f"{_PROCESSES}:execute", "Execute another process in a container"),
    "features": (f"{_VERBS}:features", "Show what this runtime can do, as JSON"),
    "kill": (f"{_VERBS}:kill", "Send a signal to a container's process (default: SIGTERM)"),
    "list": (f"{_VERBS}:list_command", "List the containers of this root"),
    "pause": (f"{_VERBS}:pause", "Suspend all processes of a container"),
    "ps": (f"{_VERBS}:ps", "Show the processes of a container"),
    "resume": (f"{_VERBS}:resume", "Resume all processes of a container that is paused"),
    "run": (f"{_PROCESSES}:run", "Create and start a container"),
    "spec": (f"{_VERBS}:spec", "Write a config.json to start from"),
    "start": (f"{_VERBS}:start", "Let a created container's program run"),
    "state": (f"{_VERBS}:state", "Show a container's state, as JSON"),
    "update": (f"{_VERBS}:update", "Change the limits of a container"),
}


@dataclass
class Runtime:
    """The global options, and the log."""

    root: Path
    log: Path | None = None
    json_log: bool = False
    warnings: list[str] = field(default_factory=list)

    def write(self, level: str, message: str) -> None:
        """One record of the log; nothing without one."""
        if self.log is None:
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.json_log:
            line = json.dumps({"level": level, "msg": message, "time": moment})
        else:
            line = f"time={json.dumps(moment)} level={level} msg={json.dumps(message)}"
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def warn(self, message: str) -> None:
        """To the log, or to standard error without one."""
        if self.log is None:
            sys.stderr.write(f"tuidock: warning: {message}\n")
        self.write("warning", message)


class _RuntimeGroup(Group):
    """Whatever goes wrong below is written to the log before it is reported."""

    def invoke(self, ctx: click.Context) -> Any:
        from runtime.errors import CommandNotFound, CommandNotRunnable, Failed

        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.exceptions.Abort):
            raise
        except Exception as error:
            if isinstance(ctx.obj.oci, Runtime):
                from tuidock.report import describe

                text = error.format_message() if isinstance(error, click.ClickException) else ""
                ctx.obj.oci.write("error", text or describe(error).message)
            if isinstance(error, CommandNotFound | CommandNotRunnable):
                raise Failed(error.message) from error  # runc has no exit code of its own for these
            raise


@click.group(
    "oci",
    cls=_RuntimeGroup,
    modules=_MODULES,
    invoke_without_command=True,
    context_settings=CONTINUE,
    help="An OCI runtime: containers out of bundles, with runc's command line",
)
@click.option("--root", metavar="DIR", help="Where the state of containers is kept (/run/tuidock-oci)")
@click.option("--log", metavar="FILE", help="Write errors and warnings to a file as well")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Format of the log")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors")
@click.option("--systemd-cgroup", is_flag=True, help="Refused: groups are made without systemd")
@click.option("--rootless", metavar="WHEN", default="auto", help="Accepted for runc's sake; root is needed")
@click.option("-v", "--version", is_flag=True, help="Print version information and quit")
@click.pass_context
def command(
    ctx: click.Context,
    root: str | None,
    log: str | None,
    log_format: str,
    debug: bool,
    systemd_cgroup: bool,
    rootless: str,
    version: bool,
) -> None:
    from runtime.errors import Denied, InvalidInput
    from runtime.oci.state import DEFAULT_ROOT

    invocation: Invocation = ctx.obj
    invocation.debug = invocation.debug or debug
    runtime = Runtime(Path(root) if root else DEFAULT_ROOT, Path(log) if log else None, log_format == "json")
    invocation.oci = runtime
    if version:
        from runtime.oci.features import VERSIONS
        from tuidock import __version__

        click.echo(f"tuidock-oci version {__version__}\nspec: {VERSIONS[1]}")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    if systemd_cgroup:
        raise InvalidInput("--systemd-cgroup is not supported", hint="use the cgroupfs driver")
    import os

    if os.geteuid() != 0 and rootless != "true" and ctx.invoked_subcommand not in ("spec", "features"):
        raise Denied("tuidock oci needs root privileges", hint="run it as root")


def main() -> int:
    """The ``tuidock-oci`` program, for ``podman --runtime`` and containerd."""
    from tuidock.cli.main import main as command_line

    return command_line(["oci", *sys.argv[1:]])
