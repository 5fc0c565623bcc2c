"""Names of images: listing, finding, tagging and removing by docker's rules."""

from __future__ import annotations

import os

import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.images.create import create_image
from runtime.images.layers import adopt_layer, temporary_directory
from runtime.images.leases import lease
from runtime.model.container import ContainerConfig
from runtime.model.image import Image, ImageConfig

pytestmark = pytest.mark.engine


def make(engine: Engine, content: str, *refs: str, parent: Image | None = None) -> Image:
    root = temporary_directory(engine.context)
    (root / "file").write_text(content)
    layer = adopt_layer(engine.context, root)
    return create_image(
        engine.context,
        config=ImageConfig(cmd=("sh",)),
        layers=[*(parent.layers if parent else ()), layer.diff_id],
        refs=refs,
        parent=parent.id if parent else "",
        created_at=10**18 + len(content),
    )


def layers_of(engine: Engine) -> int:
    return len([name for name in os.listdir(engine.context.paths.layers) if name != ".lock"])


def test_the_same_inputs_are_the_same_image(fresh_engine: Engine) -> None:
    assert make(fresh_engine, "a", "x").id == make(fresh_engine, "a", "y").id
    assert layers_of(fresh_engine) == 1
    assert {(row.repository, row.tag) for row in fresh_engine.images.list()} == {
        ("x", "latest"),
        ("y", "latest"),
    }


def test_listing(fresh_engine: Engine) -> None:
    low = make(fresh_engine, "a")
    top = make(fresh_engine, "bb", "app:1", "host.example:5000/app:2", parent=low)
    rows = fresh_engine.images.list()
    assert [(row.repository, row.tag, row.id) for row in rows] == [
        ("app", "1", top.id),
        ("host.example:5000/app", "2", top.id),
    ]
    assert rows[0].size == 3
    everything = fresh_engine.images.list(all=True)
    assert ("<none>", "<none>", low.id) in [(row.repository, row.tag, row.id) for row in everything]


def test_finding(fresh_engine: Engine) -> None:
    image = make(fresh_engine, "a", "app", "abc:1")
    for text in (
        "app",
        "app:latest",
        "docker.io/library/app",
        image.id,
        image.id[7:],
        image.id[7:15],
        image.id[:20],
    ):
        assert fresh_engine.images.get(text).id == image.id
    with pytest.raises(NotFound, match="no such image: app:2"):
        fresh_engine.images.get("app:2")
    with pytest.raises(NotFound):
        fresh_engine.images.get("sha256:" + "0" * 64)
    with pytest.raises(InvalidInput):
        fresh_engine.images.get("App")
    for number in range(17):
        make(fresh_engine, "x" * (number + 2))
    prefixes = [row.id[7] for row in fresh_engine.images.list()]
    twice = next(
        prefix
        for prefix in prefixes
        if len({row.id for row in fresh_engine.images.list() if row.id[7] == prefix}) > 1
    )
    with pytest.raises(InvalidInput, match="ambiguous"):
        fresh_engine.images.get(f"sha256:{twice}")


def test_tagging_moves_a_name(fresh_engine: Engine) -> None:
    first, second = make(fresh_engine, "a", "app"), make(fresh_engine, "bb", "other")
    fresh_engine.images.tag("other", "app")
    assert fresh_engine.images.get("app").id == second.id
    assert fresh_engine.images.get(first.id).refs == ()
    seq = fresh_engine.events.last_seq()
    fresh_engine.images.tag("other", "app")
    assert fresh_engine.events.last_seq() == seq, "nothing changed, so nothing is told"
    with pytest.raises(NotFound):
        fresh_engine.images.tag("nothing", "x")
    with pytest.raises(InvalidInput):
        fresh_engine.images.tag("app", "UPPER")


