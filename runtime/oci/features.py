"""What the runtime can do (runtime-spec features.md), and the document to start a bundle from."""

from __future__ import annotations

from typing import Any

from runtime import cgroups
from runtime.containers import defaults
from runtime.kernel import apparmor, capabilities
from runtime.oci.mount_options import OPTIONS

__all__ = ["VERSIONS", "default_document", "features"]

VERSIONS = ("1.0.0", "1.0.2")
"""The oldest and the newest ociVersion that we follow."""
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_ACTIONS = (
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
)  # fmt: skip


def features() -> dict[str, Any]:
    """The features document."""
    version = cgroups.detect().version
    return {
        "ociVersionMin": VERSIONS[0],
        "ociVersionMax": VERSIONS[1],
        "hooks": list(_HOOKS),
        "mountOptions": OPTIONS,
        "linux": {
            "namespaces": sorted((*defaults.NAMESPACES, "user")),
            "capabilities": list(capabilities.NAMES[: capabilities.last_cap() + 1]),
            "cgroup": {
                "v1": version == 1, "v2": version == 2, "systemd": False, "systemdUser": False, "rdma": False,
            },
            "seccomp": {"enabled": True, "actions": list(_ACTIONS)},
            "apparmor": {"enabled": apparmor.in_kernel()},
            "selinux": {"enabled": False},
        },
    }  # fmt: skip


def default_document() -> dict[str, Any]:
    """A shell on a terminal, with the engine's own defaults."""
    caps = list(defaults.CAPABILITIES)
    return {
        "ociVersion": VERSIONS[1],
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [defaults.ENVIRONMENT_PATH, "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "tuidock",
        "mounts": [dict(mount) for mount in defaults.MOUNTS],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in defaults.NAMESPACES],
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }
