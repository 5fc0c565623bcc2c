"""tuidock inspect: the whole document of containers, images, networks and volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation, report

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "container_command", "image_command", "network_command", "volume_command"]

Document = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., object])
_KINDS = ("container", "image", "network", "volume")


def _volume(engine: Engine, name: str) -> Document:
    from tuidock.cli.output import timestamp_rfc3339

    volume = engine.volumes.get(name)
    return {
        "CreatedAt": timestamp_rfc3339(volume.created_at),
        "Driver": volume.driver,
        "Labels": dict(volume.labels),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": dict(volume.options) or None,
        "Scope": "local",
    }


def _sized(engine: Engine, name: str) -> Document:
    """With what the container has written, and that together with its image."""
    from tuidock.cli.disk_usage import disk_usage

    document = dict(engine.containers.inspect(name))
    written = disk_usage(str(engine.context.paths.containers / document["Id"] / "upper"))
    images = {image.id: image.size for image in engine.images.list(all=True)}
    return {**document, "SizeRw": written, "SizeRootFs": written + images.get(document["Image"], 0)}


def _reader(engine: Engine, kind: str, size: bool) -> Callable[[str], Document]:
    if kind == "container":
        return (lambda name: _sized(engine, name)) if size else engine.containers.inspect
    if kind == "image":
        return engine.images.inspect
    if kind == "network":
        return engine.networks.inspect
    return lambda name: _volume(engine, name)


def _find(engine: Engine, name: str, kinds: tuple[str, ...], size: bool) -> Document:
    from runtime.errors import NotFound

    for kind in kinds:
        try:
            return _reader(engine, kind, size)(name)
        except NotFound:
            if len(kinds) == 1:
                raise
    raise NotFound(
        f"no such object: {name}", hint="tuidock ps -a and tuidock images list what there is", subject=name
    )


def _inspect(
    engine: Engine, names: tuple[str, ...], kinds: tuple[str, ...], format: str | None, size: bool = False
) -> None:
    from runtime.errors import EngineError, InvalidInput
    from tuidock.cli.inspect_fields import with_empty_fields
    from tuidock.cli.listing import print_document
    from tuidock.cli.template import Template

    template: Template | str = format or ""
    if template not in ("", "json"):
        try:
            template = Template(str(format))
        except InvalidInput as error:
            report(error)
            fail(64)
    found: list[Document] = []
    errors: list[EngineError] = []
    for name in names:
        try:
            found.append(_find(engine, name, kinds, size))
        except EngineError as error:
            errors.append(error)
    if isinstance(template, Template):
        print_document([with_empty_fields(document) for document in found], template)
    else:
        print_document(found, template)
    for problem in errors:
        report(problem)
    if errors:
        fail(1)


_size = click.option("-s", "--size", is_flag=True, help="Display total file sizes if the type is container")
_format = click.option("-f", "--format", metavar="TEMPLATE", help="Format output: json or a Go template")


@declare(
    "inspect",
    usage="[OPTIONS] NAME|ID [NAME|ID...]",
    examples=[
        "tuidock inspect web",
        "tuidock inspect -f '{{.State.Status}}' web",
        "tuidock inspect --type image hello",
    ],
)
@_format
@_size
@click.option("--type", "kind", metavar="KIND", help="Look for this type of object only")
@click.argument("names", nargs=-1, required=True)
@pass_invocation
def command(
    invocation: Invocation, format: str | None, size: bool, kind: str | None, names: tuple[str, ...]
) -> None:
    """Return low-level information on containers, images, networks and volumes."""
    if kind and kind not in _KINDS:
        from runtime.errors import InvalidInput

        known = ", ".join(f'"{name}"' for name in _KINDS)
        raise InvalidInput(f'unknown type: "{kind}": must be one of {known}', subject=kind)
    _inspect(invocation.engine, names, (kind,) if kind else _KINDS, format, size)


def _no_option(function: F) -> F:
    return function


def _of_kind(kind: str, what: str, example: str) -> click.Command:
    @declare("inspect", usage=f"[OPTIONS] {kind.upper()} [{kind.upper()}...]", examples=[example])
    @_format
    @(_size if kind == "container" else _no_option)
    @click.argument("names", nargs=-1, required=True)
    @pass_invocation
    def of_kind(
        invocation: Invocation, format: str | None, names: tuple[str, ...], size: bool = False
    ) -> None:
        _inspect(invocation.engine, names, (kind,), format, size)

    of_kind.help = f"Display detailed information on one or more {what}."
    return of_kind


container_command = _of_kind("container", "containers", "tuidock container inspect web")
image_command = _of_kind("image", "images", "tuidock image inspect -f '{{json .Config}}' base")
network_command = _of_kind("network", "networks", "tuidock network inspect bridge")
volume_command = _of_kind("volume", "volumes", "tuidock volume inspect data")
