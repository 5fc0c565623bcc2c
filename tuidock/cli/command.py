"""What every command is made of: click's classes with docker's habits, and the state of one invocation.

docker's habits: ``--flag=false`` for switches, options that may stand before the arguments only (so that
``run IMAGE ls -l`` passes ``-l`` on), help with the usage first and examples last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from tuidock.cli.arguments import plain_arguments

if TYPE_CHECKING:
    from runtime.engine import Engine
    from tuidock.cli.oci import Runtime

__all__ = ["Command", "Group", "Invocation", "declare", "each", "fail", "group", "pass_invocation", "report"]

CONTINUE = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Invocation:
    """One run of the program: the chosen root and the engine, opened when first used."""

    def __init__(
        self,
        *,
        root: str | None = None,
        debug: bool = False,
        interface: Callable[[str | None, str | None], int] | None = None,
        open_engine: Callable[[str | None], Engine] | None = None,
    ) -> None:
        self.root = root
        self.debug = debug
        self.interface = interface
        """Opens the terminal interface on (root, project) and returns the exit code."""
        self._open_engine = open_engine
        self.oci: Runtime | None = None
        """The global options of ``tuidock oci``, once they are read."""
        self.own_errors = 1
        """The exit code of the engine's own errors: 125 for ``run``, as docker has it."""

    @cached_property
    def engine(self) -> Engine:
        """Raises Denied without root privileges."""
        if self._open_engine is not None:
            return self._open_engine(self.root)
        import os

        if os.geteuid() != 0:
            from runtime.errors import Denied

            raise Denied("tuidock needs root privileges", hint="run it as root: sudo tuidock ...")
        from runtime.engine import Engine

        return Engine(self.root)

    def close(self, *, leave: bool = False) -> None:
        """The engine, if we opened it; ``leave``: the process ends at once."""
        if self._open_engine is None and "engine" in self.__dict__:
            if leave:
                self.engine.leave()
            else:
                self.engine.close()

    @property
    def runtime(self) -> Runtime:
        """Of ``tuidock oci``."""
        assert self.oci is not None
        return self.oci


pass_invocation = click.make_pass_decorator(Invocation)


class _Helpful(click.Command):
    """``--help`` as click has it; but click asks gettext for its text, which looks for catalogues."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        names = self.get_help_option_names(ctx)
        if self._help_option is None and names and self.add_help_option:
            self._help_option = click.Option(
                [*names, "_help"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help="Show this message and exit.",
                callback=_show_help,
            )
        return self._help_option


def _show_help(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class Command(_Helpful):
    """``usage`` is what follows the command's name; ``examples`` are whole command lines."""

    def __init__(self, *args: Any, usage: str = "", examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.usage = usage
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            plain = plain_arguments(args, self.params, interspersed=ctx.allow_interspersed_args)
            return super().parse_args(ctx, plain)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"Usage:  {ctx.command_path} {self.usage}\n\n{self.help or ''}\n")
        records = option_records(self, ctx)
        with formatter.section("Options"):
            formatter.write_dl(sorted(records, key=lambda record: record[0].lstrip("-").lower()))
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


def option_records(command: click.Command, ctx: click.Context) -> list[tuple[str, str]]:
    """Names and descriptions for help; arguments are in the usage line."""
    options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
    return [record for option in options if (record := option.get_help_record(ctx))]


def declare(
    name: str,
    *,
    usage: str = "",
    examples: Sequence[str] = (),
    interspersed: bool = True,
    help_short: bool = True,
) -> Callable[[Callable[..., Any]], Command]:
    """A command whose one-line description is the function's docstring. ``help_short`` False leaves ``-h``
    to another option (``run -h HOSTNAME``)."""
    settings: dict[str, Any] = {
        **CONTINUE,
        "allow_interspersed_args": interspersed,
        "help_option_names": ["-h", "--help"] if help_short else ["--help"],
    }

    def make(function: Callable[..., Any]) -> Command:
        made = click.command(name, cls=Command, usage=usage, examples=examples, context_settings=settings)(
            function
        )
        assert isinstance(made, Command)
        return made

    return make


class Group(_Helpful, click.Group):
    """Commands by name, each the attribute ``command`` of a module that is imported when it is called.

    ``modules`` maps a name to (module, description), so that help imports nothing.
    """

    def __init__(self, *args: Any, modules: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = self.modules.get(cmd_name)
        if known is None:
            return None
        import importlib

        module, _, attribute = known[0].partition(":")
        found = getattr(importlib.import_module(module), attribute or "command")
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        found = self.get_command(ctx, name)
        if found is None:
            import difflib

            from runtime.errors import InvalidInput

            close = difflib.get_close_matches(name, list(self.modules), 1)
            hint = (
                f"did you mean '{ctx.command_path} {close[0]}'?"
                if close
                else f"see '{ctx.command_path} --help'"
            )
            kind = "option" if name.startswith("-") else "command"
            raise InvalidInput(f"unknown {kind}: {ctx.command_path} {name}", hint=hint, subject=name)
        return name, found, args[1:]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, plain_arguments(args, self.params, interspersed=False))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"Usage:  {ctx.command_path} [OPTIONS] COMMAND\n\n{self.help or ''}\n")
        self.format_commands(ctx, formatter)
        with formatter.section("Options"):
            formatter.write_dl(option_records(self, ctx))
        formatter.write(f"\nRun '{ctx.command_path} COMMAND --help' for more information on a command.\n")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_section(formatter, "Commands", self.modules)

    def write_section(self, formatter: click.HelpFormatter, title: str, names: Iterable[str]) -> None:
        width = max(len(name) for name in self.modules)
        with formatter.section(title):
            for name in names:
                formatter.write(f"  {name:<{width}}   {self.modules[name][1]}\n")


def group(name: str, help: str, modules: Mapping[str, tuple[str, str]]) -> Group:
    """A group without options of its own; called alone it shows its help."""

    def callback() -> None:
        return None

    return Group(
        name, modules=modules, help=help, callback=callback, context_settings=CONTINUE, no_args_is_help=True
    )


def report(error: BaseException) -> int:
    """Details, ``tuidock: MESSAGE`` and ``hint: ...`` on standard error; the exit code that it asks for."""
    from tuidock.report import describe

    found = describe(error)
    text = f"{found.details.rstrip()}\n" if found.details else ""
    text += f"tuidock: {found.message}\n"
    if found.hint:
        text += f"hint: {found.hint}\n"
    sys.stdout.flush()
    sys.stderr.write(text)
    sys.stderr.flush()
    return found.exit_code


def fail(code: int) -> None:
    """Leave with ``code``; nothing is printed."""
    raise click.exceptions.Exit(code)


def each(
    names: Iterable[str], action: Callable[[str], object], *, echo: bool = True, forgive: bool = False
) -> None:
    """``action`` on every name, as docker does: each success prints the name (or the text that the action
    returns), each failure one line; exit 1 when any failed. ``forgive`` (``rm -f``): what is not there
    is told and no failure."""
    from runtime.errors import EngineError, NotFound

    failed = False
    for name in names:
        try:
            result = action(name)
        except EngineError as error:
            report(error)
            failed = failed or not (forgive and isinstance(error, NotFound))
            continue
        if echo:
            sys.stdout.write(f"{result if isinstance(result, str) else name}\n")
            sys.stdout.flush()
    if failed:
        fail(1)
