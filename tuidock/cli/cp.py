"""tuidock cp: files between a container and the host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "split_argument"]


def split_argument(text: str) -> tuple[str, str]:
    """(container or "", path): docker's rule. ``/x:y`` and ``./x:y`` are paths of the host."""
    container, colon, path = text.partition(":")
    if text.startswith("/") or not colon or container.startswith("."):
        return "", text
    return container, path


@declare(
    "cp",
    usage=(
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n"
        "        tuidock cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH\n\n"
        "'-' is a tar archive on standard input or output."
    ),
    examples=[
        "tuidock cp web:/etc/nginx/nginx.conf .",
        "tuidock cp site/. web:/srv/www",
        "tuidock cp web:/var/log - | tar -t",
        "tar -c assets | tuidock cp - web:/srv/www",
    ],
)
@click.option(
    "-a", "--archive", is_flag=True, help="Archive mode: keep owners, set-id bits and capabilities of files"
)
@click.option("-L", "--follow-link", is_flag=True, help="Always follow symbol link in SRC_PATH")
@click.option(
    "-q", "--quiet", is_flag=True, help="Suppress progress output during copy, the default without a terminal"
)
@click.argument("source")
@click.argument("destination")
@pass_invocation
def command(
    invocation: Invocation, archive: bool, follow_link: bool, quiet: bool, source: str, destination: str
) -> None:
    """Copy files/folders between a container and the local filesystem."""
    from runtime.errors import InvalidInput

    if not source:
        raise InvalidInput("source can not be empty")
    if not destination:
        raise InvalidInput("destination can not be empty")
    from_container, inside = split_argument(source)
    to_container, target = split_argument(destination)
    if from_container and to_container:
        raise InvalidInput(
            "copying between containers is not supported",
            hint=f"tuidock cp {source} - | tuidock cp - {destination}",
        )
    if not from_container and not to_container:
        raise InvalidInput(
            "must specify at least one container source", hint="name a container's path as CONTAINER:PATH"
        )
    copy = _Copy(invocation.engine, archive, follow_link, quiet)
    if from_container:
        copy.out(from_container, inside, destination)
    else:
        copy.into(source, to_container, target)


class _Copy:
    def __init__(self, engine: Engine, archive: bool, follow_link: bool, quiet: bool) -> None:
        self._engine = engine
        self._archive = archive
        self._follow_link = follow_link
        self._quiet = quiet

    def out(self, container: str, path: str, destination: str) -> None:
        from runtime.errors import InvalidInput
        from tuidock.cli.progress import progress

        if destination == "-" and sys.stdout.isatty():
            raise InvalidInput("refusing to write a tar archive to a terminal", hint="redirect it")
        to_stream = destination == "-"
        with progress("Copying", quiet=self._silent or to_stream) as (show, cancel):
            size = self._engine.containers.copy_from(
                container,
                path,
                sys.stdout.buffer if to_stream else destination,
                archive=self._archive,
                follow_link=self._follow_link,
                progress=show,
                cancel=cancel,
            )
        if not to_stream:
            self._told(size, destination)

    def into(self, source: str, container: str, path: str) -> None:
        from runtime.errors import InvalidInput
        from tuidock.cli.progress import progress

        if source == "-" and sys.stdin.isatty():
            raise InvalidInput("refusing to read a tar archive from a terminal", hint="pipe one in")
        with progress("Copying", quiet=self._silent) as (show, cancel):
            size = self._engine.containers.copy_to(
                container,
                sys.stdin.buffer if source == "-" else source,
                path,
                archive=self._archive,
                follow_link=self._follow_link,
                progress=show,
                cancel=cancel,
            )
        if source != "-":
            self._told(size, f"{container}:{path}")

    @property
    def _silent(self) -> bool:
        return self._quiet or not sys.stderr.isatty()

    def _told(self, size: int, where: str) -> None:
        """docker's line, which counts the tar's bytes too."""
        from tuidock.cli.output import decimal_size

        if not self._quiet:
            sys.stderr.write(f"Successfully copied {decimal_size(size)} to {where}\n")
