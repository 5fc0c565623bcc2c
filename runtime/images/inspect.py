"""docker's image inspect document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.images.layer_index import layer_paths
from runtime.images.list import get_image
from runtime.images.oci import container_config, format_time
from runtime.images.reference import Reference
from runtime.model.image import Image
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["inspect"]


def inspect(ctx: Context, reference: str) -> dict[str, Any]:
    """Raises NotFound, InvalidInput."""
    image = get_image(ctx, reference)
    row = rows.get_image(ctx.db, image.id)
    return {
        "Id": image.id,
        "RepoTags": [Reference.parse(ref).familiar() for ref in image.refs],
        "RepoDigests": [Reference.parse(ref).familiar() for ref in image.digests],
        "Parent": image.parent,
        "Comment": image.history[-1].comment if image.history else "",
        "Created": format_time(image.created_at),
        "DockerVersion": "",
        "Author": image.author,
        "Config": _config(image),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "GraphDriver": {"Data": _directories(ctx, image), "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": format_time(row.added_at if row else 0)},
    }


def _config(image: Image) -> dict[str, Any]:
    """docker names every field, whether it is set or not."""
    given = container_config(image.config)
    document: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    document.update(given)
    return document


def _directories(ctx: Context, image: Image) -> dict[str, str]:
    """The unpacked layers, as overlayfs would be given them: highest first."""
    paths = [str(path) for path in reversed(layer_paths(ctx, image.layers))]
    data: dict[str, str] = {}
    if len(paths) > 1:
        data["LowerDir"] = ":".join(paths[1:])
    if paths:
        data["UpperDir"] = paths[0]
    return data
