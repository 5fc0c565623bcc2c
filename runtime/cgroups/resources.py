"""Reading the OCI's ``linux.resources`` (runtime-spec config-linux.md, "Control groups")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["integer", "section", "throttles", "weights"]


def section(resources: Mapping[str, object], name: str) -> Mapping[str, object]:
    """One of cpu, memory, pids, blockIO; empty when it is not asked for."""
    found = resources.get(name)
    return found if isinstance(found, dict) else {}


def integer(values: Mapping[str, object], key: str) -> int | None:
    """A number that may be absent."""
    found = values.get(key)
    return found if isinstance(found, int) else None


def throttles(block: Mapping[str, object], key: str) -> list[tuple[str, int]]:
    """("major:minor", rate) pairs."""
    found = block.get(key)
    out = []
    for item in found if isinstance(found, (list, tuple)) else ():
        out.append((f"{item['major']}:{item['minor']}", int(item["rate"])))
    return out


def weights(block: Mapping[str, object]) -> list[tuple[str, int]]:
    """("major:minor", weight) pairs of ``weightDevice``."""
    found = block.get("weightDevice")
    out = []
    for item in found if isinstance(found, (list, tuple)) else ():
        out.append((f"{item['major']}:{item['minor']}", int(item["weight"])))
    return out
