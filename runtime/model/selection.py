"""What ``prune --filter`` leaves: labels that must or must not be there, and an age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.model.record import record

__all__ = ["Selection"]


@record
class Selection:
    """``labels`` ("NAME" or "NAME=VALUE") must all be there, none of ``without`` may; ``until`` (nanoseconds)
    keeps what was created later."""

    labels: Sequence[str] = ()
    without: Sequence[str] = ()
    until: int | None = None

    def takes(self, labels: Mapping[str, str], created_at: int) -> bool:
        if self.until is not None and created_at > self.until:
            return False
        return all(_has(labels, text) for text in self.labels) and not any(
            _has(labels, text) for text in self.without
        )


def _has(labels: Mapping[str, str], text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in labels and (not equals or labels[name] == value)
