"""The interface's words for states, sizes, times and ports: pure functions, no Textual.

A cell is a tuple of spans, a span is (text, role). A role names a meaning ("good", "bad", "dim" ...);
the theme gives it a colour, and the text alone must say the same thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.model.container import Container, PortBinding

__all__ = [
    "PROJECT_LABEL",
    "SERVICE_LABEL",
    "Cell",
    "Span",
    "age",
    "cell",
    "familiar",
    "percent",
    "plain",
    "ports",
    "service_of",
    "size",
    "state",
]

Span = tuple[str, str]
Cell = tuple[Span, ...]

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def cell(text: str, role: str = "") -> Cell:
    return ((text, role),)


def plain(spans: Cell) -> str:
    """The text of a cell, without its roles."""
    return "".join(text for text, _ in spans)


def size(amount: float) -> str:
    """Bytes in at most four significant characters and a binary unit: ``12.3 MiB``."""
    value = float(max(amount, 0))
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1024
    if unit == "B":
        return f"{value:.0f} B"
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def percent(value: float) -> str:
    """A share of one core, as docker writes it: 100 is one busy core."""
    return f"{value:.1f}%" if value < 100 else f"{value:.0f}%"


def age(nanoseconds: int) -> str:
    """A span of time in one unit: ``5s``, ``12m``, ``3h``, ``4d``, ``6w``, ``2y``."""
    seconds = max(nanoseconds // 1_000_000_000, 0)
    for unit, length in (("y", 31_536_000), ("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length * (2 if unit == "w" else 1):
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def state(container: Container, doing: str = "") -> Cell:
    """What a container is or is becoming: a sign, a word and, once it has ended, the exit code."""
    if doing:
        return (("◌ ", "warn"), (doing, "warn"))
    now = container.state
    status = now.status.value
    if status == "running":
        health = now.health.status if now.health is not None else ""
        if health == "unhealthy":
            return (("● ", "bad"), ("unhealthy", "bad"))
        if health == "healthy":
            return (("● ", "good"), ("healthy", "good"))
        if health:
            return (("● ", "warn"), ("starting", "warn"))
        return (("● ", "good"), ("running", "good"))
    if status == "paused":
        return (("⏸ ", "warn"), ("paused", "warn"))
    if status == "restarting":
        return (("↻ ", "warn"), (f"restarting {now.exit_code}", "warn"))
    if status == "exited":
        if now.oom_killed:
            return (("✗ ", "bad"), (f"OOM {now.exit_code}", "bad"))
        if now.exit_code:
            return (("✗ ", "bad"), (f"exited {now.exit_code}", "bad"))
        return (("○ ", "dim"), ("exited 0", "dim"))
    if status == "created":
        return (("○ ", "bad"), ("failed", "bad")) if now.error else (("○ ", "dim"), ("created", "dim"))
    return (("✗ ", "bad"), (status, "bad"))


def ports(bindings: Iterable[PortBinding]) -> str:
    """``4000→80`` for every binding, with the address when it is not all of them, without repeats."""
    seen: dict[str, None] = {}
    for binding in bindings:
        host = "" if binding.host_ip in ("", "0.0.0.0", "::") else f"{binding.host_ip}:"
        protocol = "" if binding.protocol == "tcp" else f"/{binding.protocol}"
        published = f"{host}{binding.host_port}→" if binding.host_port else ""
        seen[f"{published}{binding.container_port}{protocol}"] = None
    return ", ".join(seen)


def familiar(reference: str) -> str:
    """An image reference without the registry and tag that everyone leaves out."""
    return reference.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")


def service_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """(project, service) of a container's labels; empty strings when it belongs to none."""
    return labels.get(PROJECT_LABEL, ""), labels.get(SERVICE_LABEL, "")
