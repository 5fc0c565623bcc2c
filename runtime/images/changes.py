"""``--change`` of import and commit: Dockerfile instructions that change an image's config, one a string."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace

from runtime.errors import InvalidInput
from runtime.model.container import HealthCheck
from runtime.model.image import ImageConfig

__all__ = ["apply_changes"]

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")


def apply_changes(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The config with every change applied in order. Raises InvalidInput, naming the change."""
    for change in changes:
        name, _, rest = change.strip().partition(" ")
        apply = _INSTRUCTIONS.get(name.upper())
        if apply is None:
            raise InvalidInput(
                f"{name or change!r} is not a change that can be made",
                hint=f"known are {', '.join(sorted(_INSTRUCTIONS))}",
                subject=change,
            )
        if not rest.strip():
            raise InvalidInput(f"the change {name.upper()} needs a value", subject=change)
        try:
            config = apply(config, rest.strip())
        except ValueError as error:
            raise InvalidInput(f"cannot apply the change {change!r}: {error}", subject=change) from None
    return config


def _command(text: str) -> tuple[str, ...]:
    """The exec form when it is a JSON list of strings, else a shell's command line."""
    if text.startswith("["):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    return ("/bin/sh", "-c", text)


def _words(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        return _command(text)
    return tuple(shlex.split(text))


def _pairs(text: str) -> dict[str, str]:
    """KEY=VALUE words, or the old form KEY VALUE."""
    words = shlex.split(text)
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        return {key: value.strip()}
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


def _env(config: ImageConfig, text: str) -> ImageConfig:
    env = {item.partition("=")[0]: item for item in config.env}
    env.update({key: f"{key}={value}" for key, value in _pairs(text).items()})
    return replace(config, env=tuple(env.values()))


def _expose(config: ImageConfig, text: str) -> ImageConfig:
    ports = dict.fromkeys(config.exposed_ports)
    for word in text.split():
        match = _PORT.fullmatch(word.lower())
        if match is None:
            raise ValueError(f"{word!r} is not PORT[/PROTOCOL]")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= 65535:
            raise ValueError(f"{word!r} is out of range")
        ports.update({f"{port}/{match[3] or 'tcp'}": None for port in range(first, last + 1)})
    return replace(config, exposed_ports=tuple(ports))


def _health(config: ImageConfig, text: str) -> ImageConfig:
    if text.upper() == "NONE":
        return replace(config, healthcheck=HealthCheck(("NONE",)))
    keyword, _, command = text.partition(" ")
    if keyword.upper() != "CMD" or not command.strip():
        raise ValueError("expected NONE or CMD and a command")
    words = _command(command.strip())
    test = ("CMD-SHELL", words[2]) if words[:2] == ("/bin/sh", "-c") and len(words) == 3 else ("CMD", *words)
    return replace(config, healthcheck=HealthCheck(test))


def _workdir(config: ImageConfig, text: str) -> ImageConfig:
    path = text if text.startswith("/") else f"{config.working_dir or '/'}/{text}"
    return replace(
        config, working_dir="/" + "/".join(part for part in path.split("/") if part not in ("", "."))
    )


_INSTRUCTIONS: dict[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": lambda config, text: replace(config, cmd=_command(text)),
    "ENTRYPOINT": lambda config, text: replace(config, entrypoint=_command(text)),
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health,
    "LABEL": lambda config, text: replace(config, labels={**config.labels, **_pairs(text)}),
    "ONBUILD": lambda config, text: replace(config, on_build=(*config.on_build, text)),
    "SHELL": lambda config, text: replace(config, shell=_words(text)),
    "STOPSIGNAL": lambda config, text: replace(config, stop_signal=text),
    "USER": lambda config, text: replace(config, user=text),
    "VOLUME": lambda config, text: replace(
        config, volumes=tuple(dict.fromkeys((*config.volumes, *_words(text))))
    ),
    "WORKDIR": _workdir,
}
