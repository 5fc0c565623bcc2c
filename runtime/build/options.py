"""What a build is asked for and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["BuildOptions", "BuildResult", "Secret"]


@dataclass(frozen=True)
class Secret:
    """A secret for ``RUN --mount=type=secret,id=...``: the bytes of a file or of an environment variable."""

    id: str
    file: Path | None = None
    variable: str | None = None


@dataclass(frozen=True)
class BuildOptions:
    """``context`` is a directory. ``dockerfile`` is a path (relative to the working directory, as the command
    line gives it), None for ``Dockerfile`` in the context; ``dockerfile_text`` replaces the file, for
    standard input. ``context_archive`` is a tar stream (plain or compressed) that replaces the directory.

    ``network`` is "default", "none" or "host", for every RUN that does not choose itself.
    ``build_contexts`` maps names, usable in FROM and ``--from``, to directories or to ``docker-image://REF``.
    ``secret`` values never enter a cache key, the history or an image.
    """

    context: Path
    dockerfile: Path | None = None
    tags: tuple[str, ...] = ()
    build_args: dict[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    pull: bool = False
    network: str = "default"
    no_cache_filter: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ssh: dict[str, Path] = field(default_factory=dict)
    build_contexts: dict[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    platform: str = ""
    dockerfile_text: str | None = None
    context_archive: IO[bytes] | None = None


@dataclass(frozen=True)
class BuildResult:
    """``steps`` counts the steps that make files (FROM, RUN, COPY, ADD, WORKDIR), ``cached_steps`` those of
    them that were found in the cache. ``warnings`` are whole lines for the user."""

    image_id: str
    tags: tuple[str, ...]
    cached_steps: int
    steps: int
    warnings: tuple[str, ...] = ()
