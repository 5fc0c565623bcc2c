"""tuidock start: start stopped containers, attached to one if asked."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, fail, pass_invocation

__all__ = ["command"]


@declare(
    "start",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    examples=["tuidock start web", "tuidock start -ai shell"],
)
@click.option("-a", "--attach", is_flag=True, help="Attach STDOUT/STDERR and forward signals")
@click.option("-i", "--interactive", is_flag=True, help="Attach container's STDIN")
@click.option("--detach-keys", metavar="KEYS", help="Override the key sequence for detaching a container")
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(
    invocation: Invocation,
    attach: bool,
    interactive: bool,
    detach_keys: str | None,
    containers: tuple[str, ...],
) -> None:
    """Start one or more stopped containers."""
    engine = invocation.engine
    if not attach and not interactive:
        each(containers, engine.containers.start)
        return
    from runtime.errors import InvalidInput
    from tuidock.cli.detach_keys import DEFAULT, parse_detach_keys
    from tuidock.cli.terminal import bridge, check_terminal

    if len(containers) > 1:
        raise InvalidInput(
            "you cannot start and attach multiple containers at once", hint="name one container"
        )
    keys = DEFAULT if detach_keys is None else parse_detach_keys(detach_keys)
    config = engine.containers.get(containers[0]).config
    stdin = interactive and config.open_stdin
    check_terminal(config.tty, stdin)
    session = engine.containers.start(containers[0], attach=True, attach_stdin=stdin)
    assert session is not None
    fail(bridge(session, stdin=stdin, detach_keys=keys))
