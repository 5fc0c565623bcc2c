"""Small builds for tests: a context from a dict, a build, and the tree that came out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runtime.build.options import BuildOptions, BuildResult
from runtime.engine import Engine
from runtime.images.layer_view import LayerView, Node
from runtime.images.layers import layer_paths
from runtime.model.event import Progress

__all__ = ["Recorder", "build", "fill", "read", "tree", "view"]


class Recorder:
    """Keeps the progress events of a build."""

    def __init__(self) -> None:
        self.events: list[Progress] = []

    def __call__(self, event: Progress) -> None:
        self.events.append(event)

    @property
    def ends(self) -> list[str]:
        return [event.stage for event in self.events if event.done]

    @property
    def lines(self) -> list[str]:
        return [event.line for event in self.events if event.line is not None]


def fill(directory: Path, files: dict[str, str | bytes | None]) -> Path:
    """Text or bytes make a file, None a directory, "-> target" a symbolic link."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def build(
    engine: Engine, context: Path, dockerfile: str, *, recorder: Recorder | None = None, **options: object
) -> BuildResult:
    """Build with this Dockerfile's text, untagged unless ``tags`` says otherwise."""
    (context / "Dockerfile").write_text(dockerfile)
    made = BuildOptions(context=context, **options)  # type: ignore[arg-type]  # the caller's words
    return engine.build(made, progress=recorder)


def view(engine: Engine, image: str) -> LayerView:
    layers = list(engine.images.get(image).layers)
    return LayerView(layer_paths(engine.context, layers))


def tree(engine: Engine, image: str) -> dict[str, str]:
    """Path to "mode uid:gid content", links as "-> target", directories with a slash at the path's end."""
    merged = view(engine, image)
    found: dict[str, str] = {}

    def walk(directory: Node) -> None:
        for node in merged.children(directory):
            owner = f"{node.stat.st_uid}:{node.stat.st_gid}"
            mode = f"{stat.S_IMODE(node.stat.st_mode):o}"
            if node.is_directory:
                found[f"{node.path}/"] = f"{mode} {owner}"
                walk(node)
            elif node.is_link:
                found[node.path] = f"-> {os.readlink(node.real)}"
            else:
                found[node.path] = f"{mode} {owner} {Path(node.real).read_text(errors='replace')}"

    root = merged.root
    if root is not None:
        walk(root)
    return found


def read(engine: Engine, image: str, path: str) -> str:
    """A file's text, links followed inside the image."""
    data = view(engine, image).read(path)
    assert data is not None, f"the image has no file {path}"
    return data.decode()
