"""Where a build's files come from: the context directory, its Dockerfile and its ignore file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.build.dockerignore import IgnoreRules, PatternError, read_rules
from runtime.build.failure import DockerfileError
from runtime.build.lexer import Source
from runtime.build.options import BuildOptions
from runtime.context import Context
from runtime.images.leases import temporary_name
from runtime.kernel.tree import remove_tree
from runtime.model.record import record

__all__ = ["OpenedContext", "open_context", "read_ignore_file"]

_MAX_DOCKERFILE = 16 << 20


@record
class OpenedContext:
    """``ignore_file`` is NAME.dockerignore beside the Dockerfile, else .dockerignore of the context."""

    directory: Path
    source: Source
    ignore_file: Path | None


@contextmanager
def open_context(ctx: Context, options: BuildOptions) -> Iterator[OpenedContext]:
    """An archive is unpacked, a remote context fetched, for the time of the build. Raises DockerfileError,
    FetchError."""
    if options.context_archive is None and not options.remote:
        yield _opened(options, options.context)
        return
    directory = ctx.paths.build / temporary_name()
    directory.mkdir(mode=0o755)
    try:
        if options.remote:
            from runtime.build.remote import fetch_context

            options, root = fetch_context(options, directory)
        else:
            root = directory
        if options.context_archive is not None:
            from runtime.images.compression import decompressed
            from runtime.images.tar_reader import TarReader
            from runtime.images.unpack import unpack

            unpack(TarReader(decompressed(options.context_archive)[1]), root, plain=True)
        yield _opened(options, root)
    finally:
        remove_tree(directory)


def read_ignore_file(path: Path | None) -> IgnoreRules:
    """Raises DockerfileError that names the file and the pattern."""
    if path is None:
        return IgnoreRules()
    try:
        return read_rules(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except PatternError as error:
        raise DockerfileError(f"{path}: {error}", subject=str(path)) from None
    except OSError as error:
        raise DockerfileError(f"cannot read {path}: {error.strerror}", subject=str(path)) from error


def _opened(options: BuildOptions, directory: Path) -> OpenedContext:
    if not directory.is_dir():
        reason = "is not a directory" if directory.exists() else "does not exist"
        raise DockerfileError(
            f"build context {directory} {reason}",
            hint="give the directory of the Dockerfile",
            subject=str(directory),
        )
    path = _dockerfile_path(options, directory)
    beside = path.with_name(f"{path.name}.dockerignore")
    ignore = next((file for file in (beside, directory / ".dockerignore") if file.is_file()), None)
    if options.dockerfile_text is not None:
        return OpenedContext(directory, Source("Dockerfile", options.dockerfile_text), ignore)
    return OpenedContext(directory, Source(_shown_name(directory, path), _read(path)), ignore)


def _dockerfile_path(options: BuildOptions, directory: Path) -> Path:
    """A relative ``-f`` is looked for from the working directory, then in the context."""
    given = options.dockerfile
    if given is None:
        default = directory / "Dockerfile"
        lower = directory / "dockerfile"
        return lower if not default.exists() and lower.exists() else default
    if (
        options.context_archive is not None
        or options.remote
        or (not given.is_absolute() and not given.exists())
    ):
        return directory / given
    return given


def _read(path: Path) -> str:
    try:
        if path.is_dir():
            raise DockerfileError(f"{path} is a directory, not a Dockerfile", subject=str(path))
        if path.exists() and not path.is_file():
            raise DockerfileError(f"{path} is not a regular file", subject=str(path))
        data = path.read_bytes()
    except FileNotFoundError:
        raise DockerfileError(
            f"failed to read dockerfile: open {path}: no such file or directory",
            hint="-f FILE names another Dockerfile",
            subject=str(path),
        ) from None
    except OSError as error:
        raise DockerfileError(f"cannot read {path}: {error.strerror}", subject=str(path)) from error
    if len(data) > _MAX_DOCKERFILE:
        raise DockerfileError(f"{path} is larger than 16 MiB", subject=str(path))
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DockerfileError(f"{path} is not UTF-8 text", subject=str(path)) from None


def _shown_name(directory: Path, path: Path) -> str:
    relative = os.path.relpath(path, directory)
    return str(path) if relative.startswith("..") else relative
