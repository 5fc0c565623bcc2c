"""tuidock attach: join a running container's terminal or streams."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation

__all__ = ["command"]


@declare(
    "attach",
    usage="[OPTIONS] CONTAINER",
    examples=[
        "tuidock attach shell",
        "tuidock attach --no-stdin web",
        "(leave a terminal with ctrl-p ctrl-q)",
    ],
)
@click.option("--detach-keys", metavar="KEYS", help="Override the key sequence for detaching a container")
@click.option("--no-stdin", is_flag=True, help="Do not attach STDIN")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Proxy all received signals to the process")
@click.argument("container")
@pass_invocation
def command(
    invocation: Invocation, detach_keys: str | None, no_stdin: bool, sig_proxy: bool, container: str
) -> None:
    """Attach standard input, output and error streams to a running container."""
    from tuidock.cli.detach_keys import DEFAULT, parse_detach_keys
    from tuidock.cli.terminal import bridge, check_terminal

    engine = invocation.engine
    keys = DEFAULT if detach_keys is None else parse_detach_keys(detach_keys)
    config = engine.containers.get(container).config
    stdin = config.open_stdin and not no_stdin
    check_terminal(config.tty, stdin)
    session = engine.containers.attach(container, stdin=stdin)
    fail(bridge(session, stdin=stdin, detach_keys=keys, proxy_signals=sig_proxy))
