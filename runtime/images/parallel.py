"""Layers handled side by side: one that fails stops the others, and it is what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import Cancelled
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Stop", "raise_first", "side_by_side"]

_Result = TypeVar("_Result")


class Stop:
    """Set when the caller cancels, or by us when one of several threads has failed."""

    def __init__(self, cancel: CancelEvent | None) -> None:
        self._cancel = cancel
        self._ours = False

    def set(self) -> None:
        self._ours = True

    def is_set(self) -> bool:
        return self._ours or (self._cancel is not None and self._cancel.is_set())


def raise_first(errors: Sequence[BaseException]) -> None:
    """The failure that stopped the others: not their being stopped."""
    for error in errors:
        if not isinstance(error, Cancelled):
            raise error
    if errors:
        raise errors[0]


def side_by_side(
    ctx: Context, work: Sequence[Callable[[], _Result]], stop: Stop, *, most: int, name: str
) -> list[_Result]:
    """What each of ``work`` returns, ``most`` at a time in threads called ``name``. Raises the first failure,
    when the others have stopped: they look at ``stop``."""
    if not work:
        return []

    def run(item: Callable[[], _Result]) -> _Result:
        try:
            if stop.is_set():
                raise Cancelled("cancelled")
            return item()
        except BaseException:
            stop.set()
            raise
        finally:
            ctx.db.close()

    with ThreadPoolExecutor(min(most, len(work)), thread_name_prefix=name) as pool:
        futures = [pool.submit(run, item) for item in work]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            stop.set()
            raise
    raise_first([error for future in futures if (error := future.exception()) is not None])
    return [future.result() for future in futures]
