"""``builder du`` and ``builder prune``: what the cache holds, by age, kind and use."""

from __future__ import annotations

import fcntl
import io
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.build.prune import collect_garbage
from runtime.config import BuilderCollection
from runtime.context import Context
from runtime.engine import Engine
from runtime.store import build_cache
from tests.engine.build_lab import build
from tuidock.cli.main import main

pytestmark = pytest.mark.engine

Shown = Callable[..., str]


@pytest.fixture
def engine(fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path) -> Engine:
    """With three steps of 10, 20 and 30 bytes that no image shares, oldest first, and a cache mount."""
    fresh_engine.images.import_(io.BytesIO(busybox_tar), "busybox:latest")
    for number in (1, 2, 3):
        content = "x" * (10 * number)
        build(fresh_engine, tmp_path, f"FROM scratch\nCOPY <<E /f{number}\n{content[1:]}\nE\n")
    build(
        fresh_engine,
        tmp_path,
        "FROM busybox\nENV PATH=/bin\nRUN --mount=type=cache,id=pip,target=/c echo 1234 > /c/kept",
    )
    fresh_engine.images.prune()
    return fresh_engine


@pytest.fixture
def shown(engine: Engine, capsys: pytest.CaptureFixture[str]) -> Shown:
    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["builder", *arguments], open_engine=lambda root: engine) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return run


def descriptions(engine: Engine) -> list[str]:
    return [record.description for record in engine.builder.disk_usage()]


def age(engine: Engine, description: str, days: float) -> None:
    key = next(item.id for item in engine.builder.disk_usage() if description in item.description)
    with engine.context.db.write() as tx:
        then = time.time_ns() - int(days * 86400 * 10**9)
        tx.execute("UPDATE build_cache SET used_at = ? WHERE key = ?", (then, key))


def test_du(engine: Engine, shown: Shown) -> None:
    lines = shown("du").splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert len(lines) == 8
    assert lines[-2].split() == ["Reclaimable:", "65B"]
    assert lines[-1].split() == ["Total:", "65B"]
    mount = shown("du", "--verbose", "--filter", "type=exec.cachemount")
    assert "cached mount pip" in mount and "Mutable:        true" in mount and "Total:          5B" in mount
    assert shown("du", "--filter", "mutable", "--format", "{{.Type}} {{.Size}}") == "exec.cachemount 5B\n"
    assert shown("du", "--filter", "description~=/f[12] ", "--format", "{{.Size}}").split() == ["20B", "10B"]


def test_prune_by_age_size_and_kind(engine: Engine, shown: Shown) -> None:
    age(engine, "/f1", 5)
    age(engine, "/f2", 4)
    age(engine, "/f3", 3)
    assert shown("prune", "-f", "--filter", "until=100h").endswith("Total:\t10B\n")
    assert not any("/f1" in item for item in descriptions(engine))
    assert shown("prune", "-f", "--keep-storage", "40").endswith("Total:\t20B\n")
    assert any("/f3" in item for item in descriptions(engine))
    shown("prune", "-f", "--filter", "type=exec.cachemount")
    assert not list((engine.context.paths.build / "caches").glob("*[0-9a-f]"))
    assert shown("prune", "-f", "--min-free-space", "1").endswith("Total:\t0B\n"), "so much is free already"
    shown("prune", "-f", "--min-free-space", "1000000tb")
    assert descriptions(engine) == []
    assert "hint: known filters: " in shown("prune", "-f", "--filter", "colour=red", code=1)


def test_what_an_image_shares_goes_only_with_all(engine: Engine, shown: Shown, tmp_path: Path) -> None:
    build(engine, tmp_path, "FROM scratch\nCOPY <<E /kept\nkept\nE\n", tags=("kept:1",))
    shown("prune", "-f")
    assert [item.shared for item in engine.builder.disk_usage()] == [True]
    assert shown("prune", "-af").endswith("Total:\t0B\n")
    assert descriptions(engine) == []
    assert engine.images.get("kept:1").layers


def test_a_cache_mount_that_a_command_has_stays(engine: Engine) -> None:
    lock = next((engine.context.paths.build / "caches").glob("*.lock"))
    held = os.open(lock, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        assert [item.in_use for item in engine.builder.disk_usage() if item.mutable] == [True]
        engine.builder.prune(all=True)
        assert descriptions(engine) == ["cached mount pip"]
    finally:
        os.close(held)
    engine.builder.prune()
    assert descriptions(engine) == []


def test_prune_asks(engine: Engine, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "WARNING! This will remove all build cache that no image shares." in shown("prune")
    assert len(descriptions(engine)) == 5


def test_collection_keeps_the_limit_and_drops_what_is_old(engine: Engine) -> None:
    ctx = engine.context
    (ctx.paths.build / "collected").unlink(missing_ok=True)
    age(engine, "/f3", 61)
    age(engine, "/f1", 2)
    limited = replace(ctx.config, builder=BuilderCollection(keep=26))
    small = Context(ctx.paths, limited)
    gone = [item.description for item in collect_garbage(small)]
    assert len(gone) == 2 and "/f3" in gone[0] and "/f1" in gone[1]
    assert collect_garbage(small) == [], "not more often than once an hour"
    (ctx.paths.build / "collected").unlink()
    off = Context(ctx.paths, replace(ctx.config, builder=BuilderCollection(enabled=False, keep=0)))
    assert collect_garbage(off) == []
    assert build_cache.all_rows(ctx.db)
