"""A finding, with what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.model.finding import Finding

__all__ = ["Fault", "Mend", "fault"]

Mend = Callable[[], object]


@dataclass(frozen=True)
class Fault:
    """``mend`` may be called once; it raises EngineError or OSError. None: only the user can."""

    finding: Finding
    mend: Mend | None = None


def fault(
    kind: str,
    subject: str,
    problem: str,
    remedy: str = "",
    mend: Mend | None = None,
    *,
    hint: str = "",
) -> Fault:
    return Fault(Finding(kind, subject, problem, remedy, hint), mend)
