"""Another name for an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidInput
from runtime.images.create import set_reference
from runtime.images.list import find_image_id
from runtime.images.reference import Reference

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["tag"]


def tag(ctx: Context, source: str, target: str) -> None:
    """A name that another image had moves. Raises NotFound, InvalidInput."""
    reference = Reference.parse(target)
    if reference.digest:
        raise InvalidInput(
            f"cannot tag {target!r}: a name with a digest cannot be given",
            hint="use NAME:TAG",
            subject=target,
        )
    with ctx.db.write() as tx:
        set_reference(tx, reference, find_image_id(tx, source))
