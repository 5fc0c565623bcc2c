"""Logical lines to instructions and stages."""

from __future__ import annotations

import re
from collections.abc import Callable

from runtime.build.durations import parse_duration
from runtime.build.failure import DockerfileError
from runtime.build.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheckInstruction,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from runtime.build.lexer import LogicalLine, Source, heredoc_of, lex
from runtime.build.words import Words, quoted_words

__all__ = ["KEYWORDS", "parse", "parse_trigger"]

_STAGE_NAME = r"^[a-z][a-z0-9\-_.]*$"
_RESERVED = ("context", "scratch")


def parse(source: Source) -> Dockerfile:
    """Raises DockerfileError: the first thing that is wrong, with its line."""
    lexed = lex(source)
    global_args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for line in lexed.lines:
        instruction = parse_line(source, line, lexed.escape)
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            global_args.append(instruction)
        else:
            raise DockerfileError.at(
                source,
                line.first,
                f"{instruction.keyword} comes before any FROM",
                last=line.last,
                hint="a Dockerfile begins with FROM; only ARG may stand before it",
            )
    if not stages:
        reason = "has no FROM" if global_args else "is empty"
        raise DockerfileError(
            f"{source.name} {reason}", hint="a Dockerfile begins with FROM IMAGE", subject=source.name
        )
    made = tuple(
        Stage(index, base.alias.lower(), base, tuple(body)) for index, (base, body) in enumerate(stages)
    )
    return Dockerfile(source, lexed.escape, tuple(global_args), made, lexed.directives)


def parse_trigger(source: Source, escape: str) -> list[Instruction]:
    """The instructions of an image's ONBUILD trigger, which ``source`` holds."""
    return [parse_line(source, line, escape) for line in lex(source).lines]


def parse_line(source: Source, line: LogicalLine, escape: str) -> Instruction:
    word, *after = line.text.split(None, 1)
    rest = after[0] if after else ""
    keyword = word.upper()
    parser = _PARSERS.get(keyword)
    if parser is None:
        raise DockerfileError.at(
            source, line.first, f"unknown instruction: {word}", last=line.last, hint=_nearest(keyword)
        )
    words = Words(source, line, keyword, rest, escape)
    if not words.rest and keyword not in ("CMD", "ENTRYPOINT"):
        raise words.error("requires at least one argument", _USAGE.get(keyword))
    return parser(words)


def _nearest(keyword: str) -> str:
    import difflib

    close = difflib.get_close_matches(keyword, KEYWORDS, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"instructions: {' '.join(KEYWORDS)}"


def _base(words: Words) -> tuple[str, int, int]:
    return words.line.text, words.line.first, words.line.last


def _from(words: Words) -> From:
    flags = words.flags(platform="text")
    parts = words.plain()
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].upper() != "AS"):
        raise words.error("requires either one or three arguments", "FROM IMAGE [AS NAME]")
    alias = parts[2] if len(parts) == 3 else ""
    if alias and not re.match(_STAGE_NAME, alias.lower()):
        raise words.error(
            f"has an invalid stage name: {alias!r}",
            "a stage's name begins with a letter and has only letters, digits, - _ and .",
        )
    if alias.lower() in _RESERVED:
        raise words.error(f"cannot name a stage {alias!r}: the name is reserved")
    return From(*_base(words), image=parts[0], alias=alias, platform=flags.get("platform", [""])[0])


