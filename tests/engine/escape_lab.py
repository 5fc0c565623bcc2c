"""Where escapes are tried: hostile images, containers that attack, and a directory that is not theirs.

An attack is a function of a :class:`Lab`. It answers what it got of the machine, in words, or "" when it got
nothing; an EngineError that ends it counts as nothing. What it aims at is ``lab.outside``, a directory made
for it, never anything of the machine's own.
"""

from __future__ import annotations

import io
import os
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.model.container import Container, ContainerConfig

__all__ = ["SECRET", "SWAP", "Attack", "Lab", "file_entry", "link_entry", "tried"]

SECRET = "the machine's secret"

SWAP = """
import ctypes, os
libc = ctypes.CDLL(None)
for name in ({base!r},):
    os.makedirs(name + "/dir", exist_ok=True)
    open(name + "/dir/secret", "w").write("inside")
    if not os.path.lexists(name + "/link"):
        os.symlink({target!r}, name + "/link")
print("swapping", flush=True)
one, two = ({base!r} + "/dir").encode(), ({base!r} + "/link").encode()
while True:
    libc.renameat2(-100, one, -100, two, 2)
"""
"""Run inside: exchanges a directory with a link (RENAME_EXCHANGE) for ever."""


def link_entry(target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link for a hostile image."""
    entry = tarfile.TarInfo()
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry, b""


def file_entry(content: bytes, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    """A regular file for a hostile image."""
    entry = tarfile.TarInfo()
    entry.size, entry.mode = len(content), mode
    return entry, content


class Lab:
    """One test's. ``busybox`` and ``base`` (with Python, made when it is first asked for) are images;
    ``new_root`` makes a root of its own."""

    def __init__(
        self,
        engine: Engine,
        tar: bytes,
        busybox: str,
        make_base: Callable[[], str],
        directory: Path,
        new_root: Callable[[], Path],
    ) -> None:
        self.engine = engine
        self.busybox = busybox
        self._make_base = make_base
        self.new_root = new_root
        self.directory = directory
        self.outside = directory / "outside"
        self.outside.mkdir(mode=0o755)
        (self.outside / "secret").write_text(SECRET)
        self._tar = tar

    @property
    def base(self) -> str:
        return self._make_base()

    # -- running ----------------------------------------------------------------------------------

    def config(self, argv: Sequence[str], **options: object) -> ContainerConfig:
        options.setdefault("image", self.busybox)
        options.setdefault("network_mode", "none")
        return ContainerConfig(cmd=tuple(argv), **options)  # type: ignore[arg-type]  # table of options

    def run(self, argv: Sequence[str], **options: object) -> str:
        """To its end; what it wrote. Raises EngineError."""
        container = self.engine.containers.create(self.config(argv, **options))
        session = self.engine.containers.start(container.id, attach=True)
        assert session is not None
        text = b""
        while (chunk := session.read()) is not None:
            text += chunk[1]
        session.wait()
        self.engine.containers.remove(container.id, force=True)
        return text.decode(errors="replace")

    def shell(self, script: str, **options: object) -> str:
        return self.run(("sh", "-c", script), **options)

    def python(self, code: str, **options: object) -> str:
        return self.run(("python3", "-c", textwrap.dedent(code)), image=self.base, **options)

    @contextmanager
    def running(self, argv: Sequence[str], ready: str = "", **options: object) -> Iterator[Container]:
        """In the background, from its line ``ready`` on, for the with block."""
        container = self.engine.containers.run(self.config(argv, **options))
        try:
            deadline = time.monotonic() + 30
            while ready and ready not in self.logs(container):
                assert time.monotonic() < deadline, self.logs(container)
                time.sleep(0.02)
            yield container
        finally:
            self.engine.containers.remove(container.id, force=True)

    def logs(self, container: Container) -> str:
        return "\n".join(
            line.line.decode(errors="replace") for line in self.engine.containers.logs(container.id)
        )

    def exec(self, container: Container, argv: Sequence[str], working_dir: str = "") -> str:
        session = self.engine.containers.exec(container.id, list(argv), working_dir=working_dir)
        assert session is not None
        text = b""
        while (chunk := session.read()) is not None:
            text += chunk[1]
        session.wait()
        return text.decode(errors="replace")

    @contextmanager
    def swapping(self, base: str, target: str | None = None, **options: object) -> Iterator[Container]:
        """A container that exchanges ``base``/dir with a link to ``target`` (outside) as fast as it can."""
        code = SWAP.format(base=base, target=target or str(self.outside))
        with self.running(("python3", "-c", code), "swapping", image=self.base, **options) as container:
            yield container

    # -- images -----------------------------------------------------------------------------------

    def image(self, entries: dict[str, tuple[tarfile.TarInfo, bytes]], changes: Sequence[str] = ()) -> str:
        """busybox with entries put in the place of its own; a directory's content goes with it."""
        buffer = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(self._tar)) as source,
            tarfile.open(fileobj=buffer, mode="w") as target,
        ):
            for entry in source:
                if not any(entry.name == name or entry.name.startswith(name + "/") for name in entries):
                    target.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
            for name, (entry, content) in entries.items():
                entry.name = name
                target.addfile(entry, io.BytesIO(content))
        buffer.seek(0)
        self.engine.images.import_(buffer, "hostile:latest", changes=["ENV PATH=/bin", *changes])
        return "hostile:latest"

    # -- the machine ------------------------------------------------------------------------------

    def planted(self) -> str:
        """What came to be in the directory of the machine, or was changed there."""
        found = sorted(os.listdir(self.outside))
        if found != ["secret"] or (self.outside / "secret").read_text() != SECRET:
            return f"in {self.outside}: {', '.join(found)}"
        return ""


Attack = Callable[[Lab], str]


def tried(attack: Attack, lab: Lab) -> str:
    """What it got; what the engine refuses gets nothing."""
    try:
        return attack(lab)
    except EngineError as refused:
        assert "\n" not in refused.message
        return ""
