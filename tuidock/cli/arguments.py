"""docker's habits of writing options, put into what click reads at once.

``--rm=true`` and ``-d=false`` for switches, ``-itv/a:/b`` and ``-e=A=b`` for short options (spf13/pflag).
Short options become their long names: click takes every short option for an unknown long one first, and
looks for similar names each time (2 ms an option).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

__all__ = ["plain_arguments"]

_TRUE = ("true", "1", "t", "yes")
_FALSE = ("false", "0", "f", "no")


def plain_arguments(
    args: Sequence[str], params: Sequence[click.Parameter], *, interspersed: bool
) -> list[str]:
    """``args`` with every known option by its long name. What is unknown or incomplete stays as it is, for
    click to refuse. Raises click.UsageError for a switch's value that is neither true nor false."""
    options = {
        name: param
        for param in params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }
    out: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--" or not arg.startswith("-") or arg == "-":
            out.append(arg)
            if arg == "--" or not interspersed:
                break
        elif arg.startswith("--"):
            out.extend(_long(arg, options, rest))
        else:
            out.extend(_short(arg, options, rest))
    out.extend(rest)
    return out


def _long(arg: str, options: Mapping[str, click.Option], rest: Iterator[str]) -> list[str]:
    name, equals, value = arg.partition("=")
    option = options.get(name)
    if option is None:
        return [arg]
    if _takes_value(option):
        return [arg] if equals else [arg, *_following(rest)]
    return _switch(option, name, value) if equals else [arg]


def _short(arg: str, options: Mapping[str, click.Option], rest: Iterator[str]) -> list[str]:
    """``-i``, ``-it``, ``-p 80``, ``-p80``, ``-p=80``, ``-itp80``, ``-it=false``."""
    out: list[str] = []
    for place in range(1, len(arg)):
        letter, remains = f"-{arg[place]}", arg[place + 1 :]
        option = options.get(letter)
        if option is None:
            return [arg]
        name = _long_name(option, letter)
        if remains.startswith("=") and not _takes_value(option):
            return [*out, *_switch(option, name, remains[1:])]
        if not _takes_value(option):
            out.append(name)
        elif remains:
            return [*out, name, remains.removeprefix("=")]
        else:
            value = _following(rest)
            return [*out, name, *value] if value else [arg]
    return out


def _takes_value(option: click.Option) -> bool:
    return not (option.is_flag or option.count)


def _long_name(option: click.Option, letter: str) -> str:
    names = option.secondary_opts if letter in option.secondary_opts else option.opts
    return next((name for name in names if name.startswith("--")), letter)


def _following(rest: Iterator[str]) -> list[str]:
    value = next(rest, None)
    return [] if value is None else [value]


def _switch(option: click.Option, name: str, value: str) -> list[str]:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise click.UsageError(f"invalid argument {value!r} for {name!r} flag: it is true or false")
    if value.lower() in _TRUE:
        return [name]
    return [option.secondary_opts[0]] if option.secondary_opts else []
