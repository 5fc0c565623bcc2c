"""update: other limits and another restart policy, at once where the container runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from runtime.containers import spec
from runtime.containers.control import ask, monitor_pid, turn
from runtime.context import Context
from runtime.errors import Conflict, EngineError, Failed, InvalidInput
from runtime.model.container import Container, Resources, RestartPolicy, RestartPolicyName
from runtime.store import containers as store

__all__ = ["update"]


def update(
    ctx: Context,
    reference: str,
    *,
    resources: Resources | None = None,
    restart: RestartPolicy | None = None,
) -> list[str]:
    """What is None stays; a limit of -1 (of ``cpus`` 0) is taken away. Returns what this machine cannot
    enforce, in words.

    Raises InvalidInput for contradictions, Conflict (restart policy with --rm), Failed when the kernel
    refuses.
    """
    container = store.find(ctx.db, reference)
    if restart is not None and restart.name is not RestartPolicyName.NO and container.config.auto_remove:
        raise Conflict(
            f"restart policy of {container.name} cannot be updated because AutoRemove is enabled for it",
            hint="a container that was run with --rm goes at its end",
            subject=container.name,
        )
    with turn(ctx, container.id):
        container = store.find(ctx.db, container.id)
        wanted = _merged(container, resources) if resources is not None else container.config.resources
        policy = restart or container.config.restart
        warnings: list[str] = []
        if monitor_pid(ctx, container.id) and container.state.status.alive:
            request: dict[str, Any] = {}
            if resources is not None:
                request["resources"] = _document(wanted, resources)
            if restart is not None:
                request["restart"] = (policy.name.value, policy.max_retries)
            try:
                warnings = _apply(ctx, container, request)
            except Failed:
                # The sections before the refused one are in force: back to what the database says.
                if resources is not None:
                    with suppress(EngineError):
                        before = _document(container.config.resources, resources)
                        _apply(ctx, container, {"resources": before})
                raise
        with ctx.db.write() as tx:
            config = replace(container.config, resources=_stored(wanted), restart=policy)
            store.set_config(tx, container.id, config)
            tx.event("container", "update", container.id, name=container.name, image=config.image)
    return warnings


def _apply(ctx: Context, container: Container, request: dict[str, Any]) -> list[str]:
    """Raises Failed in docker's words when the kernel takes a value for wrong."""
    try:
        return [str(item) for item in ask(ctx, container, "update", **request).get("warnings", ())]
    except Failed as error:
        reason = error.message.removeprefix(f"container {container.name}: ")
        raise Failed(
            f"cannot update container {container.name}: {reason}",
            hint="a limit below what is in use is refused by the kernel",
            subject=container.name,
        ) from error


def _asked(resources: Resources) -> dict[str, Any]:
    """The fields that are not at their default, which means "as it is"."""
    return {
        field.name: value
        for field in fields(Resources)
        if (value := getattr(resources, field.name)) != field.default
    }


def _merged(container: Container, resources: Resources) -> Resources:
    """Raises InvalidInput for what does not go together."""
    current = container.config.resources
    changes = _asked(resources)
    if "cpus" in changes and (current.cpu_quota or current.cpu_period):
        raise InvalidInput(
            "conflicting options: --cpus cannot be updated as the CPU period or quota has already been set"
        )
    if ("cpu_quota" in changes or "cpu_period" in changes) and current.cpus:
        option = "quota" if "cpu_quota" in changes else "period"
        raise InvalidInput(
            f"conflicting options: CPU {option} cannot be updated as --cpus has already been set"
        )
    memory, swap = changes.get("memory"), current.memory_swap
    if memory and memory > 0 and "memory_swap" not in changes and swap is not None and 0 < swap < memory:
        raise InvalidInput(
            "memory limit should be smaller than already set memoryswap limit,"
            " update the memoryswap at the same time",
            hint="add --memory-swap SIZE, or -1 for no limit",
        )
    merged = replace(current, **changes)
    spec.resources_document(_stored(merged))
    return merged


def _stored(resources: Resources) -> Resources:
    """Without what says "no limit": that is what None says."""
    return replace(
        resources,
        cpus=resources.cpus or None,
        cpu_quota=resources.cpu_quota if resources.cpu_quota and resources.cpu_quota > 0 else None,
        pids_limit=resources.pids_limit if resources.pids_limit and resources.pids_limit > 0 else None,
    )


def _document(merged: Resources, asked: Resources) -> dict[str, Any]:
    """The sections of the OCI's resources that are touched; a limit that ``merged`` does not have is -1."""
    document = spec.resources_document(_stored(merged))
    changes = _asked(asked)
    touched = {section for section, names in _SECTIONS.items() if any(name in changes for name in names)}
    if "cpus" in changes or "cpu_quota" in changes:
        document.setdefault("cpu", {}).setdefault("quota", -1)
    if "memory" in changes and "limit" not in document.get("memory", {}):
        document.setdefault("memory", {}).update(limit=-1, swap=-1)
    if "pids_limit" in changes:
        document.setdefault("pids", {"limit": -1})
    return {name: values for name, values in document.items() if name in touched}


_SECTIONS = {
    "cpu": ("cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus", "cpuset_mems"),
    "memory": ("memory", "memory_reservation", "memory_swap", "oom_kill_disable"),
    "pids": ("pids_limit",),
    "blockIO": ("blkio_weight",),
}
