"""AppArmor: is it in this kernel, and which profiles has it (Documentation/admin-guide/LSM/apparmor.rst)."""

from __future__ import annotations

__all__ = ["DEFAULT", "in_kernel", "profiles"]

DEFAULT = "tuidock-default"
"""The profile that containers get unless asked otherwise (``containers/apparmor.py`` has its text)."""

_ENABLED = "/sys/module/apparmor/parameters/enabled"
_PROFILES = "/sys/kernel/security/apparmor/profiles"


def in_kernel() -> bool:
    """Compiled in, and not switched off."""
    try:
        with open(_ENABLED, "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def profiles() -> set[str] | None:
    """The names of those that are loaded; None where securityfs is not to be seen."""
    try:
        with open(_PROFILES, encoding="utf-8", errors="surrogateescape") as file:
            return {line.rpartition(" (")[0] for line in file}
    except OSError:
        return None
