"""The root command: global options, and the one place that turns exceptions into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import CONTINUE, Group, Invocation, report
from tuidock.cli.commands import COMMON, MANAGEMENT, TOP

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["main", "root_command"]

_USAGE_ERROR = 125
"""docker's exit code for a wrong option, in every command."""


class RootGroup(Group):
    """``tuidock --help``: common commands first, then groups, then the rest by name."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_section(formatter, "Common commands", COMMON)
        self.write_section(formatter, "Management commands", MANAGEMENT)
        rest = sorted(name for name in self.modules if name not in COMMON and name not in MANAGEMENT)
        self.write_section(formatter, "Commands", rest)


@click.group(
    "tuidock",
    cls=RootGroup,
    modules=TOP,
    invoke_without_command=True,
    context_settings=CONTINUE,
    help="A container engine that you can see. Without a command, opens the terminal interface.",
)
@click.option(
    "--root", metavar="DIR", help="Where all state is kept (default: TUIDOCK_ROOT, else the system's)"
)
@click.option("-D", "--debug", is_flag=True, help="Show tracebacks of errors")
@click.option("-v", "--version", is_flag=True, help="Print version information and quit")
@click.pass_context
def root_command(ctx: click.Context, root: str | None, debug: bool, version: bool) -> None:
    invocation: Invocation = ctx.obj
    invocation.root, invocation.debug = root or invocation.root, debug
    if version:
        from tuidock import __version__

        click.echo(f"tuidock version {__version__}")
        ctx.exit()
    if ctx.invoked_subcommand is not None:
        return
    if invocation.interface is None or not (sys.stdout.isatty() and sys.stdin.isatty()):
        click.echo(ctx.get_help())
        return
    if os.geteuid() != 0:
        from runtime.errors import Denied

        raise Denied("tuidock needs root privileges", hint="run it as root: sudo tuidock")
    ctx.exit(invocation.interface(invocation.root, None))


def main(
    argv: Sequence[str] | None = None,
    *,
    interface: Callable[[str | None, str | None], int] | None = None,
    open_engine: Callable[[str | None], Engine] | None = None,
    ends: bool = False,
) -> int:
    """Run one command line; the exit code. Never raises, except with ``--debug`` on an error of ours.
    ``ends``: the process ends with it, by os._exit."""
    invocation = Invocation(interface=interface, open_engine=open_engine)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with root_command.make_context("tuidock", arguments, obj=invocation) as ctx:
            root_command.invoke(ctx)
        return 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return _usage_error(error)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_gone():
            return _closed_pipe()
        return _own_error(error, invocation)
    finally:
        invocation.close(leave=ends)
        _flush()


def _own_error(error: Exception, invocation: Invocation) -> int:
    if invocation.debug:
        import traceback

        traceback.print_exc()
    code = report(error)
    return invocation.own_errors if code == 125 else code


def _usage_error(error: click.UsageError) -> int:
    """docker's words: "unknown flag: --foo"; the nearest option and the help's name as the hint."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    path = error.ctx.command_path if error.ctx is not None else "tuidock"
    hint, code = f"see '{path} --help'", _USAGE_ERROR
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        message = f"unknown flag: {name}"
        if not name.startswith("--"):
            message = f"unknown shorthand flag: {name[1:2]!r} in {name}"
        if error.possibilities:
            hint = f"did you mean {_nearest(error)}? {hint}"
    elif isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument):
        count = "1 argument" if error.param.nargs in (1, -1) else f"{error.param.nargs} arguments"
        arguments = (
            [p for p in error.ctx.command.params if isinstance(p, click.Argument)] if error.ctx else []
        )
        required = sum(1 for argument in arguments if argument.required)
        count = "1 argument" if required <= 1 else f"{required} arguments"
        exact = all(argument.required and argument.nargs == 1 for argument in arguments)
        message = f"'{path}' requires {'exactly' if exact else 'at least'} {count}"
        hint, code = (
            f"usage: {path} {getattr(error.ctx.command, 'usage', '')}; {hint}" if error.ctx else hint,
            1,
        )
    elif isinstance(error, click.BadOptionUsage) and "requires an argument" in error.message:
        message = f"flag needs an argument: {error.option_name}"
    elif error.message.startswith("Got unexpected extra argument"):
        message, code = f"'{path}' {_arguments_taken(error.ctx)}", 1
    elif isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        long = next((name for name in error.param.opts if name.startswith("--")), "")
        names = [name for name in error.param.opts if not name.startswith("--")] + [long]
        flag = ", ".join(filter(None, names))
        message = f'invalid argument for "{flag}" flag: {error.message.rstrip(".")}'
    else:
        message = error.format_message().rstrip(".")
    sys.stderr.write(f"tuidock: {message}\nhint: {hint}\n")
    return code


def _arguments_taken(ctx: click.Context | None) -> str:
    """docker's words for too many arguments."""
    arguments = [param for param in ctx.command.params if isinstance(param, click.Argument)] if ctx else []
    if not arguments:
        return "accepts no arguments"
    exact = all(argument.required for argument in arguments)
    count = len(arguments)
    return f"requires {'exactly' if exact else 'at most'} {count} argument{'s' if count > 1 else ''}"


def _nearest(error: click.NoSuchOption) -> str:
    import difflib

    possible = list(error.possibilities or ())
    return (difflib.get_close_matches(error.option_name, possible, 1, 0.0) or possible)[0]


def _reader_gone() -> bool:
    """Is it our output that nobody reads any more, and not some other pipe or socket? (poll(2): POLLERR)"""
    import select

    poll = select.poll()
    for fd in (1, 2):
        poll.register(fd, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _fd, state in poll.poll(0))


def _closed_pipe() -> int:
    """The reader of our output went away (``tuidock logs x | head``): be quiet, as if killed by SIGPIPE."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return 141


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _closed_pipe()
