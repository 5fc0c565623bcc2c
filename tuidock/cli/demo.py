"""tuidock demo: from nothing to a load-balanced application, with one command."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.services.project import Project

__all__ = ["command"]

PROJECT = "demo"
BASE = "base:latest"
_PORT = 4000
_PATIENCE = 20.0
"""Seconds for the replicas to answer."""


@declare(
    "demo",
    usage="[OPTIONS]",
    examples=["tuidock demo", "tuidock demo --no-tui --port 8080", "tuidock demo --down"],
)
@click.option("--down", is_flag=True, help="Remove all that the demo made")
@click.option("--no-tui", is_flag=True, help="Print what runs where instead of opening the interface")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=_PORT,
    metavar="PORT",
    help=f"Publish the application on this port (default {_PORT})",
)
@pass_invocation
def command(invocation: Invocation, down: bool, no_tui: bool, port: int) -> None:
    """Build, run and show a small load-balanced application."""
    engine = invocation.engine
    if down:
        _down(engine)
        return
    _up(engine, port)
    replicas = engine.services.project_containers(PROJECT)
    _await_answers(replicas)
    terminal = sys.stdout.isatty() and sys.stdin.isatty()
    if terminal and not no_tui and invocation.interface is not None:
        code = invocation.interface(invocation.root, PROJECT)
        if any(item.state.status.alive for item in engine.services.project_containers(PROJECT)):
            click.echo(f"The demo still runs; {_program(invocation)} demo --down removes it.")
        fail(code)
    _explain(invocation, replicas, port)


def example_directory() -> Path:
    """``examples/hello``: in a checkout the package holds a link to it, in a wheel the files themselves.
    Raises NotFound."""
    import tuidock

    directory = Path(tuidock.__file__).parent / "examples" / "hello"
    if not (directory / "compose.yaml").is_file():
        from runtime.errors import NotFound

        raise NotFound(f"the example is not installed at {directory}", hint="install tuidock again")
    return directory.resolve()


def _up(engine: Engine, port: int) -> None:
    from runtime.errors import Conflict, NotFound
    from runtime.model.service import UpOptions
    from tuidock.cli.progress import progress

    try:
        engine.images.get(BASE)
    except NotFound:
        with progress("Bootstrapping the base image") as (show, cancel):
            image_id = engine.images.bootstrap(BASE, progress=show, cancel=cancel)
        _marker(engine).write_text(image_id, encoding="ascii")
    directory = example_directory()
    project = engine.services.load(
        [directory / "compose.yaml"], project_name=PROJECT, project_directory=directory, env_files=()
    )
    options = UpOptions(detach=True, build=True, remove_orphans=True)
    try:
        with progress("Running the demo") as (show, cancel):
            engine.services.up(_published_on(project, port), options, progress=show, cancel=cancel)
    except Conflict as error:
        if str(port) in error.message:
            hint = f"choose another one: tuidock demo --port {port + 1}"
            raise Conflict(error.message, hint=hint, subject=error.subject) from error
        raise


def _published_on(project: Project, port: int) -> Project:
    """The project with its one port published on ``port``."""
    if port == _PORT:
        return project
    web = project.services["web"]
    ports = tuple(replace(binding, host_port=port) for binding in web.config.ports)
    web = replace(web, config=replace(web.config, ports=ports))
    return replace(project, services={**project.services, "web": web})


def _await_answers(replicas: Sequence[Container]) -> None:
    """Each replica is asked at its own address, so that the balancing is left as it was. Raises Failed."""
    from runtime.errors import Failed

    deadline = time.monotonic() + _PATIENCE
    for replica in replicas:
        for endpoint in replica.endpoints[:1]:
            while not _listens(endpoint.ipv4_address):
                if time.monotonic() > deadline:
                    raise Failed(
                        f"{replica.name} does not answer",
                        hint=f"tuidock logs {replica.name}",
                        subject=replica.name,
                    )
                time.sleep(0.02)


def _listens(address: str) -> bool:
    try:
        with socket.create_connection((address, 80), timeout=1):
            return True
    except OSError:
        return False


def _explain(invocation: Invocation, replicas: Sequence[Container], port: int) -> None:
    from tuidock.cli.compose.ps import project_listing
    from tuidock.cli.output import emit

    running = [item for item in replicas if item.state.status.alive]
    project_listing().print(running)
    tuidock = _program(invocation)
    lines = [
        (f"curl http://127.0.0.1:{port}/", "each request is answered by the next replica"),
        (f"{tuidock} compose -p {PROJECT} ps", "the replicas"),
        (f"{tuidock} compose -p {PROJECT} logs -f", "what they write"),
        (f"{tuidock} compose -p {PROJECT} scale web=5", "more of them"),
        (tuidock, "opens the interface"),
        (f"{tuidock} demo --down", "removes all of it"),
    ]
    width = max(len(line) for line, _ in lines)
    emit(f"\n{len(running)} replicas of the service web answer at http://127.0.0.1:{port}/\n")
    for line, meaning in lines:
        emit(f"  {line:<{width}}   # {meaning}")


def _program(invocation: Invocation) -> str:
    """How this program is called again from here."""
    import shlex

    called = sys.argv[0]
    if called.endswith("__main__.py"):
        name = f"{shlex.quote(sys.executable)} -m tuidock"
    else:
        found = shutil.which("tuidock")
        on_path = found is not None and Path(found).resolve() == Path(called).resolve()
        name = "tuidock" if on_path else shlex.quote(called)
    return f"{name} --root {shlex.quote(invocation.root)}" if invocation.root else name


def _down(engine: Engine) -> None:
    """The project with its image, the base image when the demo made it and nothing else is built on it; and
    what is held of the kernel, when no other container runs."""
    from tuidock.cli.progress import progress

    with progress("Removing the demo") as (show, cancel):
        engine.services.down(
            PROJECT, volumes=True, remove_images="local", remove_orphans=True, progress=show, cancel=cancel
        )
    _remove_base(engine)
    engine.system.release()


def _marker(engine: Engine) -> Path:
    """Holds the id of the base image that the demo made."""
    return engine.context.paths.state / "demo-base"


def _remove_base(engine: Engine) -> None:
    from runtime.errors import EngineError

    marker = _marker(engine)
    if not marker.is_file():
        return
    made = marker.read_text(encoding="ascii").strip()
    try:
        base = engine.images.get(BASE)
    except EngineError:
        marker.unlink()
        return
    others = {image.id for image in engine.images.list(all=True)} - {base.id}
    built_on = any(engine.images.get(other).layers[: len(base.layers)] == base.layers for other in others)
    used = any(item.image_id == base.id for item in engine.containers.list(all=True))
    if base.id != made or built_on or used:
        return
    engine.images.remove(BASE)
    marker.unlink()
    click.echo(f" Image {BASE}  Removed", err=True)
