"""The values of build's options that are lists of fields: secrets, agents, outputs, caches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.build.options import Output, Secret

__all__ = ["parse_build_args", "parse_output", "parse_outputs", "parse_secret", "parse_ssh"]


def parse_build_args(items: tuple[str, ...]) -> dict[str, str]:
    """ "NAME=VALUE", or "NAME" for the caller's value; a name that has none is left out, as docker does."""
    from runtime.model.parse import parse_env

    pairs = [item.partition("=") for item in parse_env(items)]
    return {name: value for name, equals, value in pairs if equals}


def _fields(text: str, known: Iterable[str], what: str, hint: str) -> dict[str, str]:
    from runtime.build.options import parse_fields

    return parse_fields(text, known, what, hint)


def parse_secret(text: str) -> Secret:
    """id=NAME with src=FILE or env=VARIABLE; NAME alone is the variable, or the file, of that name."""
    from runtime.build.options import Secret
    from runtime.errors import InvalidInput

    hint = "id=NAME,src=FILE or id=NAME,env=VARIABLE"
    fields = _fields(text, ("id", "src", "source", "env", "type"), "secret", hint)
    name, kind = fields.get("id", ""), fields.get("type", "")
    if not name or kind not in ("", "file", "env"):
        raise InvalidInput(f"invalid secret {text!r}", hint=hint, subject=text)
    file = fields.get("src") or fields.get("source")
    variable = fields.get("env")
    if kind == "env":
        variable, file = variable or file or name, None
    elif variable is None and file is None and kind != "file" and name in os.environ:
        variable = name
    if variable is not None and file is None:
        if variable not in os.environ:
            raise InvalidInput(
                f"secret {name}: the environment has no variable {variable}", hint=hint, subject=text
            )
        return Secret(name, variable=variable)
    path = Path(file or name)
    if not path.is_file():
        raise InvalidInput(f"secret {name}: there is no file {path}", hint=hint, subject=text)
    return Secret(name, file=path)


def parse_ssh(items: tuple[str, ...]) -> dict[str, tuple[Path, ...]]:
    """ "default", NAME=SOCKET or NAME=KEY[,KEY]: the agents of SSH_AUTH_SOCK, of a socket, and for keys."""
    found: dict[str, tuple[Path, ...]] = {}
    for text in items:
        name, _, given = text.partition("=")
        places = given or os.environ.get("SSH_AUTH_SOCK", "")
        found[name or "default"] = tuple(Path(place) for place in places.split(",") if place)
    return found


_OUTPUT_KEYS = ("type", "dest", "name", "push", "tar", "compression", "force-compression", "oci-mediatypes",
                "rewrite-timestamp", "unpack", "store", "dangling-name-prefix")  # fmt: skip


def parse_output(text: str) -> Output:
    """ "type=TYPE,dest=PATH"; a path alone is a directory, "-" a tar on standard output."""
    from runtime.build.options import Output
    from runtime.errors import InvalidInput

    if text == "-":
        return _to_stdout(Output("tar"))
    if "=" not in text:
        return Output("local", text)
    fields = _fields(text, _OUTPUT_KEYS, "output", "type=local,dest=DIR; see tuidock build --help")
    kind = fields.get("type", "")
    if not kind:
        raise InvalidInput("type is required for output", hint="type=local,dest=DIR", subject=text)
    if fields.get("compression", "uncompressed") not in ("uncompressed", "gzip") and kind in (
        "oci",
        "docker",
    ):
        raise InvalidInput(
            f"compression={fields['compression']} is not supported for an output of type {kind}",
            hint="layers that were built are written as they are",
            subject=text,
        )
    push = kind == "registry" or _is_true(fields.get("push", "false"))
    made = Output(
        "image" if kind == "registry" else kind,
        fields.get("dest", ""),
        names=tuple(name.strip() for name in fields.get("name", "").split(",") if name.strip()),
        push=push,
        as_directory="tar" in fields and not _is_true(fields["tar"]),
    )
    if kind in ("tar", "oci") and made.destination in ("", "-"):
        return _to_stdout(made)
    return _to_stdout(made) if made.destination == "-" else made


def parse_outputs(items: tuple[str, ...], *, push: bool) -> tuple[Output, ...]:
    """``--push`` is ``-o type=image,push=true``, unless an image is among the outputs already."""
    from dataclasses import replace

    from runtime.build.options import Output

    made = tuple(parse_output(item) for item in items)
    if not push:
        return made
    if any(item.type == "image" for item in made):
        return tuple(replace(item, push=True) if item.type == "image" else item for item in made)
    return (*made, Output("image", push=True))


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "")


def _to_stdout(output: Output) -> Output:
    from dataclasses import replace

    from runtime.errors import InvalidInput

    if sys.stdout.isatty():
        raise InvalidInput(
            "dest file is required for the output: refusing to write to a terminal",
            hint="-o type=tar,dest=FILE, or redirect the output",
        )
    return replace(output, destination="", stream=sys.stdout.buffer)
