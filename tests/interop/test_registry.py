"""Pull and push against Debian's docker-registry: open, by digest, all tags, cut in the middle, shared."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import Cancelled, InvalidInput, NotFound, Unavailable
from runtime.images.check import verify
from runtime.images.registry.pull import pull
from runtime.images.registry.transport import Timing
from runtime.model.event import Progress
from tests.interop.registry_lab import Registry, make_image, registry

pytestmark = pytest.mark.engine
QUICK = Timing(connect=5, read=5, document=10, stall=5, attempts=8, first_wait=0.05, longest_wait=0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(autouse=True)
def no_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


class Told:
    """Progress as docker's lines; amounts left out."""

    def __init__(self) -> None:
        self.events: list[Progress] = []

    def __call__(self, event: Progress) -> None:
        self.events.append(event)

    @property
    def lines(self) -> list[str]:
        return [f"{e.id}: {e.stage}" if e.id else e.stage for e in self.events if e.current is None]


def empty(engine: Engine) -> None:
    for summary in engine.images.list(all=True):
        engine.images.remove(summary.id, force=True)


def test_what_is_pushed_comes_back_the_same(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/team/app:1"
    image = make_image(fresh_engine, name, salt="same")
    [pushed] = fresh_engine.images.push(name)
    empty(fresh_engine)
    [pulled] = fresh_engine.images.pull(name)
    back = fresh_engine.images.get(name)
    assert (pulled.digest, pulled.changed, pulled.reference) == (pushed.digest, True, name)
    assert (back.id, back.layers, back.config) == (image.id, image.layers, image.config)
    assert back.manifest_digest == pushed.digest
    assert back.digests == (f"{server.host}/team/app@{pushed.digest}",)
    assert verify(fresh_engine.context) == []


def test_what_was_pulled_is_pushed_with_the_same_digest(server: Registry, fresh_engine: Engine) -> None:
    name, other = f"{server.host}/kept:1", f"{server.host}/kept:2"
    make_image(fresh_engine, name, salt="kept")
    [pushed] = fresh_engine.images.push(name)
    empty(fresh_engine)
    fresh_engine.images.pull(name)
    fresh_engine.images.tag(name, other)
    told = Told()
    [again] = fresh_engine.images.push(other, progress=told)
    assert again.digest == pushed.digest
    assert sum(line.endswith("Layer already exists") for line in told.lines) == 2


def test_the_words_are_dockers(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/words"
    image = make_image(fresh_engine, f"{name}:latest", layers=1, salt="words")
    layer = image.layers[0][7:19]
    told = Told()
    [pushed] = fresh_engine.images.push(name, progress=told)
    assert told.lines == [
        f"The push refers to repository [{name}]",
        f"{layer}: Preparing",
        f"{layer}: Pushed",
        f"latest: digest: {pushed.digest} size: {pushed.size}",
    ]
    empty(fresh_engine)
    told = Told()
    fresh_engine.images.pull(name, progress=told)
    blob = json.loads(server.blob_path(pushed.digest).read_text())["layers"][0]["digest"][7:19]
    assert told.lines == [
        "latest: Pulling from words",
        f"{blob}: Pulling fs layer",
        f"{blob}: Download complete",
        f"{blob}: Pull complete",
        f"Digest: {pushed.digest}",
        f"Status: Downloaded newer image for {name}:latest",
    ]
    told = Told()
    [again] = fresh_engine.images.pull(name, progress=told)
    assert not again.changed
    assert told.lines[1:] == [
        f"{blob}: Already exists",
        f"Digest: {pushed.digest}",
        f"Status: Image is up to date for {name}:latest",
    ]


def test_a_second_push_compresses_and_sends_nothing(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/second:1"
    make_image(fresh_engine, name, salt="second")
    fresh_engine.images.push(name)
    before = len(server.requests())
    fresh_engine.images.push(name)
    asked = server.requests()[before:]
    assert not [line for line in asked if line.startswith(("POST", "PATCH"))], asked


def test_layers_are_mounted_from_another_repository(server: Registry, fresh_engine: Engine) -> None:
    name, other = f"{server.host}/mount/one:1", f"{server.host}/mount/two:1"
    make_image(fresh_engine, name, salt="mounted")
    fresh_engine.images.push(name)
    fresh_engine.images.tag(name, other)
    before = len(server.requests())
    told = Told()
    fresh_engine.images.push(other, progress=told)
    assert sum(line.endswith("Mounted from mount/one") for line in told.lines) == 2
    assert sum(line.startswith("PATCH") for line in server.requests()[before:]) == 1, (
        "the config alone is sent"
    )


def test_by_digest(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/digest"
    make_image(fresh_engine, f"{name}:1", salt="digest")
    [pushed] = fresh_engine.images.push(f"{name}:1")
    empty(fresh_engine)
    [pulled] = fresh_engine.images.pull(f"{name}@{pushed.digest}")
    assert pulled.reference == f"{name}@{pushed.digest}"
    assert fresh_engine.images.get(f"{name}@{pushed.digest}").id == pulled.image_id
    assert fresh_engine.images.get(pulled.image_id).refs == ()
    wrong = "sha256:" + "0" * 64
    with pytest.raises(NotFound, match="manifest unknown"):
        fresh_engine.images.pull(f"{name}@{wrong}")


def test_all_tags(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/many"
    for tag in ("a", "b", "c"):
        make_image(fresh_engine, f"{name}:{tag}", salt=tag)
    pushed = fresh_engine.images.push(name, all_tags=True)
    assert [item.reference for item in pushed] == [f"{name}:{tag}" for tag in "abc"]
    empty(fresh_engine)
    pulled = fresh_engine.images.pull(name, all_tags=True)
    assert {item.reference: item.digest for item in pulled} == {
        item.reference: item.digest for item in pushed
    }
    with pytest.raises(InvalidInput, match="tag can't be used with --all-tags/-a"):
        fresh_engine.images.pull(f"{name}:a", all_tags=True)


def test_what_is_not_there_is_named(server: Registry, fresh_engine: Engine) -> None:
    with pytest.raises(NotFound, match=f"manifest for {server.host}/nothing:1 not found: manifest unknown"):
        fresh_engine.images.pull(f"{server.host}/nothing:1")
    with pytest.raises(NotFound, match="an image does not exist locally with the tag"):
        fresh_engine.images.push(f"{server.host}/nothing:1")


def test_nobody_there(fresh_engine: Engine) -> None:
    with pytest.raises(Unavailable, match="cannot reach registry localhost:1: connection refused") as caught:
        fresh_engine.images.pull("localhost:1/app")
    assert caught.value.hint and "registry-mirrors" in caught.value.hint


class Cut:
    """Kills the registry when a pull or push has moved some bytes, and starts it again."""

    def __init__(self, server: Registry, after: int) -> None:
        self.server = server
        self.after = after
        self.done = False
        self._once = threading.Lock()

    def __call__(self, event: Progress) -> None:
        """From several threads: a second start would leave a registry that nobody knows of."""
        if event.current and event.current > self.after and self._once.acquire(blocking=False):
            self.done = True
            self.server.stop()
            self.again = threading.Timer(0.3, self.server.start)
            self.again.start()

    def over(self) -> None:
        """It was killed and runs again, so that whoever stops it last finds it."""
        assert self.done
        self.again.join()


def incompressible(engine: Engine, name: str, size: int = 24 << 20) -> None:
    import os

    from runtime.images.create import create_image
    from runtime.images.layers import adopt_layer, temporary_directory
    from runtime.model.image import ImageConfig

    root = temporary_directory(engine.context)
    (root / "big").write_bytes(os.urandom(size))
    layer = adopt_layer(engine.context, root)
    create_image(engine.context, config=ImageConfig(), layers=[layer.diff_id], refs=[name])


def test_a_pull_goes_on_after_the_registry_was_killed(tmp_path: Path, fresh_engine: Engine) -> None:
    with registry(tmp_path / "r") as own:
        name = f"{own.host}/cut:1"
        incompressible(fresh_engine, name)
        fresh_engine.images.push(name)
        empty(fresh_engine)
        cut = Cut(own, 4 << 20)
        [pulled] = pull(fresh_engine.context, name, progress=cut, timing=QUICK)
        cut.over()
        assert fresh_engine.images.get(name).id == pulled.image_id
        ranges = [line for line in own.requests() if line.startswith("GET") and "/blobs/" in line]
        assert len(ranges) >= 2
    assert verify(fresh_engine.context) == []


def test_a_push_begins_again_after_the_registry_was_killed(tmp_path: Path, fresh_engine: Engine) -> None:
    from runtime.images.registry.push import push

    with registry(tmp_path / "r") as own:
        name = f"{own.host}/cut:1"
        incompressible(fresh_engine, name)
        cut = Cut(own, 4 << 20)
        [pushed] = push(fresh_engine.context, name, progress=cut, timing=QUICK)
        cut.over()
        empty(fresh_engine)
        assert fresh_engine.images.pull(name)[0].digest == pushed.digest


def test_a_cancelled_pull_leaves_nothing_half_made_and_is_gone_on_with(
    server: Registry, fresh_engine: Engine
) -> None:
    name = f"{server.host}/cancelled:1"
    incompressible(fresh_engine, name)
    fresh_engine.images.push(name)
    empty(fresh_engine)
    cancel = threading.Event()

    def stop_in_the_middle(event: Progress) -> None:
        if event.stage == "Downloading" and event.current:  # told at once, and then some times a second
            cancel.set()

    with pytest.raises(Cancelled):
        fresh_engine.images.pull(name, progress=stop_in_the_middle, cancel=cancel)
    assert fresh_engine.images.list(all=True) == []
    assert verify(fresh_engine.context) == []
    content = fresh_engine.context.paths.content
    [partial] = (content / "ingest").iterdir()
    had = partial.stat().st_size
    assert 0 < had < 24 << 20
    assert fresh_engine.system.check(repair=True) == [], "a partial download is no damage"
    first: list[int] = []

    def note(event: Progress) -> None:
        if event.stage == "Downloading" and event.current is not None and not first:
            first.append(event.current)

    fresh_engine.images.pull(name, progress=note)
    assert first == [had], "what was there is not asked for again"
    assert list((content / "ingest").iterdir()) == []
    assert verify(fresh_engine.context) == []


def test_two_pulls_at_once_share_the_work(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/shared:1"
    incompressible(fresh_engine, name, 6 << 20)
    fresh_engine.images.push(name)
    empty(fresh_engine)
    before = len(server.requests())
    failures: list[BaseException] = []

    def one() -> None:
        try:
            fresh_engine.images.pull(name)
        except BaseException as error:
            failures.append(error)
        finally:
            fresh_engine.context.db.close()

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    layer = fresh_engine.images.get(name).layers[0]
    from runtime.store.images import get_layer

    row = get_layer(fresh_engine.context.db, layer)
    assert row is not None
    blobs = [line for line in server.requests()[before:] if row.blob_digest in line]
    assert len(blobs) == 1, blobs
    assert verify(fresh_engine.context) == []


def test_a_damaged_partial_download_is_healed(server: Registry, fresh_engine: Engine) -> None:
    name = f"{server.host}/healed:1"
    make_image(fresh_engine, name, layers=1, salt="healed")
    [pushed] = fresh_engine.images.push(name)
    empty(fresh_engine)
    blob = json.loads(server.blob_path(pushed.digest).read_text())["layers"][0]["digest"]
    ingest = fresh_engine.context.paths.content / "ingest"
    ingest.mkdir(exist_ok=True)
    (ingest / blob[7:]).write_bytes(b"not what was there")
    fresh_engine.images.pull(name)
    assert verify(fresh_engine.context) == []
