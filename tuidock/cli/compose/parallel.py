"""One verb on several containers at once, with compose's lines of progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from runtime.model.event import Progress

if TYPE_CHECKING:
    from runtime.model.container import Container
    from tuidock.cli.compose.target import Target

__all__ = ["on_each"]

_AT_ONCE = 8


def on_each(
    target: Target,
    containers: Sequence[Container],
    doing: str,
    done: str,
    action: Callable[[str], object],
) -> None:
    """``action`` on every id. Raises the first failure when all have ended; the others are reported. Ctrl-C
    leaves at once: what has begun goes on by itself."""
    from tuidock.cli.command import report

    failures: list[Exception] = []
    with target.progress(doing, interruptible=True) as (show, _cancel):

        def work(container: Container) -> None:
            step = f"Container {container.name}"
            show(Progress(step, doing))
            try:
                action(container.id)
            except Exception as error:
                failures.append(error)
                show(Progress(step, "Error", done=True))
            else:
                show(Progress(step, done, done=True))

        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            list(pool.map(work, containers))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    for error in failures[1:]:
        report(error)
    if failures:
        raise failures[0]
