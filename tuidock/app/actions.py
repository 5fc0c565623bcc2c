"""Every action on the engine's objects, as data: its key, when it applies, and the one verb it calls.

The app shows, confirms and runs them; nothing here knows Textual. Each ``call`` runs in a thread of its
own and returns the line that tells what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from runtime.errors import NotFound
from runtime.model.container import ContainerStatus
from tuidock.app.wording import PROJECT_LABEL

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.event import ProgressCallback
    from runtime.services.project import ServiceStatus

__all__ = ["ACTIONS", "Action", "Subject", "of_pane", "project_of"]


@dataclass(frozen=True)
class Subject:
    """One row that an action is for: the pane it is in, its key there, its name in words, what it is."""

    pane: str
    key: str
    name: str
    item: object


Call = Callable[["Engine", Subject, "ProgressCallback"], str]


@dataclass(frozen=True)
class Action:
    """``calls`` maps the panes where the action exists to its verb. ``doing`` is what the row shows
    meanwhile. ``refuse`` says why it does not apply to a row, or "". A ``dangerous`` one asks first, with
    ``question`` ("{name}" and "{project}" are filled in). An ``urgent`` one does not wait
    for what is being done to the row."""

    id: str
    keys: str
    title: str
    calls: Mapping[str, Call] = field(repr=False)
    doing: Callable[[Subject], str] = field(repr=False)
    refuse: Callable[[Subject], str] = field(default=lambda subject: "", repr=False)
    dangerous: bool = False
    question: str = ""
    footer: bool = False
    urgent: bool = False


def _word(text: str) -> Callable[[Subject], str]:
    return lambda subject: text


# -- containers


def _container(subject: Subject) -> Container:
    return cast("Container", subject.item)


def _start(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.containers.start(subject.key)
    return f"started {subject.name}"


def _toggle(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    """Reads the state anew: the screen may be a moment old."""
    if engine.containers.get(subject.key).state.status.alive:
        return _stop(engine, subject, progress)
    return _start(engine, subject, progress)


def _stop(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.containers.stop(subject.key)
    return f"stopped {subject.name}"


def _restart(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.containers.restart(subject.key)
    return f"restarted {subject.name}"


def _pause(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    if engine.containers.get(subject.key).state.status is ContainerStatus.PAUSED:
        engine.containers.unpause(subject.key)
        return f"unpaused {subject.name}"
    engine.containers.pause(subject.key)
    return f"paused {subject.name}"


def _kill(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.containers.kill(subject.key)
    return f"killed {subject.name}"


def _remove(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.containers.remove(subject.key, force=True)
    return f"removed {subject.name}"


# -- services and projects


def _service(subject: Subject) -> ServiceStatus:
    return cast("ServiceStatus", subject.item)


def _each(
    engine: Engine,
    subject: Subject,
    verb: Callable[[str], object],
    only: Callable[[Container], bool] = lambda container: True,
) -> int:
    """Run a verb on the service's containers side by side; the first failure is raised after all ended."""
    from concurrent.futures import ThreadPoolExecutor

    service = _service(subject)
    containers = [
        container
        for container in engine.services.project_containers(service.project, (service.service,))
        if only(container)
    ]
    if not containers:
        return 0
    with ThreadPoolExecutor(min(len(containers), 16)) as pool:
        pending = [pool.submit(verb, container.id) for container in containers]
    for each in pending:
        each.result()
    return len(containers)


def _replicas(count: int) -> str:
    return "1 container" if count == 1 else f"{count} containers"


