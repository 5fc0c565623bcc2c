"""The image that a container, a build or a service needs: found here, or pulled, as a policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidInput, NotFound, Unavailable
from runtime.images.list import get_image
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.model.image import Image

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["POLICIES", "ensure_image", "serves_platform"]

POLICIES = ("always", "missing", "never")


def ensure_image(
    ctx: Context,
    reference: str,
    *,
    platform: str = "",
    policy: str = "missing",
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> Image:
    """``policy`` is always, missing or never; an id is never pulled. Raises NotFound and InvalidInput, and
    what :func:`runtime.images.registry.pull.pull` raises. The network code is loaded for a pull only."""
    if policy not in POLICIES:
        raise InvalidInput(
            f"invalid pull option: {policy!r}", hint=f"one of {', '.join(POLICIES)}", subject=policy
        )
    found: Image | None = None
    try:
        found = get_image(ctx, reference)
    except NotFound:
        if policy == "never" or reference.startswith("sha256:"):
            raise
    if found is not None:
        named = any(_is(reference, ref) for ref in (*found.refs, *found.digests))
        if not named or (policy != "always" and serves_platform(found, platform)):
            return _checked(found, reference, platform)
        if policy == "never":
            return _checked(found, reference, platform)
    from runtime.images.registry.pull import pull

    try:
        pulled = pull(ctx, reference, platform=platform, progress=progress, cancel=cancel)
    except (NotFound, Unavailable) as error:
        if found is not None and not serves_platform(found, platform):
            error.hint = f"the image that is here is for {found.os}/{found.architecture}, not for {platform}"
        raise
    return get_image(ctx, pulled[0].image_id)


def _is(text: str, ref: str) -> bool:
    """Did the user write this name (and not an id)?"""
    try:
        wanted = Reference.parse(text)
    except InvalidInput:
        return False
    if wanted.digest:
        return ref == f"{wanted.name}@{wanted.digest}" or ref == str(wanted)
    return ref == str(wanted)


def serves_platform(image: Image, platform: str) -> bool:
    """Is it for the platform ("" for any)?"""
    if not platform:
        return True
    from runtime.images.registry.manifests import Platform

    return bool(Platform(image.os, image.architecture).score(Platform.parse(platform)))


def _checked(image: Image, reference: str, platform: str) -> Image:
    if serves_platform(image, platform):
        return image
    raise InvalidInput(
        f"image {reference} was found but does not provide the specified platform ({platform})",
        hint=f"it is for {image.os}/{image.architecture}",
        subject=platform,
    )
