"""Builds and Debian's docker-registry: ``--push``, and a cache that another root starts from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.build.options import CacheStore, Output
from runtime.engine import Engine
from runtime.errors import EngineError, InvalidInput
from tests.engine.build_lab import build, fill, read
from tests.interop.registry_lab import Registry, registry

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("docker-registry") is None, reason="needs root and docker-registry"
    ),
]

DOCKERFILE = "FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\nCOPY c /c\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return fill(tmp_path / "c", {"a": "first", "c": "second"})


def test_push(server: Registry, engine: Engine, new_root: Callable[[], Path], context: Path) -> None:
    name = f"{server.host}/built:1"
    made = build(engine, context, DOCKERFILE, tags=(name,), outputs=(Output("image", push=True),))
    other = Engine(new_root())
    other.images.pull(name)
    assert other.images.get(name).id == made.image_id
    engine.images.remove(name)
    with pytest.raises(InvalidInput, match="needs a name"):
        build(engine, context, DOCKERFILE, outputs=(Output("image", push=True),))


def test_a_cache_in_a_registry(
    server: Registry, engine: Engine, new_root: Callable[[], Path], context: Path
) -> None:
    place = CacheStore("registry", f"{server.host}/cache:main", every_step=True)
    made = build(engine, context, DOCKERFILE, cache_to=(place,))
    other = Engine(new_root())
    again = build(other, context, DOCKERFILE, cache_from=(place,))
    assert (again.cached_steps, again.image_id, again.warnings) == (again.steps, made.image_id, ())
    assert read(other, again.image_id, "b") == "first"
    before = len(server.requests())
    build(engine, context, DOCKERFILE, cache_to=(place,))
    assert not any(item.startswith(("PATCH", "POST")) for item in server.requests()[before:])


def test_an_image_is_no_cache_and_nobody_there(server: Registry, engine: Engine, context: Path) -> None:
    name = f"{server.host}/plain:1"
    build(engine, context, DOCKERFILE, tags=(name,), outputs=(Output("image", push=True),))
    for reference in (name, f"{server.host}/absent:1", "localhost:1/x"):
        made = build(engine, context, DOCKERFILE, cache_from=(CacheStore("registry", reference),))
        assert "cannot import the cache" in str(made.warnings[0])
    engine.images.remove(name)
    with pytest.raises(EngineError):
        build(engine, context, DOCKERFILE, cache_to=(CacheStore("registry", "localhost:1/x"),))
