"""A service's limits, its ``deploy`` section and its restart policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from runtime.compose.schema import SECTIONS
from runtime.compose.values import Value
from runtime.model.container import Resources, RestartPolicy, RestartPolicyName
from runtime.model.parse import parse_restart

__all__ = ["Deploy", "deploy", "resources", "ulimits"]

T = TypeVar("T")
Warn = Callable[[str], None]
_MODES = ("replicated", "global", "replicated-job", "global-job")


@dataclass(frozen=True)
class Deploy:
    replicas: int
    mode: str
    restart: RestartPolicy
    start_first: bool


def deploy(service: Value, warn: Warn) -> Deploy:
    """``deploy``, ``scale`` and ``restart`` together."""
    section = service.get("deploy")
    scale = service.get("scale")
    replicas = scale.integer() if scale else None
    mode, start_first = "replicated", False
    restart = _restart(service)
    if section:
        section.known_keys(SECTIONS["deploy"])
        asked = section.get("mode")
        mode = asked.choice(*_MODES) if asked else mode
        count = section.get("replicas")
        if count:
            if scale and replicas != count.integer():
                raise count.wrong(f"scale says {replicas}", hint="give one of scale and deploy.replicas")
            replicas = count.integer()
        policy = section.get("restart_policy")
        if policy:
            restart = _restart_policy(policy, warn)
        start_first = _update_config(section, warn)
        for key in ("endpoint_mode", "placement"):
            ignored = section.get(key)
            if ignored:
                warn(f"{ignored.path} is not supported and ignored")
        placement = section.get("placement")
        if placement:
            placement.known_keys(SECTIONS["placement"])
    if mode.startswith("global"):
        replicas = 1
    return Deploy(1 if replicas is None else replicas, mode, restart, start_first)


def _restart(service: Value) -> RestartPolicy:
    value = service.get("restart")
    return value.parsed(parse_restart, value.string()) if value else RestartPolicy()


def _restart_policy(policy: Value, warn: Warn) -> RestartPolicy:
    policy.known_keys(SECTIONS["restart_policy"])
    condition = policy.get("condition")
    word = condition.choice("none", "on-failure", "any") if condition else "any"
    attempts = policy.get("max_attempts")
    most = attempts.integer(0, 1 << 31) if attempts else 0
    for key in ("delay", "window"):
        value = policy.get(key)
        if value:
            value.duration()
            warn(f"{value.path} is not supported and ignored: restarts back off from 100 ms to 1 minute")
    if word == "none":
        return RestartPolicy()
    if word == "on-failure":
        return RestartPolicy(RestartPolicyName.ON_FAILURE, most)
    return RestartPolicy(RestartPolicyName.ALWAYS)


def _update_config(section: Value, warn: Warn) -> bool:
    """Checks both sections; whether a replica is replaced by starting its successor first."""
    start_first = False
    for key in ("update_config", "rollback_config"):
        value = section.get(key)
        if not value:
            continue
        value.known_keys(SECTIONS["update_config"])
        for name in ("delay", "monitor"):
            if item := value.get(name):
                item.duration()
        if item := value.get("parallelism"):
            item.integer()
        if item := value.get("max_failure_ratio"):
            item.number()
        if item := value.get("failure_action"):
            item.choice("pause", "continue", "rollback")
        if (item := value.get("order")) and item.choice("stop-first", "start-first") == "start-first":
            start_first = start_first or key == "update_config"
        warn(f"{value.path} is not supported and ignored: replicas are replaced one service at a time")
    return start_first


def resources(service: Value, warn: Warn) -> Resources:
    """``cpus``, ``mem_limit`` and their like, and ``deploy.resources``; both may be given when they agree."""
    limits, reservations = _deployed(service, warn)
    memory = _agreed(service, "mem_limit", limits, "memory", lambda value: value.size())
    cpus = _agreed(service, "cpus", limits, "cpus", _cpus)
    pids = _agreed(service, "pids_limit", limits, "pids", lambda value: value.integer(-1))
    reserved = _agreed(service, "mem_reservation", reservations, "memory", lambda value: value.size())

    def integer(key: str, minimum: int = 0) -> int | None:
        value = service.get(key)
        return value.integer(minimum) if value else None

    swap = service.get("memswap_limit")
    cpuset = service.get("cpuset")
    oom = service.get("oom_kill_disable")
    return Resources(
        cpus=cpus or None,
        cpu_shares=integer("cpu_shares"),
        cpu_period=_microseconds(service.get("cpu_period")),
        cpu_quota=_microseconds(service.get("cpu_quota")),
        cpuset_cpus=cpuset.string() if cpuset else None,
        memory=memory or None,
        memory_reservation=reserved or None,
        memory_swap=(-1 if swap.string() == "-1" else swap.size()) if swap else None,
        oom_kill_disable=oom.boolean() if oom else False,
        pids_limit=pids if pids is not None and pids > 0 else None,
        blkio_weight=_blkio_weight(service, warn),
    )


def _deployed(service: Value, warn: Warn) -> tuple[Value | None, Value | None]:
    section = service.get("deploy")
    given = section.get("resources") if section else None
    if not given:
        return None, None
    given.known_keys(SECTIONS["resources"])
    limits, reservations = given.get("limits"), given.get("reservations")
    if limits:
        limits.known_keys(SECTIONS["limits"])
    if reservations:
        reservations.known_keys(SECTIONS["reservations"])
        for key in ("cpus", "generic_resources", "devices"):
            if value := reservations.get(key):
                warn(f"{value.path} is not supported and ignored")
    return limits, reservations


def _agreed(
    service: Value, key: str, section: Value | None, name: str, read: Callable[[Value], T]
) -> T | None:
    plain = service.get(key)
    deployed = section.get(name) if section else None
    if plain and deployed and read(plain) != read(deployed):
        raise plain.wrong(f"{deployed.path} says {deployed.node.text}", hint="give one of them")
    chosen = deployed or plain
    return read(chosen) if chosen else None


def _cpus(value: Value) -> float | None:
    return value.cpus()


def _microseconds(value: Value | None) -> int | None:
    """A number of microseconds, or a duration."""
    if value is None:
        return None
    if isinstance(value.node.value, int) or value.node.text.lstrip("-").isdigit():
        return value.integer(-1)
    return value.duration() // 1000


def _blkio_weight(service: Value, warn: Warn) -> int | None:
    section = service.get("blkio_config")
    if not section:
        return None
    section.known_keys(SECTIONS["blkio_config"])
    for key in SECTIONS["blkio_config"][1:]:
        if value := section.get(key):
            warn(f"{value.path} is not supported and ignored")
    weight = section.get("weight")
    return weight.integer(0, 1000) if weight else None


def ulimits(service: Value) -> tuple[str, ...]:
    """As docker's ``--ulimit`` takes them: NAME=SOFT:HARD."""
    section = service.get("ulimits")
    made = []
    for name, value in section.mapping().items() if section else ():
        if value.is_mapping:
            value.known_keys(SECTIONS["ulimit"])
            soft, hard = value.get("soft"), value.get("hard")
            if not soft or not hard:
                raise value.wrong("soft and hard must both be given")
            made.append(f"{name}={soft.integer(-1)}:{hard.integer(-1)}")
        else:
            both = value.integer(-1)
            made.append(f"{name}={both}:{both}")
    return tuple(made)