def test_removing_names_and_then_the_image(fresh_engine: Engine) -> None:
    image = make(fresh_engine, "a", "one", "two:2")
    assert fresh_engine.images.remove("one") == [{"Untagged": "one:latest"}]
    rows = fresh_engine.images.remove("two:2")
    assert rows == [{"Untagged": "two:2"}, {"Deleted": image.id}, {"Deleted": image.layers[0]}]
    assert layers_of(fresh_engine) == 0
    assert os.listdir(fresh_engine.context.paths.content / "blobs/sha256") == []
    with pytest.raises(NotFound):
        fresh_engine.images.remove("two:2")
    assert [event.action for event in fresh_engine.events.since(0)][-3:] == ["untag", "untag", "delete"]


def test_removing_by_id(fresh_engine: Engine) -> None:
    image = make(fresh_engine, "a", "one", "two")
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        fresh_engine.images.remove(image.id[7:19])
    rows = fresh_engine.images.remove(image.id[7:19], force=True)
    assert rows[:3] == [{"Untagged": "one:latest"}, {"Untagged": "two:latest"}, {"Deleted": image.id}]
    again = make(fresh_engine, "a", "one")
    assert {"Deleted": again.id} in fresh_engine.images.remove(again.id)


def test_shared_layers_stay(fresh_engine: Engine) -> None:
    low = make(fresh_engine, "a", "low")
    top = make(fresh_engine, "bb", "top", parent=low)
    with pytest.raises(Conflict, match="dependent child images"):
        fresh_engine.images.remove(low.id)
    assert fresh_engine.images.remove("low") == [{"Untagged": "low:latest"}]
    rows = fresh_engine.images.remove("top")
    assert [row["Deleted"] for row in rows if row.get("Deleted") in (top.id, low.id)] == [top.id, low.id]
    assert layers_of(fresh_engine) == 0


def test_containers_hold_their_image(fresh_engine: Engine) -> None:
    image = make(fresh_engine, "a", "app")
    container = fresh_engine.containers.create(ContainerConfig(image="app", cmd=("sh",)))
    with pytest.raises(
        Conflict, match=r"unable to remove repository reference 'app' \(must force\) - container"
    ):
        fresh_engine.images.remove("app")
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is being used by stopped container"):
        fresh_engine.images.remove(image.id)
    assert fresh_engine.images.prune(all=True) == ([], 0)
    fresh_engine.images.remove("app", force=True)
    assert layers_of(fresh_engine) == 1, "the container's root file system stays"
    fresh_engine.containers.remove(container.id)
    fresh_engine.system.check(repair=True)
    assert layers_of(fresh_engine) == 0


def test_pruning(fresh_engine: Engine) -> None:
    dangling, named = make(fresh_engine, "a"), make(fresh_engine, "bb", "named")
    assert fresh_engine.images.prune() == ([dangling.id], 1)
    assert fresh_engine.images.prune() == ([], 0)
    assert fresh_engine.images.prune(all=True) == ([named.id], 2)
    assert fresh_engine.images.list(all=True) == []


def test_nothing_is_collected_while_somebody_adds(fresh_engine: Engine) -> None:
    """A load that counts on a layer that is there must not lose it to a removal."""
    make(fresh_engine, "a", "app")
    with lease(fresh_engine.context):
        fresh_engine.images.remove("app")
        assert layers_of(fresh_engine) == 1
    fresh_engine.system.check(repair=True)
    assert layers_of(fresh_engine) == 0


def test_inspect_and_history(fresh_engine: Engine) -> None:
    image = make(fresh_engine, "a", "app", "other:1")
    document = fresh_engine.images.inspect("app")
    assert document["Id"] == image.id
    assert document["RepoTags"] == ["app:latest", "other:1"]
    assert document["Config"]["Cmd"] == ["sh"]
    assert document["RootFS"] == {"Type": "layers", "Layers": list(image.layers)}
    assert document["GraphDriver"]["Name"] == "overlay2"
    assert document["Created"] == "2001-09-09T01:46:40.000000001Z"
    assert fresh_engine.images.history("app").history == ()
