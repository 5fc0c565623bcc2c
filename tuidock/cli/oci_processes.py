"""tuidock oci create, run and exec: the verbs that make a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation

__all__ = ["create", "execute", "run"]

_EXEC_ERROR = 255
"""runc's, so that it is told from the program's own exit code."""

_Function = Callable[..., Any]


def _process_options(function: _Function) -> _Function:
    for option in (
        click.option("--pid-file", metavar="FILE", help="Write the process id to a file"),
        click.option("--console-socket", metavar="SOCKET", help="Send the terminal over this AF_UNIX socket"),
        click.option(
            "--preserve-fds", type=int, default=0, metavar="N", help="Pass on N descriptors from 3 on"
        ),
    ):
        function = option(function)
    return function


def _bundle_options(function: _Function) -> _Function:
    for option in (
        click.option("-b", "--bundle", default=".", metavar="DIR", help="The bundle (default: here)"),
        click.option("--no-pivot", is_flag=True, help="Refused: without pivot_root the host's root stays"),
        click.option("--no-new-keyring", is_flag=True, help="Accepted: keyrings are never made"),
    ):
        function = option(function)
    return _process_options(function)


def _check(no_pivot: bool, preserve_fds: int) -> None:
    from runtime.errors import InvalidInput

    if no_pivot:
        raise InvalidInput("--no-pivot is not supported", hint="the root file system must be a directory")
    for fd in range(3, 3 + preserve_fds):
        try:
            os.fstat(fd)
        except OSError as error:
            raise InvalidInput(f"--preserve-fds {preserve_fds}: descriptor {fd} is not open") from error


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


@declare("create", usage="[OPTIONS] CONTAINER-ID", examples=["tuidock oci create --bundle /srv/bundle web"])
@_bundle_options
@click.argument("container_id")
@pass_invocation
def create(
    invocation: Invocation,
    bundle: str,
    no_pivot: bool,
    no_new_keyring: bool,
    pid_file: str | None,
    console_socket: str | None,
    preserve_fds: int,
    container_id: str,
) -> None:
    """Create a container out of a bundle; its process waits for start."""
    from runtime.oci import lifecycle

    _check(no_pivot, preserve_fds)
    lifecycle.create(
        invocation.runtime.root,
        container_id,
        Path(bundle),
        pid_file=_path(pid_file),
        console_socket=_path(console_socket),
        preserve_fds=preserve_fds,
        warn=invocation.runtime.warn,
    )


@declare("run", usage="[OPTIONS] CONTAINER-ID", examples=["tuidock oci run --bundle /srv/bundle web"])
@_bundle_options
@click.option("-d", "--detach", is_flag=True, help="Leave when the program runs")
@click.option("--keep", is_flag=True, help="Do not delete the container when it has ended")
@click.argument("container_id")
@pass_invocation
def run(
    invocation: Invocation,
    bundle: str,
    no_pivot: bool,
    no_new_keyring: bool,
    pid_file: str | None,
    console_socket: str | None,
    preserve_fds: int,
    detach: bool,
    keep: bool,
    container_id: str,
) -> None:
    """Create and start a container."""
    from runtime.oci import document, lifecycle
    from tuidock.cli.oci_console import Console

    _check(no_pivot, preserve_fds)
    runtime = invocation.runtime
    terminal = bool(document.load(Path(bundle))["process"].get("terminal"))
    console = Console() if terminal and not detach and not console_socket else None
    record = lifecycle.create(
        runtime.root,
        container_id,
        Path(bundle),
        pid_file=_path(pid_file),
        console_socket=_path(console_socket),
        console=console.child_end() if console else -1,
        preserve_fds=preserve_fds,
        warn=runtime.warn,
    )
    try:
        if not detach:
            lifecycle.Forwarding().to(record.pid)
        lifecycle.start(record)
        code = 0 if detach else lifecycle.wait(record.pid, console.serve if console else None)
    except BaseException:
        lifecycle.delete(record, force=True, warn=runtime.warn)
        raise
    if not detach and not keep:
        lifecycle.delete(record, force=True, warn=runtime.warn)
    fail(code)


@declare(
    "exec",
    usage="[OPTIONS] CONTAINER-ID COMMAND [ARG...]",
    examples=["tuidock oci exec web ps", "tuidock oci exec --process process.json web"],
    interspersed=False,
)
@_process_options
@click.option("-p", "--process", "process_file", metavar="FILE", help="Read the whole process from a file")
@click.option("-d", "--detach", is_flag=True, help="Leave when the program runs")
@click.option("-t", "--tty", is_flag=True, help="Allocate a terminal")
@click.option("--cwd", default="", metavar="DIR", help="Working directory in the container")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set environment variables")
@click.option("-u", "--user", default="", metavar="UID[:GID]", help="User and group, in numbers")
@click.option("-g", "--additional-gids", multiple=True, type=int, metavar="GID", help="More groups")
@click.option("-c", "--cap", multiple=True, metavar="CAP", help="More capabilities")
@click.option("--no-new-privs", is_flag=True, help="Gain no privileges through set-user-ID programs")
@click.argument("container_id")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_invocation
def execute(
    invocation: Invocation,
    pid_file: str | None,
    console_socket: str | None,
    preserve_fds: int,
    process_file: str | None,
    detach: bool,
    tty: bool,
    cwd: str,
    env: tuple[str, ...],
    user: str,
    additional_gids: tuple[int, ...],
    cap: tuple[str, ...],
    no_new_privs: bool,
    container_id: str,
    argv: tuple[str, ...],
) -> None:
    """Execute another process in a container."""
    from runtime.errors import InvalidInput
    from runtime.oci import document, lifecycle
    from runtime.oci import execute as executing
    from tuidock.cli.oci_console import Console

    invocation.own_errors = _EXEC_ERROR
    _check(False, preserve_fds)
    record = lifecycle.find(invocation.runtime.root, container_id, invocation.runtime.warn)
    if process_file:
        wanted = document.read_object(Path(process_file))
        if tty:
            wanted["terminal"] = True
    elif argv:
        options = executing.ExecOptions(argv, cwd, env, user, additional_gids, cap, no_new_privs, tty)
        wanted = executing.process_of(record, options)
    else:
        raise InvalidInput("exec needs a command or --process")
    console = Console() if wanted.get("terminal") and not detach and not console_socket else None
    forwarding = None if detach else lifecycle.Forwarding()
    pid = executing.execute(
        record,
        wanted,
        pid_file=_path(pid_file),
        console_socket=_path(console_socket),
        console=console.child_end() if console else -1,
        preserve_fds=preserve_fds,
        warn=invocation.runtime.warn,
    )
    if forwarding is not None:
        forwarding.to(pid)
        fail(lifecycle.wait(pid, console.serve if console else None))