def _arg(words: Words) -> Arg:
    pairs: list[tuple[str, str | None]] = []
    for word in quoted_words(words.rest, words.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise words.error("names can not be blank", "ARG NAME or ARG NAME=value")
        pairs.append((name, value if equals else None))
    return Arg(*_base(words), pairs=tuple(pairs))


def _env(words: Words) -> Env:
    pairs, legacy = words.pairs()
    return Env(*_base(words), pairs=pairs, legacy=legacy)


def _label(words: Words) -> Label:
    pairs, legacy = words.pairs()
    return Label(*_base(words), pairs=pairs, legacy=legacy)


def _places(words: Words) -> tuple[tuple[str, ...], str]:
    items = words.list_or_json()
    if len(items) < 2:
        raise words.error(
            f"requires at least two arguments, but {len(items)} was provided",
            f"{words.keyword} SOURCE... DESTINATION",
        )
    heredocs = {heredoc.name for heredoc in words.line.heredocs}
    if (mark := heredoc_of(items[-1])) is not None and mark.name in heredocs:
        raise words.error("cannot have a heredoc as its destination")
    sources = tuple(
        item for item in items[:-1] if (mark := heredoc_of(item)) is None or mark.name not in heredocs
    )
    return sources, items[-1]


def _first(flags: dict[str, list[str]], name: str) -> str:
    return flags.get(name, [""])[0]


def _copy(words: Words) -> Copy:
    flags = words.flags(
        chown="text", chmod="text", link="switch", exclude="list", parents="switch", **{"from": "text"}
    )
    sources, destination = _places(words)
    if "$" in _first(flags, "from"):
        raise words.error(
            "does not expand variables in --from",
            "name a stage with FROM and a global ARG, and copy from that stage",
        )
    return Copy(
        *_base(words),
        sources=sources,
        destination=destination,
        heredocs=words.line.heredocs,
        from_=_first(flags, "from"),
        chown=_first(flags, "chown"),
        chmod=_first(flags, "chmod"),
        link=_first(flags, "link") == "true",
        exclude=tuple(flags.get("exclude", ())),
        parents=_first(flags, "parents") == "true",
    )


def _add(words: Words) -> Add:
    flags = words.flags(
        chown="text",
        chmod="text",
        link="switch",
        exclude="list",
        checksum="text",
        keep_git_dir="switch",
        unpack="switch",
    )
    sources, destination = _places(words)
    return Add(
        *_base(words),
        sources=sources,
        destination=destination,
        heredocs=words.line.heredocs,
        chown=_first(flags, "chown"),
        chmod=_first(flags, "chmod"),
        link=_first(flags, "link") == "true",
        exclude=tuple(flags.get("exclude", ())),
        checksum=_first(flags, "checksum"),
        keep_git_dir=_first(flags, "keep-git-dir") == "true",
        unpack={"true": True, "false": False}.get(_first(flags, "unpack")),
    )


def _command(words: Words) -> Command:
    found = words.json()
    return Command((words.rest,), True) if found is None else Command(tuple(found), False)


def _run(words: Words) -> Run:
    flags = words.flags(mount="list", network="text", security="text")
    network = _first(flags, "network")
    if network not in ("", "default", "none", "host"):
        raise words.error(f"has an unknown --network value: {network!r}", "default, none or host")
    security = _first(flags, "security")
    if security == "insecure":
        raise words.error(
            "--security=insecure is not allowed", "steps always run with the default restrictions"
        )
    if security not in ("", "sandbox"):
        raise words.error(f"has an unknown --security value: {security!r}", "sandbox")
    if not words.rest:
        raise words.error("requires at least one argument", _USAGE["RUN"])
    return Run(
        *_base(words),
        command=_command(words),
        heredocs=words.line.heredocs,
        mounts=tuple(flags.get("mount", ())),
        network=network,
        security=security,
    )


def _cmd(words: Words) -> Cmd:
    words.flags()
    return Cmd(*_base(words), command=_command(words) if words.rest else Command((), False))


def _entrypoint(words: Words) -> Entrypoint:
    words.flags()
    return Entrypoint(*_base(words), command=_command(words) if words.rest else Command((), False))


def _expose(words: Words) -> Expose:
    words.flags()
    return Expose(*_base(words), ports=tuple(words.plain()))


def _user(words: Words) -> User:
    words.flags()
    return User(*_base(words), user=words.text())


def _workdir(words: Words) -> Workdir:
    words.flags()
    return Workdir(*_base(words), path=words.text())


def _volume(words: Words) -> Volume:
    words.flags()
    paths = tuple(words.list_or_json())
    if not paths or not all(path.strip() for path in paths):
        raise words.error("specified can not be an empty string")
    return Volume(*_base(words), paths=paths)


def _stop_signal(words: Words) -> StopSignal:
    words.flags()
    return StopSignal(*_base(words), signal=words.text())


def _health_check(words: Words) -> HealthCheckInstruction:
    flags = words.flags(
        interval="text", timeout="text", start_period="text", start_interval="text", retries="text"
    )
    kind, _, rest = words.rest.partition(" ")
    if kind.upper() == "NONE":
        if rest.strip() or flags:
            raise words.error("NONE takes no arguments")
        return HealthCheckInstruction(*_base(words), command=None)
    if kind.upper() != "CMD":
        raise words.error(
            f"has an unknown type {kind!r}", "HEALTHCHECK [OPTIONS] CMD COMMAND, or HEALTHCHECK NONE"
        )
    words.rest = rest.strip()
    if not words.rest:
        raise words.error("misses the command after CMD")

    def duration(name: str) -> int:
        text = _first(flags, name)
        try:
            value = parse_duration(text) if text else 0
        except ValueError as error:
            raise words.error(f"--{name}: {error}", "durations look like 30s, 500ms or 1m30s") from None
        if 0 < value < 1_000_000 or value < 0:
            raise words.error(f"--{name} cannot be less than 1ms")
        return value

    retries = _first(flags, "retries") or "0"
    if not retries.isdigit():
        raise words.error(f"--retries must be a number of at least 1, not {retries!r}")
    return HealthCheckInstruction(
        *_base(words),
        command=_command(words),
        interval=duration("interval"),
        timeout=duration("timeout"),
        start_period=duration("start-period"),
        start_interval=duration("start-interval"),
        retries=int(retries),
    )


def _shell(words: Words) -> Shell:
    words.flags()
    argv = words.json()
    if not argv:
        raise words.error("requires the arguments to be in JSON form", 'SHELL ["/bin/bash", "-c"]')
    return Shell(*_base(words), argv=tuple(argv))


def _on_build(words: Words) -> OnBuild:
    words.flags()
    trigger = words.text()
    keyword = trigger.split(None, 1)[0].upper()
    if keyword == "ONBUILD":
        raise words.error("cannot be chained: ONBUILD ONBUILD isn't allowed")
    if keyword in ("FROM", "MAINTAINER"):
        raise words.error(f"isn't allowed with {keyword} as its trigger")
    inner = LogicalLine(words.line.first, words.line.last, trigger, words.line.heredocs)
    parse_line(words.source, inner, words.escape)
    for heredoc in words.line.heredocs:
        trigger += f"\n{heredoc.content}{heredoc.name}"
    return OnBuild(*_base(words), trigger=trigger)


def _maintainer(words: Words) -> Maintainer:
    words.flags()
    return Maintainer(*_base(words), name=words.text())


_PARSERS: dict[str, Callable[[Words], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
KEYWORDS = tuple(_PARSERS)

_USAGE = {
    "ADD": "ADD SOURCE... DESTINATION",
    "ARG": "ARG NAME[=DEFAULT]",
    "COPY": "COPY SOURCE... DESTINATION",
    "ENV": "ENV NAME=value",
    "FROM": "FROM IMAGE [AS NAME]",
    "LABEL": "LABEL name=value",
    "RUN": "RUN COMMAND",
}
