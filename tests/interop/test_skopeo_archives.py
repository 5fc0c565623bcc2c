"""skopeo (Debian: skopeo) reads what we save, and we load what it writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.images.check import verify
from runtime.images.create import create_image
from runtime.images.layers import adopt_layer, temporary_directory
from runtime.model.image import Image, ImageConfig

pytestmark = pytest.mark.engine


def skopeo(*arguments: object) -> str:
    command = ["skopeo", "--insecure-policy", "--tmpdir", "/tmp", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def image(fresh_engine: Engine) -> Image:
    root = temporary_directory(fresh_engine.context)
    (root / "dir").mkdir()
    (root / "dir/file").write_text("x" * 10_000)
    (root / "dir/hard").hardlink_to(root / "dir/file")
    layer = adopt_layer(fresh_engine.context, root)
    return create_image(
        fresh_engine.context, config=ImageConfig(cmd=("sh",)), layers=[layer.diff_id], refs=["app:1"]
    )


@pytest.mark.parametrize("source", ["docker-archive:{}:app:1", "oci-archive:{}:1"])
@pytest.mark.parametrize("target", ["docker-archive:{}:back:2", "oci-archive:{}:back:2"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_there_and_back(
    fresh_engine: Engine, image: Image, tmp_path: Path, source: str, target: str, compression: str
) -> None:
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    with ours.open("wb") as file:
        fresh_engine.images.save(["app:1"], file)
    skopeo("copy", "--dest-compress-format", compression, source.format(ours), target.format(theirs))
    fresh_engine.images.remove("app:1")
    with theirs.open("rb") as file:
        assert fresh_engine.images.load(file) == ["back:2"]
    back = fresh_engine.images.get("back:2")
    assert (back.layers, back.config, back.size) == (image.layers, image.config, image.size)
    assert verify(fresh_engine.context) == []
