"""The ``:`` line: a few words that do what no key does, and every action by its id."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput
from runtime.model.container import ContainerConfig, PortBinding

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["WORDS", "Ran", "run_container", "run_request", "split"]

WORDS = ("run", "pull", "scale", "theme", "filter", "prune", "quit", "help")
RUN_USAGE = "run [--name NAME] [-p HOST:CONTAINER] [-e NAME=VALUE] [-it] [--rm] IMAGE [COMMAND ...]"


@dataclass(frozen=True)
class Ran:
    """What ``run`` was asked for."""

    config: ContainerConfig
    name: str | None


def split(line: str) -> list[str]:
    """Words as a shell splits them. Raises InvalidInput for an open quote."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InvalidInput(f"cannot read {line!r}: {error}", hint="close the quotes") from error


def run_request(words: Sequence[str]) -> Ran:
    """The options of ``run`` that make sense here; everything else is for the command line.

    Raises InvalidInput for an unknown option or a missing image.
    """
    name: str | None = None
    ports: list[PortBinding] = []
    env: list[str] = []
    tty = remove = False
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if option in ("-d", "--detach"):
            continue
        if option in ("-i", "-t", "-it", "-ti"):
            tty = True
            continue
        if option == "--rm":
            remove = True
            continue
        if option not in ("--name", "-p", "--publish", "-e", "--env"):
            raise InvalidInput(f"run: unknown option {option}", hint=RUN_USAGE, subject=option)
        if not value:
            if not rest:
                raise InvalidInput(f"run: {option} needs a value", hint=RUN_USAGE, subject=option)
            value = rest.pop(0)
        if option == "--name":
            name = value
        elif option in ("-p", "--publish"):
            ports.append(_port(value))
        else:
            env.append(value)
    if not rest:
        raise InvalidInput("run: which image?", hint=RUN_USAGE)
    return Ran(
        ContainerConfig(
            image=rest[0],
            cmd=tuple(rest[1:]),
            env=tuple(env),
            ports=tuple(ports),
            tty=tty,
            open_stdin=tty,
            auto_remove=remove,
        ),
        name,
    )


def _port(value: str) -> PortBinding:
    """``[[IP:]HOST:]CONTAINER[/PROTOCOL]``."""
    body, _, protocol = value.partition("/")
    *before, container = body.split(":")
    host = before.pop() if before else ""
    address = ":".join(before)
    try:
        return PortBinding(
            container_port=int(container),
            host_port=int(host) if host else 0,
            host_ip=address or "0.0.0.0",
            protocol=protocol or "tcp",
        )
    except ValueError:
        raise InvalidInput(
            f"run: invalid port {value!r}", hint="for example -p 8080:80", subject=value
        ) from None


def run_container(engine: Engine, request: Ran) -> str:
    container = engine.containers.run(request.config, name=request.name)
    return f"started {container.name}"
