"""tuidock compose exec: run a command in a service's container."""

from __future__ import annotations

import os

import click

from tuidock.cli.command import declare, fail
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "exec",
    usage="[OPTIONS] SERVICE COMMAND [ARG...]",
    examples=["tuidock compose exec web sh", "tuidock compose exec -T --index 2 web cat /etc/hosts"],
    interspersed=False,
)
@click.option("-d", "--detach", is_flag=True, help="Detached mode: run command in the background")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set environment variables")
@click.option(
    "--index", type=int, metavar="N", help="Index of the container if service has multiple replicas"
)
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Disable pseudo-TTY allocation")
@click.option("-i", "--interactive", is_flag=True, hidden=True)
@click.option("-t", "--tty", is_flag=True, hidden=True)
@click.option("--privileged", is_flag=True, help="Give extended privileges to the process")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="Run the command as this user")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Path to workdir directory for this command")
@click.argument("service")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_target
def command(
    target: Target,
    detach: bool,
    env: tuple[str, ...],
    index: int | None,
    no_tty: bool,
    interactive: bool,
    tty: bool,
    privileged: bool,
    user: str,
    workdir: str,
    service: str,
    argv: tuple[str, ...],
) -> None:
    """Execute a command in a running container."""
    from runtime.model.parse import parse_env
    from tuidock.cli.terminal import bridge

    session = target.engine.containers.exec(
        target.one(service, index).id,
        argv,
        tty=not no_tty and not detach and os.isatty(0) and os.isatty(1),
        stdin=not detach,
        detach=detach,
        env=parse_env(env),
        user=user,
        working_dir=workdir,
        privileged=privileged,
    )
    if session is not None:
        fail(bridge(session, stdin=True))
