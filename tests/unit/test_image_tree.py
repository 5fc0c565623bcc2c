"""The layers of images as a tree: what is shared stands once."""

from __future__ import annotations

from runtime.model.image import ImageSummary
from tuidock.cli.image_tree import tree_table


def image(name: str, tag: str = "latest") -> ImageSummary:
    return ImageSummary(f"sha256:{name * 64}", name if tag != "<none>" else "<none>", tag, 1, 1)


def test_shared_layers_stand_once_and_branches_below() -> None:
    base, one, two = {"sha256:b0": 1000}, {"sha256:11": 20}, {"sha256:22": 30}
    layers = {
        image("a").id: base,
        image("c").id: {**base, **one},
        image("d").id: {**base, **two, "sha256:33": 5},
        image("e").id: {},
    }
    images = [image("a"), image("c"), image("d"), image("d", "<none>"), image("e")]
    assert tree_table(images, layers).splitlines() == [
        "LAYER     SIZE      SHARED BY   IMAGES",
        "(none)    0B                    e:latest",
        "b0        1kB       3           a:latest",
        "├─ 11     20B       1           c:latest",
        "└─ 22     30B       1           ",
        "   33     5B        1           d:latest, dddddddddddd",
    ]
