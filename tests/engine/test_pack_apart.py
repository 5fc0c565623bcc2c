"""Layers compressed for a registry, by a process of their own or not: the same blob, nothing left behind."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from runtime.context import Context
from runtime.engine import Engine
from runtime.errors import Cancelled, EngineError, Failed, NotFound
from runtime.images.layers import LayerInfo, open_layer_tar, unpack_layer
from runtime.images.member import Member
from runtime.images.registry import packed
from runtime.images.registry.packed import PackedLayer
from tests.engine.test_layers import DIR, FILE, HARD, LINK, archive

pytestmark = pytest.mark.engine


@pytest.fixture
def ctx(fresh_engine: Engine) -> Context:
    return fresh_engine.context


@pytest.fixture(params=["apart", "here"])
def layer(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> LayerInfo:
    monkeypatch.setattr(packed, "_APART", 0 if request.param == "apart" else 1 << 60)
    return made(ctx)


def made(ctx: Context, *, compressed: bool = False) -> LayerInfo:
    """Kept as a recipe, or as the blob that it came as."""
    noise = os.urandom(3_000_000).hex()
    data = archive(
        ("d", DIR), ("d/f", FILE, "1" * 5000), ("noise", FILE, noise), ("l", LINK, "d"), ("h", HARD, "d/f")
    )
    diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    data = gzip.compress(data) if compressed else data
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return unpack_layer(ctx, Member(file.fileno(), 0, len(data)), diff_id=diff_id)


def sent(blob: PackedLayer, start: int = 0) -> bytes:
    return b"".join(blob.chunks(start))


def test_it_is_the_layers_tar_again_and_can_be_read_twice(ctx: Context, layer: LayerInfo) -> None:
    with PackedLayer(ctx, layer.diff_id, None) as blob:
        first = sent(blob)
        assert blob.size == len(first)
        assert blob.digest == f"sha256:{hashlib.sha256(first).hexdigest()}"
        assert sent(blob) == first
        assert sent(blob, 1000) == first[1000:]
    assert gzip.decompress(first) == open_layer_tar(ctx, layer.diff_id).read(-1)
    with PackedLayer(ctx, layer.diff_id, None) as again:
        assert sent(again) == first


def test_a_blob_that_came_compressed_is_one_source(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache is always gzip, whatever the layer came as."""
    monkeypatch.setattr(packed, "_APART", 0)
    layer = made(ctx, compressed=True)
    with PackedLayer(ctx, layer.diff_id, None) as blob:
        data = sent(blob)
    assert f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}" == layer.diff_id


def test_a_layer_that_was_changed_is_not_sent_as_if_it_were_whole(ctx: Context, layer: LayerInfo) -> None:
    (layer.directory / "d/f").write_text("2" * 5000)
    with (
        pytest.raises(Failed, match="was changed on the disk"),
        PackedLayer(ctx, layer.diff_id, None) as blob,
    ):
        sent(blob)


def test_a_file_that_is_gone_is_named(ctx: Context, layer: LayerInfo) -> None:
    (layer.directory / "noise").unlink()
    with pytest.raises(EngineError, match="noise"), PackedLayer(ctx, layer.diff_id, None) as blob:
        sent(blob)


def test_a_layer_that_is_not_there_is_not_found(ctx: Context) -> None:
    with pytest.raises(NotFound):
        PackedLayer(ctx, f"sha256:{'0' * 64}", None)


def packers(directory: Path) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        if b"pack_worker" in command and os.fsencode(directory) in command:
            found.append(int(name))
    return found


def packer(directory: Path) -> int:
    deadline = time.monotonic() + 30
    while not (found := packers(directory)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found[0]


def test_its_process_ends_with_it_and_is_missed_when_killed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_APART", 0)
    layer = made(ctx)
    with PackedLayer(ctx, layer.diff_id, None):
        packer(layer.directory)
    assert packers(layer.directory) == []
    with PackedLayer(ctx, layer.diff_id, None) as blob:
        pid = packer(layer.directory)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Failed, match="ended before its time"):
            sent(blob)


def test_waiting_for_it_can_be_cancelled(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_APART", 0)
    layer = made(ctx)
    stop = threading.Event()
    with PackedLayer(ctx, layer.diff_id, stop) as blob:
        pid = packer(layer.directory)
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(Cancelled):
            sent(blob)
    assert packers(layer.directory) == []
