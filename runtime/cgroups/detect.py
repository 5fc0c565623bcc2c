"""Which version this machine has."""

from __future__ import annotations

from runtime.kernel import mountinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from runtime.cgroups.v1 import LegacyBackend
    from runtime.cgroups.v2 import UnifiedBackend

    Backend: TypeAlias = LegacyBackend | UnifiedBackend

__all__ = ["detect"]

_backend: Backend | None = None


def detect() -> Backend:
    """The backend, found once a process. Without any cgroup mount it is a v1 backend with no controllers,
    which warns about every limit."""
    global _backend
    if _backend is None:
        entries = [
            entry for entry in mountinfo.read(contains=" - cgroup") if entry.fstype.startswith("cgroup")
        ]
        unified = [entry for entry in entries if entry.fstype == "cgroup2"]
        legacy = [entry for entry in entries if entry.fstype == "cgroup"]
        if unified and not legacy:
            from runtime.cgroups.v2 import UnifiedBackend

            _backend = UnifiedBackend(unified[0].mount_point)
        else:
            from runtime.cgroups.v1 import LegacyBackend

            _backend = LegacyBackend(legacy)
    return _backend
