"""Which project a compose command is about: out of files, or by name and the containers' labels alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import threading

    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.event import Progress
    from runtime.services.project import Project
    from tuidock.cli.command import Invocation

__all__ = ["NUMBER", "PROJECT", "SERVICE", "Target", "pass_target", "service_of"]

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"


def service_of(container: Container) -> str:
    return container.config.labels.get(SERVICE, "")


class Target:
    """The group's options. ``project`` reads the files; ``name`` does so only when nothing else names it."""

    def __init__(
        self,
        invocation: Invocation,
        *,
        files: Sequence[str] = (),
        project_name: str | None = None,
        project_directory: str | None = None,
        env_files: Sequence[str] = (),
        profiles: Sequence[str] = (),
        style: str = "auto",
    ) -> None:
        self.invocation = invocation
        self.files = files
        self.project_name = project_name
        self.project_directory = project_directory
        self.env_files = env_files
        self.profiles = profiles
        self.style = style

    @property
    def engine(self) -> Engine:
        return self.invocation.engine

    @cached_property
    def project(self) -> Project:
        """Raises NotFound without a compose file, InvalidInput with file and line."""
        return self.engine.services.load(
            [Path(file) for file in self.files],
            project_name=self.project_name,
            project_directory=Path(self.project_directory) if self.project_directory is not None else None,
            env_files=[Path(file) for file in self.env_files],
            profiles=self.profiles,
            on_warning=_warn,
        )

    @cached_property
    def has_files(self) -> bool:
        """Whether there is a compose file; a wrong one raises."""
        from runtime.errors import NotFound

        if self.files:
            return True
        try:
            found = self.project
        except NotFound:
            return False
        return self.project_name is None or found.name == self.project_name

    @cached_property
    def name(self) -> str:
        """The project's name. Raises what :attr:`project` raises."""
        named = self.project_name or (None if self.files else os.environ.get("COMPOSE_PROJECT_NAME"))
        return named or self.project.name

    def containers(self, services: Sequence[str] = ()) -> list[Container]:
        """Running or not, by service and number. Raises NotFound for a service that has none and that no
        compose file knows."""
        found = self.engine.services.project_containers(self.name, services)
        missing = set(services) - {service_of(item) for item in found}
        for service in services:
            if service in missing and not self._knows(service):
                from runtime.errors import NotFound

                raise NotFound(
                    f"no such service: {service}",
                    hint=f"tuidock compose -p {self.name} ps -a lists the containers",
                    subject=service,
                )
        return found

    def _knows(self, service: str) -> bool:
        from runtime.errors import EngineError

        try:
            return service in self.project.services
        except EngineError:
            return False

    def one(self, service: str, index: int | None) -> Container:
        """A running container of ``service``: the one numbered ``index``, else the first. Raises NotFound."""
        from runtime.errors import NotFound

        running = [item for item in self.containers([service]) if item.state.status.alive]
        for item in running:
            if index is None or item.config.labels.get(NUMBER) == str(index):
                return item
        which = f'service "{service}"' if index is None else f'service "{service}", index {index},'
        raise NotFound(f"{which} is not running", hint=f"tuidock compose up -d {service}", subject=service)

    def progress(
        self, title: str, *, quiet: bool = False, interruptible: bool = False
    ) -> AbstractContextManager[tuple[Callable[[Progress], None], threading.Event]]:
        from tuidock.cli.progress import progress

        return progress(title, style=self.style, quiet=quiet, interruptible=interruptible)


def _warn(text: str) -> None:
    sys.stderr.write(f"WARN: {text}\n")


pass_target = click.make_pass_decorator(Target)
