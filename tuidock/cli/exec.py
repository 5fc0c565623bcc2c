"""tuidock exec: run another process in a running container."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation

__all__ = ["command"]


@declare(
    "exec",
    usage="[OPTIONS] CONTAINER COMMAND [ARG...]",
    examples=["tuidock exec -it web sh", "tuidock exec -e DEBUG=1 -w /app web python3 manage.py check"],
    interspersed=False,
)
@click.option("-d", "--detach", is_flag=True, help="Detached mode: run command in the background")
@click.option("--detach-keys", metavar="KEYS", help="Override the key sequence for detaching a container")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set environment variables")
@click.option("--env-file", multiple=True, metavar="FILE", help="Read in a file of environment variables")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open even if not attached")
@click.option("--privileged", is_flag=True, help="Give extended privileges to the command")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="Username or UID")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Working directory inside the container")
@click.argument("container")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_invocation
def command(
    invocation: Invocation,
    detach: bool,
    detach_keys: str | None,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    interactive: bool,
    privileged: bool,
    tty: bool,
    user: str,
    workdir: str,
    container: str,
    argv: tuple[str, ...],
) -> None:
    """Execute a command in a running container."""
    from tuidock.cli.detach_keys import DEFAULT, parse_detach_keys
    from tuidock.cli.terminal import bridge, check_terminal

    keys = DEFAULT if detach_keys is None else parse_detach_keys(detach_keys)
    if not detach:
        check_terminal(tty, interactive)
    session = invocation.engine.containers.exec(
        container,
        argv,
        tty=tty,
        stdin=interactive and not detach,
        detach=detach,
        env=_environment(env, env_file),
        user=user,
        working_dir=workdir,
        privileged=privileged,
    )
    if session is not None:
        fail(bridge(session, stdin=interactive, detach_keys=keys))


def _environment(items: tuple[str, ...], files: tuple[str, ...]) -> list[str]:
    if not items and not files:
        return []
    from runtime.model.parse import parse_env, parse_env_file

    found = [item for path in files for item in parse_env_file(path)]
    return [*found, *parse_env(items)]
