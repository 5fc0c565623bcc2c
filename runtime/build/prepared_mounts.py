"""What a RUN's mounts have become: known before the command runs, held while it does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from runtime.build.context_files import VANISHED, SourceTree, select, unlike
from runtime.build.layer_writer import LayerWriter, Owner
from runtime.build.transfer import Target, transfer
from runtime.kernel.tree import remove_tree
from runtime.model.container import Mount
from runtime.model.record import record

__all__ = ["Binding", "PreparedMounts"]

_ATTEMPTS = 3


@record
class Binding:
    """Files that a command sees, as a copy that is made when it runs, so that its writes are thrown away."""

    tree: SourceTree
    source: str
    digest: str
    place: Path

    def copy(self) -> str | None:
        """The name of a file that is not what it was when the digest was made, else None."""
        attempts = _ATTEMPTS
        while True:
            attempts -= 1
            selections = select(self.tree, self.source)
            writer = LayerWriter([], self.place)
            try:
                transfer(writer, selections, Target("/", True, Owner() if self.tree.mapped else None))
            except OSError as error:
                if attempts and error.errno in VANISHED:
                    remove_tree(self.place)
                    continue
                raise
            writer.close()
            return unlike(self.tree, selections, self.digest)


class PreparedMounts:
    """``definition`` goes into the cache key: types, targets and bound files' content; never a secret.
    ``changed`` names a bound file that is no longer what the key tells of, once they are held."""

    def __init__(self) -> None:
        self.mounts: list[Mount] = []
        self.environment: dict[str, str] = {}
        self.definition: list[object] = []
        self.caches: list[tuple[Path, str]] = []
        self.agents: list[AbstractContextManager[object]] = []
        self.bindings: list[Binding] = []
        self.changed: str | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """For the time of a command: bound files are copied, the cache directories that want it are locked,
        in one order for all builds, and the agents answer."""
        for binding in self.bindings:
            changed = binding.copy()
            self.changed = self.changed or changed
        with ExitStack() as held:
            for agent in self.agents:
                held.enter_context(agent)
            for directory, sharing in sorted(set(self.caches)):
                lock = os.open(
                    directory.parent / f"{directory.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                )
                held.callback(os.close, lock)
                os.utime(lock)  # when it was used last, for builder du
                fcntl.flock(lock, fcntl.LOCK_EX if sharing == "locked" else fcntl.LOCK_SH)
            yield