def _service_start(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    count = _each(engine, subject, engine.containers.start, lambda c: not c.state.status.alive)
    return f"started {_replicas(count)} of {subject.name}"


def _service_stop(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    count = _each(engine, subject, engine.containers.stop, lambda c: c.state.status.alive)
    return f"stopped {_replicas(count)} of {subject.name}"


def _service_toggle(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    if _service(subject).running:
        return _service_stop(engine, subject, progress)
    return _service_start(engine, subject, progress)


def _service_restart(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    return f"restarted {_replicas(_each(engine, subject, engine.containers.restart))} of {subject.name}"


def _service_kill(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    count = _each(engine, subject, engine.containers.kill, lambda c: c.state.status.alive)
    return f"killed {_replicas(count)} of {subject.name}"


def _service_remove(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    count = _each(engine, subject, lambda key: engine.containers.remove(key, force=True))
    return f"removed {_replicas(count)} of {subject.name}"


def _scale(engine: Engine, subject: Subject, progress: ProgressCallback, step: int) -> str:
    service = _service(subject)
    replicas = max(service.replicas + step, 0)
    engine.services.scale_service(service.project, service.service, replicas, progress=progress)
    return f"{subject.name} scaled to {replicas}"


def _up(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    """Bring up the whole project, from the compose files that its containers remember."""
    name = project_of(subject)
    labels = next((found.config.labels for found in engine.services.project_containers(name)), {})
    files = [Path(file) for file in labels.get(f"{PROJECT_LABEL}.config_files", "").split(",") if file]
    missing = next((str(file) for file in files if not file.is_file()), f"the compose file of {name}")
    if not files or missing != f"the compose file of {name}":
        raise NotFound(
            f"{missing} does not exist any more",
            hint="run tuidock compose up in the project's directory",
            subject=name,
        )
    directory = labels.get(f"{PROJECT_LABEL}.working_dir", "")
    project = engine.services.load(
        files, project_name=name, project_directory=Path(directory) if directory else None
    )
    engine.services.up(project, progress=progress)
    return f"project {name} is up"


def project_of(subject: Subject) -> str:
    """The compose project that a row belongs to, or ""."""
    if subject.pane == "services":
        return _service(subject).project
    if subject.pane != "containers":
        return ""
    return _container(subject).config.labels.get(PROJECT_LABEL, "")


def _down(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    project = project_of(subject)
    engine.services.down(project, progress=progress)
    return f"project {project} is down"


# -- images, networks, volumes


def _remove_image(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.images.remove(subject.key)
    return f"removed image {subject.name}"


def _remove_network(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.networks.remove(subject.key)
    return f"removed network {subject.name}"


def _remove_volume(engine: Engine, subject: Subject, progress: ProgressCallback) -> str:
    engine.volumes.remove(subject.key)
    return f"removed volume {subject.name}"


# -- when they apply, and what the row shows


def _alive(subject: Subject) -> bool:
    if subject.pane == "services":
        return _service(subject).running > 0
    return _container(subject).state.status.alive


def _not_alive(subject: Subject) -> str:
    return "" if _alive(subject) else f"{subject.name} is not running"


def _already(subject: Subject) -> str:
    if subject.pane == "services":
        service = _service(subject)
        return f"{subject.name} is running" if service.running >= max(service.replicas, 1) else ""
    return f"{subject.name} is running" if _alive(subject) else ""


def _no_project(subject: Subject) -> str:
    return "" if project_of(subject) else f"{subject.name} belongs to no project"


def _toggling(subject: Subject) -> str:
    return "stopping…" if _alive(subject) else "starting…"


def _pausing(subject: Subject) -> str:
    paused = _container(subject).state.status is ContainerStatus.PAUSED
    return "resuming…" if paused else "pausing…"


ACTIONS: tuple[Action, ...] = (
    Action(
        "toggle",
        "s",
        "Start or stop",
        {"containers": _toggle, "services": _service_toggle},
        _toggling,
        footer=True,
    ),
    Action(
        "start",
        "S",
        "Start",
        {"containers": _start, "services": _service_start},
        _word("starting…"),
        _already,
    ),
    Action(
        "stop", "", "Stop", {"containers": _stop, "services": _service_stop}, _word("stopping…"), _not_alive
    ),
    Action(
        "restart",
        "r",
        "Restart",
        {"containers": _restart, "services": _service_restart},
        _word("restarting…"),
        footer=True,
    ),
    Action("pause", "p", "Pause or resume", {"containers": _pause}, _pausing, _not_alive),
    Action(
        "kill",
        "ctrl+k",
        "Kill",
        {"containers": _kill, "services": _service_kill},
        _word("killing…"),
        _not_alive,
        footer=True,
        urgent=True,
    ),
    Action(
        "remove",
        "d,delete",
        "Remove",
        {
            "containers": _remove,
            "services": _service_remove,
            "images": _remove_image,
            "networks": _remove_network,
            "volumes": _remove_volume,
        },
        _word("removing…"),
        dangerous=True,
        question="Remove {name}?",
        footer=True,
    ),
    Action(
        "scale_up",
        "greater_than_sign",
        "One replica more",
        {"services": lambda engine, subject, progress: _scale(engine, subject, progress, 1)},
        _word("scaling…"),
    ),
    Action(
        "scale_down",
        "less_than_sign",
        "One replica fewer",
        {"services": lambda engine, subject, progress: _scale(engine, subject, progress, -1)},
        _word("scaling…"),
    ),
    Action(
        "up",
        "u,U",
        "Bring the project up",
        {"services": _up, "containers": _up},
        _word("coming up…"),
        _no_project,
    ),
    Action(
        "down",
        "D",
        "Take the project down",
        {"services": _down, "containers": _down},
        _word("going down…"),
        _no_project,
        dangerous=True,
        question="Stop and remove all containers and networks of the project {project}?",
    ),
)


def of_pane(pane: str) -> tuple[Action, ...]:
    """The actions that exist in a pane, in the order of menus."""
    return tuple(action for action in ACTIONS if pane in action.calls)
