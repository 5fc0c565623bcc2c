"""Contexts that are not on this machine: git repositories, archives and Dockerfiles by URL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runtime.build.fetch import FetchError, download, is_remote
from runtime.build.git import checkout, parse_git
from runtime.build.options import BuildOptions
from runtime.build.secrets import secret_bytes
from runtime.errors import Failed, InvalidInput

__all__ = ["fetch_context", "is_remote_context"]

_MAX_DOCKERFILE = 16 << 20


def is_remote_context(text: str) -> bool:
    return is_remote(text) or parse_git(text) is not None


def fetch_context(options: BuildOptions, scratch: Path) -> tuple[BuildOptions, Path]:
    """The options with what was fetched in place of ``remote``'s, and the context's directory in
    ``scratch``. Raises Failed, InvalidInput."""
    try:
        repository = parse_git(options.remote)
        if repository is not None:
            keep = options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "").lower() in ("1", "true")
            repository = replace(
                repository, keep_git_dir=repository.keep_git_dir or keep, token=_token(options)
            )
            checkout(repository, scratch / "git")
            return options, _below(scratch / "git", repository.directory, options.remote)
        found, _ = download(options.remote, scratch / "download")
    except FetchError as error:
        raise Failed(str(error), subject=options.remote) from error
    assert found is not None and found.path is not None
    root = scratch / "context"
    root.mkdir(mode=0o755)
    from runtime.build.archives import archive_stream

    stream = archive_stream(found.path)
    if stream is not None:
        return replace(options, context_archive=stream), root
    if found.path.stat().st_size > _MAX_DOCKERFILE:
        raise InvalidInput(f"{options.remote} is neither an archive nor a Dockerfile", subject=options.remote)
    try:
        text = found.path.read_bytes().decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{options.remote} is neither an archive nor a Dockerfile", subject=options.remote
        ) from None
    return replace(options, dockerfile_text=text), root


def _token(options: BuildOptions) -> bytes:
    secret = next((item for item in options.secrets if item.id == "GIT_AUTH_TOKEN"), None)
    return secret_bytes(secret) if secret is not None else b""


def _below(root: Path, directory: str, shown: str) -> Path:
    """A directory of the checkout; links of the repository do not lead out."""
    from runtime.images.layer_view import LayerView

    node = LayerView([root], overlay=False).lookup(directory)
    if node is None or not node.is_directory:
        raise InvalidInput(f"{shown} has no directory {directory}", subject=directory)
    return Path(node.real)
