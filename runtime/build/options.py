"""What a build is asked for and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runtime.errors import InvalidInput
from runtime.model.container import Resources
from runtime.model.record import record

if TYPE_CHECKING:
    from runtime.build.failure import BuildFailed
    from runtime.containers.session import Session

__all__ = ["BuildOptions", "BuildResult", "BuildWarning", "CacheStore", "Output", "Secret", "parse_fields"]


_CACHE_KEYS = ("type", "src", "dest", "ref", "tag", "mode", "digest", "ignore-error", "compression",
               "force-compression", "oci-mediatypes", "image-manifest", "compression-level")  # fmt: skip


def parse_fields(text: str, known: Iterable[str], what: str, hint: str) -> dict[str, str]:
    """Comma-separated key=value, quoted as CSV is. Raises InvalidInput."""
    import csv

    found: dict[str, str] = {}
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidInput(f"invalid {what} {text!r}: {error}", hint=hint, subject=text) from None
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if not equals or key not in known:
            raise InvalidInput(f"invalid {what} {text!r}: unexpected {part!r}", hint=hint, subject=text)
        found[key] = value
    return found


@record
class Secret:
    """A secret for ``RUN --mount=type=secret,id=...``: the bytes of a file or of an environment variable."""

    id: str
    file: Path | None = None
    variable: str | None = None


@record
class Output:
    """Where the result goes besides, or instead of, the image store.

    ``type`` is "image" (the store), "local" (a directory), "tar" (its files), "oci" and "docker" (archives of
    the image) or "cacheonly" (nowhere). ``destination`` is a path; ``stream`` takes its place.
    """

    type: str
    destination: str = ""
    stream: IO[bytes] | None = None
    names: tuple[str, ...] = ()
    push: bool = False
    as_directory: bool = False
    """Of "oci" and "docker": the layout unpacked (``tar=false``)."""


@record
class CacheStore:
    """``--cache-from`` and ``--cache-to``: ``type`` "local" has a directory, "registry" a reference in
    ``place``. ``every_step`` is ``mode=max``; without it only the steps of the result are kept."""

    type: str
    place: str
    tag: str = "latest"
    every_step: bool = False
    ignore_errors: bool = False

    @classmethod
    def parse(cls, text: str, *, to: bool) -> CacheStore:
        """ "type=local,src=DIR" or "dest=DIR", "type=registry,ref=NAME"; a reference alone is a registry's.
        Raises InvalidInput."""
        if "=" not in text:
            return cls("registry", text)
        option = "--cache-to" if to else "--cache-from"
        hint = f"{option} type=local,{'dest' if to else 'src'}=DIR or type=registry,ref=NAME"
        fields = parse_fields(text, _CACHE_KEYS, option, hint)
        kind = fields.get("type", "")
        place = fields.get({"local": "dest" if to else "src", "registry": "ref"}.get(kind, ""), "")
        if kind not in ("local", "registry"):
            raise InvalidInput(f"{option}: the cache type {kind!r} is not supported", hint=hint, subject=text)
        if not place:
            raise InvalidInput(f"{option} {text}: no place is given", hint=hint, subject=text)
        mode = fields.get("mode", "min")
        if mode not in ("min", "max"):
            raise InvalidInput(f"{option}: invalid mode {mode!r}", hint="min or max", subject=text)
        ignore = fields.get("ignore-error", "false").lower() in ("true", "1")
        return cls(kind, place, fields.get("tag", "latest"), every_step=mode == "max", ignore_errors=ignore)


@record
class BuildOptions:
    """``context`` is a directory. ``dockerfile`` is a path (relative to the working directory, as the command
    line gives it), None for ``Dockerfile`` in the context; ``dockerfile_text`` replaces the file, for
    standard input. ``context_archive`` is a tar stream (plain or compressed) that replaces the directory,
    ``remote`` the URL of a git repository, an archive or a Dockerfile that does.

    ``network`` is "default", "none" or "host", for every RUN that does not choose itself.
    ``build_contexts`` maps names, usable in FROM and ``--from``, to directories or to ``docker-image://REF``.
    ``secret`` values never enter a cache key, the history or an image.
    ``debug_shell`` is called when a RUN fails, with a session of a shell in the state before it.
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
    ssh: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    build_contexts: dict[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    platform: str = ""
    dockerfile_text: str | None = None
    context_archive: IO[bytes] | None = None
    remote: str = ""
    outputs: tuple[Output, ...] = ()
    cache_from: tuple[CacheStore, ...] = ()
    cache_to: tuple[CacheStore, ...] = ()
    resources: Resources = field(default_factory=Resources)
    ulimits: tuple[str, ...] = ()
    cgroup_parent: str = ""
    debug_shell: Callable[[BuildFailed, Session], object] | None = None


@record
class BuildWarning:
    """``rule`` is a check's name ("" for other advice), ``line`` counts from 1 (0: none); ``excerpt`` shows
    the lines around it."""

    message: str
    rule: str = ""
    line: int = 0
    url: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        text = f"{self.rule}: {self.message}" if self.rule else self.message
        return f"{text} (line {self.line})" if self.line else text


@record
class BuildResult:
    """``steps`` counts the steps that make files (FROM, RUN, COPY, ADD, WORKDIR), ``cached_steps`` those of
    them that were found in the cache. ``image_id`` is "" when the outputs keep no image;
    ``manifest_digest`` is that of its manifest."""

    image_id: str
    tags: tuple[str, ...]
    cached_steps: int
    steps: int
    warnings: tuple[BuildWarning, ...] = ()
    manifest_digest: str = ""
