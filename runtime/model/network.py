"""Networks."""

from __future__ import annotations

from dataclasses import field

from runtime.model.record import record

__all__ = ["Network"]


@record
class Network:
    """``bridge`` is the link's name on the host; ``subnet`` is CIDR notation."""

    id: str
    name: str
    driver: str
    created_at: int
    bridge: str = ""
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
