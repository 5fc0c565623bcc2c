"""``--cache-to`` and ``--cache-from`` with a directory: another root starts from this one's steps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.build.options import CacheStore
from runtime.engine import Engine
from runtime.errors import InvalidInput
from tests.engine.build_lab import Recorder, build, fill, read

pytestmark = pytest.mark.engine

DOCKERFILE = "FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\nCOPY c /c\n"
FILES: dict[str, str | bytes | None] = {"a": "first", "c": "second"}


@pytest.fixture
def other(new_root: Callable[[], Path]) -> Engine:
    return Engine(new_root())


def store(place: Path, **more: object) -> CacheStore:
    return CacheStore("local", str(place), **more)  # type: ignore[arg-type]  # the caller's words


@pytest.mark.parametrize("every_step", [True, False])
def test_another_root_has_the_same_image_without_a_step(
    engine: Engine, other: Engine, tmp_path: Path, every_step: bool
) -> None:
    context, place = fill(tmp_path / "c", FILES), tmp_path / "cache"
    made = build(engine, context, DOCKERFILE, cache_to=(store(place, every_step=every_step),))
    again = build(other, context, DOCKERFILE, cache_from=(store(place),))
    # Without mode=max the first stage's step is not there; the last stage's is found by its content.
    assert again.cached_steps == again.steps - (0 if every_step else 1)
    assert [str(item) for item in again.warnings] == []
    assert read(other, again.image_id, "b") == "first"
    if every_step:
        assert again.image_id == made.image_id
    third = build(other, context, DOCKERFILE)
    assert third.cached_steps == third.steps, "what was imported is in the root's own cache"


def test_tags_share_layers_and_keep_each_other(engine: Engine, other: Engine, tmp_path: Path) -> None:
    context, place = fill(tmp_path / "c", FILES), tmp_path / "cache"
    build(engine, context, DOCKERFILE, cache_to=(store(place, tag="a", every_step=True),))
    blobs = len(list((place / "blobs/sha256").iterdir()))
    build(engine, context, f"{DOCKERFILE}LABEL x=y\n", cache_to=(store(place, tag="b", every_step=True),))
    assert len(list((place / "blobs/sha256").iterdir())) <= blobs + 2
    names = json.loads((place / "index.json").read_text())["manifests"]
    assert [item["annotations"]["org.opencontainers.image.ref.name"] for item in names] == ["a", "b"]
    assert build(other, context, DOCKERFILE, cache_from=(store(place, tag="a"),)).cached_steps == 3


def test_no_cache_imports_nothing(engine: Engine, other: Engine, tmp_path: Path) -> None:
    context, place = fill(tmp_path / "c", FILES), tmp_path / "cache"
    build(engine, context, DOCKERFILE, cache_to=(store(place, every_step=True),))
    assert build(other, context, DOCKERFILE, no_cache=True, cache_from=(store(place),)).cached_steps == 0


def _cut_layer(place: Path) -> None:
    layer = max((place / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    layer.write_bytes(layer.read_bytes()[:600])


def _other_layer(place: Path) -> None:
    largest = sorted((place / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest[-1].write_bytes(largest[-2].read_bytes())


def _config_lies(place: Path) -> None:
    index = json.loads((place / "index.json").read_text())
    manifest = place / "blobs/sha256" / index["manifests"][0]["digest"][7:]
    config = place / "blobs/sha256" / json.loads(manifest.read_text())["config"]["digest"][7:]
    config.write_text('{"records": []}')


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (_cut_layer, "cannot use the cache"),
    (_other_layer, "cannot use the cache"),
    (_config_lies, "does not match its digest"),
    (lambda place: (place / "index.json").write_text("[]"), "cannot be read"),
    (lambda place: (place / "index.json").write_text("{"), "cannot import the cache"),
    (lambda place: (place / "index.json").write_text('{"manifests": [7]}'), "cannot import the cache"),
    (lambda place: (place / "index.json").unlink(), "No such file or directory"),
    (
        lambda place: (place / "index.json").write_text(
            '{"manifests": [{"digest": "sha256:../../../etc/passwd", "annotations":'
            ' {"org.opencontainers.image.ref.name": "latest"}}]}'
        ),
        "not a digest",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_cache_is_told_and_the_steps_are_made(
    engine: Engine, other: Engine, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    context, place = fill(tmp_path / "c", FILES), tmp_path / "cache"
    build(engine, context, DOCKERFILE, cache_to=(store(place, every_step=True),))
    damage(place)
    made = build(other, context, DOCKERFILE, cache_from=(store(place),), recorder=Recorder())
    assert read(other, made.image_id, "c") == "second"
    assert message in " ".join(str(item) for item in made.warnings)


def test_steps_of_run_are_imported(
    fresh_engine: Engine, other: Engine, busybox_tar: bytes, tmp_path: Path
) -> None:
    text = "FROM busybox\nENV PATH=/bin\nRUN echo made > /made\n"
    for engine in (fresh_engine, other):
        engine.images.import_(io.BytesIO(busybox_tar), "busybox:latest")
    build(fresh_engine, tmp_path, text, cache_to=(store(tmp_path / "cache"),))
    made = build(other, tmp_path, text, cache_from=(store(tmp_path / "cache"),))
    assert made.cached_steps == made.steps
    assert read(other, made.image_id, "made") == "made\n"


def test_kinds_that_are_not_there_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a cache of type inline is not supported"):
        build(engine, tmp_path, "FROM scratch", cache_from=(CacheStore("inline", ""),))
