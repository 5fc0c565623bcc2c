"""check: is everything of this root as its database says, and can what is not be mended?

Each look is a generator of :class:`Fault`: a finding, and what mends it. Nothing is changed while looking, so
that a check without repair can be run at any time; a repair looks again at each thing under its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.model.finding import Finding
from runtime.services import check_containers, check_host, check_images
from runtime.services.fault import Fault

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["check"]

Look = Callable[["Context"], Iterator[Fault]]
_LOOKS: tuple[Look, ...] = (
    check_host.database,
    check_containers.statuses,
    check_containers.directories,
    check_containers.logs,
    check_host.mounts,
    check_host.groups,
    check_host.networks,
    check_containers.volumes,
    check_images.store,
    check_images.leftovers,
    check_images.builds,
)


def check(ctx: Context, *, repair: bool = False) -> list[Finding]:
    """Everything that is wrong, in the order in which it is mended. With ``repair`` what can be is mended;
    one whose mending fails is not, and says why. Reads every layer and blob, so it takes its time."""
    found: list[Finding] = []
    for look in _LOOKS:
        for fault in list(look(ctx)):
            found.append(_mend(fault) if repair else fault.finding)
    return found


def _mend(fault: Fault) -> Finding:
    if fault.mend is None:
        return fault.finding
    try:
        fault.mend()
    except (EngineError, OSError) as error:
        text = error.message if isinstance(error, EngineError) else str(error)
        return replace(fault.finding, hint=f"it could not be mended: {text}")
    return replace(fault.finding, mended=True)
