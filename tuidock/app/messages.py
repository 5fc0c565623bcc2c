"""What the threads tell the app. Everything in them is frozen or handed over for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from runtime.model.container import Container
    from runtime.model.event import Event
    from runtime.model.stats import ContainerStats
    from tuidock.app.board import Snapshot

__all__ = ["Begun", "Done", "Failed", "Observed", "Sampled", "Stepped", "Unreadable"]


class Observed(Message):
    """The engine's objects have changed; ``events`` tells how, as far as it was told."""

    def __init__(self, snapshot: Snapshot, events: Sequence[Event] = ()) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.events = tuple(events)


class Sampled(Message):
    """One sample of each container that was asked for."""

    def __init__(self, samples: Sequence[ContainerStats]) -> None:
        super().__init__()
        self.samples = tuple(samples)


class Unreadable(Message):
    """The observer could not read; ``error`` None says that it can again."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__()
        self.error = error


class Stepped(Message):
    """A long action has come this far, in one line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Begun(Message):
    """An action that had to wait for another one on the same row is being carried out now."""

    def __init__(self, keys: tuple[str, ...], doing: str) -> None:
        super().__init__()
        self.keys = keys
        self.doing = doing


class Done(Message):
    """An action has been carried out. ``containers`` are those it acted on, as they are now."""

    def __init__(self, keys: tuple[str, ...], text: str, containers: Sequence[Container] = ()) -> None:
        super().__init__()
        self.keys = keys
        self.text = text
        self.containers = tuple(containers)


class Failed(Message):
    """An action could not be carried out: which, and why."""

    def __init__(
        self, keys: tuple[str, ...], text: str, error: BaseException, containers: Sequence[Container] = ()
    ) -> None:
        super().__init__()
        self.keys = keys
        self.text = text
        self.error = error
        self.containers = tuple(containers)
