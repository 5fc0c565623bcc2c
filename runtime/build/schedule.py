"""Independent stages at once: a stage starts when those that it needs are done."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

from runtime.build.stages import PlannedStage
from runtime.model.event import CancelEvent

__all__ = ["Stop", "build_in_order"]


class Stop:
    """Set when the caller cancels, or when a stage has failed and the others are to give up."""

    def __init__(self, outer: CancelEvent | None) -> None:
        self._outer = outer
        self._failed = threading.Event()

    def fail(self) -> None:
        self._failed.set()

    def is_set(self) -> bool:
        return self._failed.is_set() or (self._outer is not None and self._outer.is_set())


def build_in_order(
    stages: Sequence[PlannedStage],
    build: Callable[[PlannedStage], None],
    stop: Stop,
    leave: Callable[[], None],
) -> None:
    """``build`` each stage; ``leave`` is called at the end of every thread that was begun for one. Raises the
    first error; the others, which are its consequence, are dropped."""
    if len(stages) == 1 or all(later.needs >= {earlier.stage.index} for earlier, later in pairwise(stages)):
        for planned in stages:
            build(planned)
        return
    _Schedule(stages, build, stop, leave).run()


class _Schedule:
    def __init__(
        self,
        stages: Sequence[PlannedStage],
        build: Callable[[PlannedStage], None],
        stop: Stop,
        leave: Callable[[], None],
    ) -> None:
        self._build = build
        self._stop = stop
        self._leave = leave
        self._changed = threading.Condition()
        self._waiting = list(stages)
        self._done: set[int] = set()
        self._running = 0
        self._errors: list[BaseException] = []

    def run(self) -> None:
        threads: list[threading.Thread] = []
        try:
            with self._changed:
                while self._waiting or self._running:
                    threads += self._begin()
                    if self._running:
                        self._changed.wait()
        except BaseException:
            self._stop.fail()
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]

    def _begin(self) -> list[threading.Thread]:
        """Start what can be; nothing more once something has failed."""
        if self._errors:
            self._waiting = []
        ready = [item for item in self._waiting if item.needs <= self._done]
        begun: list[threading.Thread] = []
        for planned in ready[: max(2, os.cpu_count() or 1) - self._running]:
            self._waiting.remove(planned)
            thread = threading.Thread(target=self._work, args=(planned,), name=f"build {planned.title}")
            begun.append(thread)
            thread.start()
        self._running += len(begun)
        return begun

    def _work(self, planned: PlannedStage) -> None:
        error: BaseException | None = None
        try:
            self._build(planned)
        except BaseException as caught:
            error = caught
        finally:
            self._leave()
        with self._changed:
            self._running -= 1
            if error is None:
                self._done.add(planned.stage.index)
            else:
                self._errors.append(error)
                self._stop.fail()
            self._changed.notify()
