"""tuidock run: create a container and start it, in the foreground or detached."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation
from tuidock.cli.container_options import container_options

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import ContainerConfig

__all__ = ["CidFile", "command", "configure"]


@declare(
    "run",
    usage="[OPTIONS] IMAGE [COMMAND] [ARG...]",
    examples=[
        "tuidock run --rm -it base sh",
        "tuidock run -d --name web -p 8080:80 hello",
        "tuidock run --rm --memory 64m --cpus 0.5 base python3 -c 'print(1)'",
    ],
    interspersed=False,
    help_short=False,
)
@click.option("-d", "--detach", is_flag=True, help="Run container in background and print container ID")
@click.option("--detach-keys", metavar="KEYS", help="Override the key sequence for detaching a container")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Proxy received signals to the process")
@container_options
@click.argument("image")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_invocation
def command(
    invocation: Invocation,
    /,
    image: str,
    argv: tuple[str, ...],
    detach: bool,
    detach_keys: str | None,
    sig_proxy: bool,
    name: str | None,
    cidfile: str | None,
    **options: object,
) -> None:
    """Create and run a new container from an image."""
    invocation.own_errors = 125
    engine = invocation.engine
    engine.containers.prepare()
    options["detach"] = detach
    config = configure(engine, image, argv, options)
    if detach:
        with CidFile(cidfile) as tell:
            container = engine.containers.run(config, name=name)
            tell(container.id)
        _warn(container.state.warnings)
        click.echo(container.id)
        return
    from tuidock.cli.terminal import check_terminal

    check_terminal(config.tty, config.open_stdin)
    fail(_foreground(engine, config, name, cidfile, detach_keys, sig_proxy, options))


def _foreground(
    engine: Engine,
    config: ContainerConfig,
    name: str | None,
    cidfile: str | None,
    detach_keys: str | None,
    sig_proxy: bool,
    options: dict[str, object],
) -> int:
    from runtime.model.container import Resources
    from tuidock.cli.detach_keys import DEFAULT, parse_detach_keys
    from tuidock.cli.output import binary_size
    from tuidock.cli.terminal import bridge

    keys = DEFAULT if detach_keys is None else parse_detach_keys(detach_keys)
    named = options.get("attach_streams")
    streams = {str(stream).lower() for stream in named} if isinstance(named, tuple) else set()
    stdin = config.open_stdin and (not streams or "stdin" in streams)
    with CidFile(cidfile) as tell:
        container = engine.containers.create(config, name=name)
        tell(container.id)
    try:
        session = engine.containers.start(container.id, attach=True, attach_stdin=stdin)
    except BaseException:
        if config.auto_remove:
            from runtime.errors import EngineError

            with suppress(EngineError):
                engine.containers.remove(container.id, force=True, volumes=True)
        raise
    assert session is not None
    if config.resources != Resources():
        from runtime.errors import NotFound

        with suppress(NotFound):  # it may have ended and removed itself already
            _warn(engine.containers.get(container.id).state.warnings)
    code = bridge(
        session,
        stdin=stdin,
        stdout=not streams or "stdout" in streams,
        stderr=not streams or "stderr" in streams,
        detach_keys=keys,
        proxy_signals=sig_proxy,
    )
    if session.oom_killed:
        limit = config.resources.memory
        click.echo(
            f"tuidock: {container.name} ran out of memory and was killed"
            + (f" (limit {binary_size(limit)})" if limit else ""),
            err=True,
        )
    return code


def _warn(warnings: Iterable[str]) -> None:
    """Limits that this machine cannot hold: the container runs without them."""
    for text in warnings:
        click.echo(f"WARNING: {text}", err=True)


def configure(
    engine: Engine, image: str, argv: tuple[str, ...], options: dict[str, object]
) -> ContainerConfig:
    """What the options say, and the image brought; ``-P`` looks up what that exposes. Raises InvalidInput,
    NotFound, and what a pull raises."""
    from tuidock.cli.container_config import build

    _bring(engine, image, options)
    if options.get("publish_all"):
        exposed = options.get("expose")
        options["expose"] = (*(exposed if isinstance(exposed, tuple) else ()), *_exposed_by(engine, image))
    return build(image, argv, options)


def _bring(engine: Engine, image: str, options: dict[str, object]) -> None:
    """The image is here, for the platform asked for, or is pulled, as ``--pull`` says. Raises NotFound,
    InvalidInput, and what a pull raises."""
    policy = options.get("pull") or "missing"
    if policy not in ("always", "missing", "never"):
        return  # refused with the other options
    platform = str(options.get("platform") or "")
    if policy != "always":
        from runtime.errors import InvalidInput, NotFound

        try:
            engine.images.ensure(image, platform=platform, policy="never")
            return
        except NotFound:
            if policy == "never" or image.startswith("sha256:"):
                raise
            from tuidock.cli.pull import has_no_tag

            shown = f"{image}:latest" if has_no_tag(image) else image
            click.echo(f"Unable to find image '{shown}' locally", err=True)
        except InvalidInput:
            if policy == "never" or not platform:
                raise
    from tuidock.cli.transfer import transfer

    with transfer(quiet=bool(options.get("quiet")), errors=True) as (show, cancel):
        engine.images.ensure(image, platform=platform, policy=str(policy), progress=show, cancel=cancel)


def _exposed_by(engine: Engine, image: str) -> tuple[str, ...]:
    return engine.images.get(image).config.exposed_ports


class CidFile:
    """``--cidfile``: refused when the file exists, removed again when no container was made."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> CidFile:
        if self._path is not None:
            try:
                self._descriptor = os.open(
                    self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
                )
            except FileExistsError:
                from runtime.errors import Conflict

                raise Conflict(
                    f"container ID file {self._path} exists",
                    hint="make sure the other container isn't running, or delete the file",
                    subject=self._path,
                ) from None
        return self

    def __call__(self, container_id: str) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, container_id.encode())
            os.close(self._descriptor)
            self._descriptor = -1

    def __exit__(self, *exception: object) -> None:
        if self._descriptor >= 0 and self._path is not None:
            os.close(self._descriptor)
            with suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - no need for pathlib on the way of every run
