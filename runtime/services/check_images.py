"""The content store, the layers and what builds left."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from runtime.images import check, sweep
from runtime.services.fault import Fault, fault

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["builds", "leftovers", "store"]


def store(ctx: Context) -> Iterator[Fault]:
    """Every blob and layer against its digest; a layer is unpacked anew where its blob is sound."""
    for damage in check.damages(ctx):
        if damage.layer:
            mend = partial(check.unpack_anew, ctx, damage.layer)
            yield fault(*damage.named, "unpack it anew from its content", mend)
        else:
            yield fault(*damage.named, hint="load, pull or build it again: what is damaged is replaced")


def leftovers(ctx: Context) -> Iterator[Fault]:
    """What nobody makes any more and nobody names."""
    for kind, name, problem in sweep.leftovers(ctx):
        yield fault(kind, name, problem, "remove it", partial(sweep.sweep, ctx))


def builds(ctx: Context) -> Iterator[Fault]:
    """Directories of builds that are dead."""
    from runtime.build.sweep import abandoned
    from runtime.build.sweep import sweep as sweep_builds

    for path in abandoned(ctx):
        mend = partial(sweep_builds, ctx)
        yield fault("build directory", str(path), "its build is dead", "remove it", mend)
