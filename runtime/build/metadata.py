"""The instructions that change only the configuration: no files, no cache, a history row each."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping

from runtime.build.instructions import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    HealthCheckInstruction,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
)
from runtime.build.state import StageState
from runtime.model.container import HealthCheck

__all__ = ["MetadataError", "apply_metadata", "declare_argument", "is_metadata"]

Expand = Callable[[str], str]

_PORT = r"(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?"


class MetadataError(ValueError):
    """A value is wrong; the message says which."""


def is_metadata(instruction: Instruction) -> bool:
    return type(instruction) in _APPLIERS


def apply_metadata(state: StageState, instruction: Instruction, expand: Expand) -> None:
    """``expand`` fills in the variables as they were before this instruction. Raises MetadataError and what
    ``expand`` raises."""
    _APPLIERS[type(instruction)](state, instruction, expand)


def declare_argument(
    state: StageState,
    instruction: Arg,
    expand: Callable[[str, Mapping[str, str]], str],
    build_args: Mapping[str, str],
    global_args: Mapping[str, str],
) -> None:
    """ARG in a stage: ``--build-arg``, else the default, else the global argument's value."""
    shown: list[str] = []
    for name, default in instruction.pairs:
        key = expand(name, state.variables())
        value: str | None
        if key in build_args:
            value = build_args[key]
        elif default is not None:
            value = expand(default, state.variables())
        else:
            value = global_args.get(key, state.args.get(key))
        state.args[key] = value
        shown.append(key if value is None else f"{key}={value}")
    state.record(f"ARG {' '.join(shown)}")


def _env(state: StageState, instruction: Env, expand: Expand) -> None:
    pairs = [(expand(name), expand(value)) for name, value in instruction.pairs]
    if any(not name for name, _ in pairs):
        raise MetadataError("names can not be blank")
    state.env.update(pairs)
    state.record("ENV " + " ".join(f"{name}={value}" for name, value in pairs))


def _label(state: StageState, instruction: Label, expand: Expand) -> None:
    pairs = [(expand(name), expand(value)) for name, value in instruction.pairs]
    if any(not name for name, _ in pairs):
        raise MetadataError("names can not be blank")
    state.set(labels={**state.config.labels, **dict(pairs)})
    state.record("LABEL " + " ".join(f"{name}={value}" for name, value in pairs))


def _argv(state: StageState, command: Command) -> tuple[str, ...]:
    return (*state.shell, *command.argv) if command.shell_form else command.argv


def _shown(argv: tuple[str, ...]) -> str:
    """As Go prints a slice of quoted strings."""
    import json

    return "[" + " ".join(json.dumps(item, ensure_ascii=False) for item in argv) + "]"


def _cmd(state: StageState, instruction: Cmd, expand: Expand) -> None:
    del expand
    argv = _argv(state, instruction.command)
    state.set(cmd=argv or None)
    state.cmd_is_own = True
    state.record(f"CMD {_shown(argv)}")


def _entrypoint(state: StageState, instruction: Entrypoint, expand: Expand) -> None:
    del expand
    argv = _argv(state, instruction.command)
    state.set(entrypoint=argv or None)
    if not state.cmd_is_own:
        state.set(cmd=None)
    state.record(f"ENTRYPOINT {_shown(argv)}")


def _expose(state: StageState, instruction: Expose, expand: Expand) -> None:
    ports: list[str] = []
    for text in instruction.ports:
        for word in expand(text).split():
            ports += _ports(word)
    state.set(exposed_ports=tuple(dict.fromkeys((*state.config.exposed_ports, *ports))))
    state.record(f"EXPOSE [{' '.join(ports)}]")


def _ports(text: str) -> list[str]:
    """``80``, ``80/udp``, ``8000-8010/tcp``; a host part, which says nothing here, is dropped."""
    match = re.fullmatch(_PORT, text.rpartition(":")[2])
    if match is None:
        raise MetadataError(f"invalid containerPort: {text}")
    first = int(match.group(1))
    last = int(match.group(2) or first)
    protocol = (match.group(3) or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise MetadataError(f"invalid protocol: {protocol}")
    if not 0 < first <= last <= 65535:
        raise MetadataError(f"invalid containerPort: {text}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _user(state: StageState, instruction: User, expand: Expand) -> None:
    user = expand(instruction.user)
    state.set(user=user)
    state.record(f"USER {user}")


def _volume(state: StageState, instruction: Volume, expand: Expand) -> None:
    paths = [expand(path) for path in instruction.paths]
    if any(not path for path in paths):
        raise MetadataError("specified can not be an empty string")
    state.set(volumes=tuple(dict.fromkeys((*state.config.volumes, *paths))))
    state.record(f"VOLUME [{' '.join(paths)}]")


def _stop_signal(state: StageState, instruction: StopSignal, expand: Expand) -> None:
    name = expand(instruction.signal)
    known = {item.name for item in signal.Signals}
    bare = name.upper().removeprefix("SIG")
    realtime = re.fullmatch(r"RTM(IN|AX)([+-]\d+)?", bare)
    if not (name.isdigit() and 0 < int(name) <= 64) and f"SIG{bare}" not in known and not realtime:
        raise MetadataError(f"invalid signal: {name}")
    state.set(stop_signal=name)
    state.record(f"STOPSIGNAL {name}")


def _health_check(state: StageState, instruction: HealthCheckInstruction, expand: Expand) -> None:
    del expand
    if instruction.command is None:
        state.set(healthcheck=HealthCheck(("NONE",)))
        state.record("HEALTHCHECK NONE")
        return
    command = instruction.command
    kind = "CMD-SHELL" if command.shell_form else "CMD"
    defaults = HealthCheck(())
    state.set(
        healthcheck=HealthCheck(
            test=(kind, *command.argv),
            interval=instruction.interval or defaults.interval,
            timeout=instruction.timeout or defaults.timeout,
            start_period=instruction.start_period or defaults.start_period,
            start_interval=instruction.start_interval or defaults.start_interval,
            retries=instruction.retries or defaults.retries,
        )
    )
    state.record(" ".join(instruction.text.split()))


def _shell(state: StageState, instruction: Shell, expand: Expand) -> None:
    del expand
    state.set(shell=instruction.argv)
    state.record(f"SHELL [{' '.join(instruction.argv)}]")


def _on_build(state: StageState, instruction: OnBuild, expand: Expand) -> None:
    del expand
    state.set(on_build=(*state.config.on_build, instruction.trigger))
    state.record(f"ONBUILD {instruction.trigger}")


def _maintainer(state: StageState, instruction: Maintainer, expand: Expand) -> None:
    del expand
    state.author = instruction.name
    state.record(f"MAINTAINER {instruction.name}")


_APPLIERS: dict[type[Instruction], Callable[..., None]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    HealthCheckInstruction: _health_check,
    Label: _label,
    Maintainer: _maintainer,
    OnBuild: _on_build,
    Shell: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
}
