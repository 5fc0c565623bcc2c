"""Where a container's control group is."""

from __future__ import annotations

from runtime.context import Context
from runtime.model.container import ContainerConfig

__all__ = ["cgroup_path"]


def cgroup_path(ctx: Context, container_id: str, config: ContainerConfig | None) -> str:
    """Below ``--cgroup-parent``, taken from the hierarchy's root, else below our own group."""
    parent = "/".join(part for part in (config.cgroup_parent if config else "").split("/") if part != ".")
    return (
        f"/{parent.strip('/')}/{container_id}" if parent.strip("/") else f"{ctx.cgroup_parent}/{container_id}"
    )
