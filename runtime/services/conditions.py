"""Waiting for containers: depends_on's conditions, and ``up --wait``."""

from __future__ import annotations

import time

from runtime.compose.project import COMPLETED, HEALTHY, Dependency, ServiceSpec
from runtime.containers.list import get_container
from runtime.context import Context
from runtime.errors import Cancelled, EngineError, Failed
from runtime.model.container import Container, ContainerStatus
from runtime.services.report import Report
from runtime.services.status import project_containers

__all__ = ["await_dependencies", "await_ready"]

_PERIOD = 0.05


def await_dependencies(ctx: Context, project: str, service: ServiceSpec, report: Report) -> None:
    """Until every condition of ``service`` holds. Raises Failed when one cannot hold any more, unless the
    dependency is not required."""
    for dependency in service.depends_on:
        if dependency.condition not in (HEALTHY, COMPLETED):
            continue
        for container in project_containers(ctx, project, (dependency.service,)):
            try:
                _await(ctx, dependency, container, report)
            except Cancelled:
                raise
            except EngineError as error:
                if dependency.required:
                    raise
                report(f"Container {container.name}", f"Skipped: {error.message}", done=True)


def _await(ctx: Context, dependency: Dependency, container: Container, report: Report) -> None:
    step = f"Container {container.name}"
    report(step, "Waiting")
    if dependency.condition == HEALTHY:
        _until_healthy(ctx, container, report, None)
        report(step, "Healthy", done=True)
        return
    while True:
        state = get_container(ctx, container.id).state
        if state.status in (ContainerStatus.EXITED, ContainerStatus.DEAD):
            break
        _pause(report, None, container)
    if state.exit_code != 0:
        raise Failed(
            f"service {dependency.service} did not complete successfully: exit {state.exit_code}",
            hint=f"tuidock logs {container.name} shows why",
            subject=container.name,
        )
    report(step, "Exited", done=True)


def await_ready(ctx: Context, containers: list[Container], report: Report, timeout: float | None) -> None:
    """``--wait``: each is healthy, runs without a health check, or has ended with 0. Raises Failed."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for container in containers:
        step = f"Container {container.name}"
        report(step, "Waiting")
        current = get_container(ctx, container.id)
        check = current.config.healthcheck
        if check is not None and check.test[:1] != ("NONE",):
            ended = _until_healthy(ctx, current, report, deadline, may_end=True)
            report(step, "Exited" if ended else "Healthy", done=True)
            continue
        while current.state.status in (ContainerStatus.CREATED, ContainerStatus.RESTARTING):
            _pause(report, deadline, current)
            current = get_container(ctx, container.id)
        ended = current.state.status is not ContainerStatus.RUNNING
        if ended and current.state.exit_code != 0:
            raise _ended(current)
        report(step, "Exited" if ended else "Healthy", done=True)


def _until_healthy(
    ctx: Context, container: Container, report: Report, deadline: float | None, *, may_end: bool = False
) -> bool:
    """True when it has ended with 0 instead, where that is allowed."""
    while True:
        current = get_container(ctx, container.id)
        check = current.config.healthcheck
        if check is None or check.test[:1] == ("NONE",):
            raise Failed(
                f"container {current.name} has no healthcheck configured",
                hint="give its service a healthcheck, or depend on service_started",
                subject=current.name,
            )
        if not current.state.status.alive:
            if may_end and current.state.status is ContainerStatus.EXITED and current.state.exit_code == 0:
                return True
            raise _ended(current)
        health = current.state.health.status if current.state.health else "starting"
        if health == "healthy":
            return False
        if health == "unhealthy":
            raise Failed(
                f"container {current.name} is unhealthy",
                hint=f"tuidock inspect {current.name} shows the check's output",
                subject=current.name,
            )
        _pause(report, deadline, current)


def _ended(container: Container) -> Failed:
    return Failed(
        f"container {container.name} exited ({container.state.exit_code})",
        hint=f"tuidock logs {container.name} shows why",
        subject=container.name,
    )


def _pause(report: Report, deadline: float | None, container: Container) -> None:
    report.check()
    if deadline is not None and time.monotonic() > deadline:
        raise Failed(f"timed out waiting for container {container.name}", subject=container.name)
    time.sleep(_PERIOD)
