"""Which files make a project, and which variables they see.

Source: docker's documentation of ``docker compose``, "Environment variables" and "Project name";
compose-spec, 03-compose-file.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.compose import dotenv
from runtime.errors import InvalidInput, NotFound

__all__ = ["checked_name", "environment", "find", "name_of_directory", "shown"]

_STANDARD = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)


def find(
    files: Sequence[Path], variables: Mapping[str, str], here: Path, directory: Path | None = None
) -> list[Path]:
    """The given files (relative to ``here``), else ``COMPOSE_FILE``'s, else the standard of ``directory``,
    else of ``here`` or the nearest directory above; a standard one with its override. Raises NotFound."""
    given = [here / file for file in files]
    if not given and variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or ":"
        given = [here / file for file in variables["COMPOSE_FILE"].split(separator) if file]
    for file in given:
        if str(file) != str(here / "-") and not file.is_file():
            raise NotFound(f"compose file {shown(file)} does not exist", subject=str(file))
    if given:
        return given
    start = directory or here
    for place in (start, *(() if directory else start.parents)):
        for name in _STANDARD:
            if (place / name).is_file():
                overrides = [place / other for other in _OVERRIDES if (place / other).is_file()]
                return [place / name, *overrides[:1]]
    raise NotFound(
        f"no compose file found in {start}" + ("" if directory else " or above"),
        hint="make a compose.yaml, or name the file with -f",
        subject=str(start),
    )


def shown(path: Path) -> str:
    """The path as errors name it: relative when it is below the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):
        return str(path)


def environment(
    environ: Mapping[str, str], env_files: Sequence[Path], directory: Path, start: Path
) -> dict[str, str]:
    """The caller's variables over those of the environment files: the given ones, else
    ``COMPOSE_ENV_FILES``'s, else ``.env`` of ``directory``. Raises NotFound for a given one."""
    files = [start / file for file in env_files]
    if not files and environ.get("COMPOSE_ENV_FILES"):
        files = [start / file for file in environ["COMPOSE_ENV_FILES"].split(",") if file]
    if not files and (directory / ".env").is_file() and not _disabled(environ):
        files = [directory / ".env"]
    found: dict[str, str] = {}
    for file in files:
        found.update(dotenv.read(file, {**found, **environ}))
    return {**found, **environ}


def _disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "true")


def name_of_directory(directory: Path) -> str:
    """A project's name out of its directory's: lower case, without what names may not have."""
    return re.sub(r"[^a-z0-9_-]", "", directory.name.lower()).lstrip("_-")


def checked_name(name: str, source: str) -> str:
    """Raises InvalidInput for a name that a project cannot have; ``source`` says where it came from."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"invalid project name {name!r} ({source})",
            hint="lower-case letters, digits, '-' and '_', starting with a letter or a digit",
            subject=name,
        )
    return name
