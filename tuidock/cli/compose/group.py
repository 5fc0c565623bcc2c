"""tuidock compose: the group and its options."""

from __future__ import annotations

import click

from tuidock.cli.command import CONTINUE, Group, Invocation
from tuidock.cli.compose.target import Target

__all__ = ["COMPOSE", "command"]

_HERE = "tuidock.cli.compose"

COMPOSE = {
    "build": (f"{_HERE}.build", "Build or rebuild services"),
    "config": (f"{_HERE}.config", "Parse, resolve and render compose file in canonical format"),
    "create": (f"{_HERE}.create", "Creates containers for a service"),
    "down": (f"{_HERE}.down", "Stop and remove containers, networks"),
    "exec": (f"{_HERE}.exec", "Execute a command in a running container"),
    "images": (f"{_HERE}.images", "List images used by the created containers"),
    "kill": (f"{_HERE}.kill", "Force stop service containers"),
    "logs": (f"{_HERE}.logs", "View output from containers"),
    "ls": (f"{_HERE}.ls", "List running compose projects"),
    "pause": (f"{_HERE}.pause", "Pause services"),
    "port": (f"{_HERE}.port", "Print the public port for a port binding"),
    "ps": (f"{_HERE}.ps", "List containers"),
    "pull": (f"{_HERE}.pull", "Pull service images"),
    "push": (f"{_HERE}.push", "Push service images"),
    "restart": (f"{_HERE}.restart", "Restart service containers"),
    "rm": (f"{_HERE}.rm", "Removes stopped service containers"),
    "run": (f"{_HERE}.run", "Run a one-off command on a service"),
    "scale": (f"{_HERE}.scale", "Scale services"),
    "start": (f"{_HERE}.start", "Start services"),
    "stop": (f"{_HERE}.stop", "Stop services"),
    "top": (f"{_HERE}.top", "Display the running processes"),
    "unpause": (f"{_HERE}.unpause", "Unpause services"),
    "up": (f"{_HERE}.up", "Create and start containers"),
    "version": (f"{_HERE}.version", "Show the compose version information"),
}


@click.group(
    "compose",
    cls=Group,
    modules=COMPOSE,
    context_settings=CONTINUE,
    no_args_is_help=True,
    help="Define and run multi-container applications",
)
@click.option(
    "--env-file", "env_files", multiple=True, metavar="FILE", help="Specify an alternate environment file"
)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Compose configuration files")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Specify a profile to enable")
@click.option(
    "--progress",
    "style",
    default="auto",
    type=click.Choice(["auto", "plain", "tty", "quiet"]),
    help="Set type of progress output",
)
@click.option("--project-directory", metavar="DIR", help="Specify an alternate working directory")
@click.option("-p", "--project-name", metavar="NAME", help="Project name")
@click.pass_context
def command(
    ctx: click.Context,
    env_files: tuple[str, ...],
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    style: str,
    project_directory: str | None,
    project_name: str | None,
) -> None:
    """Define and run multi-container applications."""
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    ctx.obj = Target(
        invocation,
        files=files,
        project_name=project_name,
        project_directory=project_directory,
        env_files=env_files,
        profiles=profiles,
        style=style,
    )
