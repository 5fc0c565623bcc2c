"""The project that the verbs take, and how it is loaded from compose files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.compose.load import load_project
from runtime.compose.project import Project, ServiceSpec
from runtime.model.service import ServiceStatus, UpOptions

__all__ = ["Project", "ServiceSpec", "ServiceStatus", "UpOptions", "load"]


def load(
    files: Sequence[Path] = (),
    *,
    project_name: str | None = None,
    project_directory: Path | None = None,
    env_files: Sequence[Path] = (),
    profiles: Sequence[str] = (),
    on_warning: Callable[[str], None] | None = None,
) -> Project:
    """Find, interpolate, merge and check. Raises NotFound (no file), InvalidInput with file and line."""
    return load_project(
        files,
        project_name=project_name,
        project_directory=project_directory,
        env_files=env_files,
        profiles=profiles,
        on_warning=on_warning,
    )
