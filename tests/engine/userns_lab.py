"""Containers with user namespaces for tests, and what they say."""

from __future__ import annotations

import io
import struct
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from runtime.engine import Engine
from runtime.model.container import (
    Container,
    ContainerConfig,
)
from runtime.model.ids import IdMap

__all__ = ["box", "ids", "inside", "output", "status", "until", "with_capability"]


def output(engine: Engine, image: str, script: str, **options: object) -> tuple[int, str]:
    """Exit code and what was written, of a container with a range of its own."""
    options = {"network_mode": "none", "userns_mode": "auto", **options}
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), auto_remove=True, **options)  # type: ignore[arg-type]  # table of options
    session = engine.containers.start(engine.containers.create(config).id, attach=True)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    return session.wait(), text.decode(errors="replace")


def box(engine: Engine, image: str, script: str = "exec sleep 1000", **options: object) -> Container:
    """One named "box" that runs."""
    options = {"network_mode": "none", "userns_mode": "auto", **options}
    name = str(options.pop("name", "box"))
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), **options)  # type: ignore[arg-type]  # table of options
    return engine.containers.run(config, name=name)


def inside(engine: Engine, script: str, *, user: str = "", reference: str = "box") -> str:
    session = engine.containers.exec(reference, ["sh", "-c", script], user=user)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    session.wait()
    return text.decode(errors="replace")


def status(pid: int, field: str) -> list[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return [int(word) for word in line.split()[1:]]
    raise AssertionError(field)


def ids(container: Container) -> IdMap:
    assert container.config.id_map is not None
    return container.config.id_map


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def with_capability(engine: Engine, busybox_tar: bytes) -> str:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(busybox_tar)) as source,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="latin-1") as target,
    ):
        for entry in source:
            content = source.extractfile(entry) if entry.isreg() else None
            target.addfile(entry, content)
            if entry.name == "bin/busybox":
                copied = tarfile.TarInfo("cap/busybox")
                copied.size, copied.mode = entry.size, 0o755
                value = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")
                copied.pax_headers = {"SCHILY.xattr.security.capability": value}
                data = source.extractfile(entry)
                assert data is not None
                target.addfile(copied, data)
    buffer.seek(0)
    engine.images.import_(buffer, "capable:latest", changes=["ENV PATH=/bin"])
    return "capable:latest"
