"""ADD of what is elsewhere: a file by URL, or a git repository's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from runtime.build.archives import unpack_archive
from runtime.build.context_files import SourceTree, select
from runtime.build.fetch import Downloads, is_remote, parse_checksum
from runtime.build.git import GitRepository, checkout, parse_git, resolve
from runtime.build.instructions import Add
from runtime.build.layer_writer import LayerWriter, Owner
from runtime.build.secrets import secret_bytes
from runtime.build.transfer import Target, place_file, transfer
from runtime.build.workspace import Workspace
from runtime.images.layer_view import LayerView

__all__ = ["RemoteSource", "remote_source"]


class RemoteSource(Protocol):
    """``identity`` is what of it goes into the cache key; ``write`` fetches, when it must."""

    @property
    def identity(self) -> list[object]: ...

    def write(self, writer: LayerWriter, target: Target, exclude: Sequence[str]) -> None: ...


def remote_source(work: Workspace, instruction: Add, source: str) -> RemoteSource | None:
    """None for a path. Raises FetchError, InvalidInput."""
    repository = parse_git(source)
    if repository is not None:
        return _GitSource(work, instruction, repository)
    if is_remote(source):
        return _UrlSource(work, instruction, source)
    return None


class _UrlSource:
    def __init__(self, work: Workspace, instruction: Add, url: str) -> None:
        self._work = work
        self._unpacks = instruction.unpack is True
        self._downloads = Downloads(work.ctx.paths.build / "digests", work.new_path, work.cancel)
        self._known = self._downloads.look(url, instruction.checksum)

    @property
    def identity(self) -> list[object]:
        return ["url", self._known.url, self._known.digest]

    def write(self, writer: LayerWriter, target: Target, exclude: Sequence[str]) -> None:
        """Mode 0600 unless told otherwise, dated as the server says."""
        del exclude
        found = self._downloads.load(self._known)
        assert found.path is not None
        view = LayerView([found.path.parent], overlay=False)
        node = view.lookup(found.path.name)
        assert node is not None
        if self._unpacks:
            scratch = self._work.new_path("archive")
            if unpack_archive(node, scratch):
                tree = self._work.plain_tree(found.name, scratch, mapped=False)
                transfer(writer, select(tree, "."), replace(target, is_directory=True))
                return
        place_file(writer, target, found.name, node, date=found.modified)


class _GitSource:
    def __init__(self, work: Workspace, instruction: Add, repository: GitRepository) -> None:
        self._work = work
        secret = next((item for item in work.options.secrets if item.id == "GIT_AUTH_TOKEN"), None)
        checksum = instruction.checksum
        if checksum and ":" in checksum:
            parse_checksum(checksum)
        self._repository = replace(
            repository,
            commit=checksum.rpartition(":")[2] or repository.commit,
            keep_git_dir=instruction.keep_git_dir or repository.keep_git_dir,
            token=secret_bytes(secret) if secret is not None else b"",
        )

    @cached_property
    def _resolved(self) -> GitRepository:
        return resolve(self._repository, self._work.cancel)

    @property
    def identity(self) -> list[object]:
        found = self._resolved
        commit = found.commit or found.ref
        return ["git", found.url, commit, found.directory, found.keep_git_dir]

    def write(self, writer: LayerWriter, target: Target, exclude: Sequence[str]) -> None:
        found = self._resolved
        directory = self._work.new_path("git")
        checkout(found, directory, self._work.cancel)
        tree: SourceTree = self._work.plain_tree(f"the repository {found.url}", directory)
        selections = select(tree, found.directory or ".", exclude)
        transfer(writer, selections, replace(target, owner=target.owner or Owner()))
