"""Events, with docker's types and actions; and what long verbs tell of their progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Protocol

from runtime.model.record import record

__all__ = ["CancelEvent", "Event", "Progress", "ProgressCallback"]


@record
class Event:
    """``type`` is container, image, network, volume, builder or service; ``action`` is docker's:
    create start die stop kill restart pause unpause oom destroy rename attach exec_start exec_die
    health_status resize update, tag untag delete import load pull push save, connect disconnect,
    mount unmount prune."""

    seq: int
    time: int
    type: str
    action: str
    actor: str
    attributes: dict[str, str] = field(default_factory=dict)


@record
class Progress:
    """One step of a long verb. ``id`` names the step or layer (stable over its life); ``current`` and
    ``total`` are in ``unit`` ("bytes", "steps", "files"); ``line`` is raw output of what is being run,
    ``error`` why a step of a build (which is then ``done``) failed. A ``note`` is a line of
    the engine's own."""

    id: str
    stage: str
    current: int | None = None
    total: int | None = None
    unit: str = "bytes"
    line: str | None = None
    done: bool = False
    error: str = ""
    note: bool = False


ProgressCallback = Callable[[Progress], None]


class CancelEvent(Protocol):
    """What a long verb looks at between steps; a ``threading.Event`` fits."""

    def is_set(self) -> bool: ...
