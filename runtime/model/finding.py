"""What a check of a root found."""

from __future__ import annotations

from runtime.model.record import record

__all__ = ["Finding"]


@record
class Finding:
    """``subject`` names the thing, ``problem`` says what is wrong with it. ``remedy`` is what a repair does,
    in the imperative; "" when only the user can: then ``hint`` says how. ``mended``: it has been done."""

    kind: str
    subject: str
    problem: str
    remedy: str = ""
    hint: str = ""
    mended: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.problem}"
