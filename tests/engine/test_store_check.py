"""The store under bad luck: damage is found, two writers get along, a killed one leaves nothing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.images.check import verify
from runtime.images.content import blob_path
from runtime.images.create import create_image
from runtime.images.layers import adopt_layer, layer_path, temporary_directory, unpack_layer
from runtime.model.image import ImageConfig

pytestmark = pytest.mark.engine


def layer_tar(files: int, size: int = 2000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(files):
            info = tarfile.TarInfo(f"d{number % 50}/f{number}")
            info.size = size
            tar.addfile(info, io.BytesIO(os.urandom(size // 2) * 2))
    return buffer.getvalue()


def test_damage_is_found(fresh_engine: Engine) -> None:
    ctx = fresh_engine.context
    kept = unpack_layer(ctx, io.BytesIO(layer_tar(3)))
    root = temporary_directory(ctx)
    (root / "file").write_text("x")
    made = adopt_layer(ctx, root)
    image = create_image(ctx, config=ImageConfig(), layers=[kept.diff_id, made.diff_id], refs=["app"])
    assert verify(ctx) == []
    (layer_path(ctx, made.diff_id) / "file").write_text("y")
    assert [line.partition(":")[2] for line in verify(ctx)] == [
        f" its directory {made.directory.name} was changed"
    ]
    blob_path(ctx, image.manifest_digest).write_bytes(b"{}")
    assert "image docker.io/library/app:latest" in " ".join(verify(ctx))
    kept.directory.rename(ctx.paths.state / "away")
    assert any("is missing" in line for line in verify(ctx))


LOADER = """
import sys
from runtime.engine import Engine
from runtime.config import Config
engine = Engine(sys.argv[1], config=Config())
print("ready", flush=True)
sys.stdin.readline()
print(*engine.images.load(open(sys.argv[2], "rb")))
"""


def loader(root: Path, archive: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOADER, root, archive],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def saved_archive(engine: Engine, *, files: int) -> Path:
    """An archive of one image of ``files`` files, which the root then has no more."""
    ctx = engine.context
    layer = unpack_layer(ctx, io.BytesIO(layer_tar(files)))
    create_image(ctx, config=ImageConfig(), layers=[layer.diff_id], refs=["app"], created_at=1)
    path = ctx.paths.state / "app.tar"
    with path.open("wb") as file:
        engine.images.save(["app"], file)
    engine.images.remove("app")
    assert os.listdir(ctx.paths.layers) == [".lock"]
    return path


def test_two_loads_of_the_same_image(fresh_engine: Engine) -> None:
    archive = saved_archive(fresh_engine, files=800)
    both = [loader(fresh_engine.context.paths.state, archive) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "app:latest\n")
    ctx = fresh_engine.context
    assert len([name for name in os.listdir(ctx.paths.layers) if name != ".lock"]) == 1
    assert verify(ctx) == []


def test_a_killed_load_leaves_nothing(fresh_engine: Engine) -> None:
    archive = saved_archive(fresh_engine, files=6000)
    ctx = fresh_engine.context
    process = loader(ctx.paths.state, archive)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    deadline = time.monotonic() + 20
    while not any(name.startswith(".tmp") for name in os.listdir(ctx.paths.layers)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    if process.stdout is not None:
        process.stdout.close()
    assert fresh_engine.images.list() == []
    other = Engine(ctx.paths.state, config=Config())
    try:
        other.system.check(repair=True)
    finally:
        other.close()
    assert os.listdir(ctx.paths.layers) == [".lock"]
    assert not [name for name in os.listdir(ctx.paths.content) if name.startswith(".tmp")]
    with archive.open("rb") as file:
        assert fresh_engine.images.load(file) == ["app:latest"]
    assert verify(ctx) == []
