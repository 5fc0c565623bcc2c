"""Every path that the engine owns, below one root directory.

Two roots on one machine share nothing: each has its own database, run directory, bridges, firewall
table and cgroup parent, the last three named after :attr:`runtime.context.Context.root_id`.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DEFAULT_RUN", "DEFAULT_STATE", "Paths"]

DEFAULT_STATE = Path("/var/lib/tuidock")
DEFAULT_RUN = Path("/run/tuidock")


class Paths:
    """Where things are. ``state`` survives a reboot; ``run`` need not."""

    __slots__ = ("run", "state")

    def __init__(self, state: Path, run: Path) -> None:
        self.state = state
        self.run = run

    @classmethod
    def resolve(cls, root: str | os.PathLike[str] | None = None) -> Paths:
        """``root``, else ``TUIDOCK_ROOT``, else the system's directories."""
        chosen = root if root is not None else os.environ.get("TUIDOCK_ROOT") or None
        if chosen is None:
            return cls(DEFAULT_STATE, DEFAULT_RUN)
        state = Path(os.path.abspath(chosen))  # noqa: PTH100 - resolve() would follow links
        return cls(state, state / "run")

    def ensure(self) -> None:
        """Make the directories that everything else stands on; others cannot traverse them (0700)."""
        for directory in (
            self.state, self.content, self.layers, self.containers, self.volumes, self.build,
            self.run, self.run_containers,
        ):  # fmt: skip
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def database(self) -> Path:
        return self.state / "tuidock.db"

    @property
    def content(self) -> Path:
        """An OCI image layout (image-spec, image-layout.md): ``oci-layout``, ``blobs/sha256/...``."""
        return self.state / "content"

    @property
    def layers(self) -> Path:
        """Unpacked layers, one directory each, in overlayfs form (whiteouts are 0/0 devices)."""
        return self.state / "layers"

    @property
    def containers(self) -> Path:
        return self.state / "containers"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def build(self) -> Path:
        return self.state / "build"

    @property
    def run_containers(self) -> Path:
        return self.run / "containers"

    def container(self, container_id: str) -> Path:
        """``config.json`` (OCI), ``upper``, ``work``, ``log``, ``log.idx``, ``hosts``, ``exit`` and so on."""
        return self.containers / container_id

    def container_run(self, container_id: str) -> Path:
        """``lock`` (held by the monitor while it lives) and ``sock`` (its control socket)."""
        return self.run_containers / container_id

    def volume(self, name: str) -> Path:
        return self.volumes / name / "_data"
