"""tuidock login: authenticate to a registry."""

from __future__ import annotations

import sys

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "login",
    usage="[OPTIONS] [SERVER]",
    examples=[
        "tuidock login -u me --password-stdin registry.example.com < token",
        "tuidock login localhost:5000",
    ],
)
@click.option("-p", "--password", metavar="PASSWORD", help="Password or personal access token")
@click.option("--password-stdin", is_flag=True, help="Take the password from stdin")
@click.option("-u", "--username", metavar="NAME", help="Username")
@click.argument("server", default="")
@pass_invocation
def command(
    invocation: Invocation, password: str | None, password_stdin: bool, username: str | None, server: str
) -> None:
    """Authenticate to a registry; Docker Hub when none is named."""
    from runtime.errors import Denied, InvalidInput

    registry = invocation.engine.registry
    if password_stdin:
        if password is not None:
            raise InvalidInput("conflicting options: cannot specify both --password and --password-stdin")
        if not username:
            raise InvalidInput("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().rstrip("\r\n")
        if not password:
            raise InvalidInput("the password on standard input is empty")
    elif password is not None:
        click.echo("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", err=True)
    if username is None and password is None and registry.known_user(server):
        click.echo("Authenticating with existing credentials...")
        try:
            registry.login(server)
        except Denied as error:
            if not sys.stdin.isatty():
                raise
            click.echo(f"Login did not succeed, error: {error.message}", err=True)
        else:
            click.echo("\nLogin Succeeded")
            return
    username, password = _ask(username, password)
    path = registry.login(server, username=username, password=password)
    if path:
        click.echo(
            f"\nWARNING! Your credentials are stored unencrypted in '{path}'."
            "\nConfigure a credential helper to remove this warning.",
            err=True,
        )
    click.echo("\nLogin Succeeded")


def _ask(username: str | None, password: str | None) -> tuple[str, str]:
    """What is missing, from the terminal. Raises InvalidInput without one."""
    from runtime.errors import InvalidInput

    if (not username or password is None) and not sys.stdin.isatty():
        raise InvalidInput(
            "cannot perform an interactive login from a non TTY device",
            hint="give -u NAME and the password with --password-stdin",
        )
    if not username:
        username = input("Username: ").strip()
    if not username:
        raise InvalidInput("username is required")
    if password is None:
        import getpass

        password = getpass.getpass("Password: ")
    if not password:
        raise InvalidInput("password is required")
    return username, password
