"""docker compose's labels and names: how a container tells which project, service and replica it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

from runtime.compose.project import Project, ServiceSpec
from runtime.model import codec
from runtime.model.container import Container
from runtime.model.hashing import sha256

__all__ = [
    "CONFIG_HASH",
    "DEPENDS_ON",
    "NETWORK",
    "NUMBER",
    "PROJECT",
    "SERVICE",
    "VOLUME",
    "config_hash",
    "container_labels",
    "container_name",
    "dependencies",
    "is_replica",
    "number",
]

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONEOFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"
WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
DEPENDS_ON = "com.docker.compose.depends_on"
NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"


def config_hash(service: ServiceSpec) -> str:
    """Changes when a container of the service would be made differently; not with its number of replicas."""
    made = {
        "config": codec.to_json(service.config),
        "files": codec.to_json(service.files),
        "volumes_from": codec.to_json(service.volumes_from),
    }
    if service.port_ranges:
        made["port_ranges"] = codec.to_json(service.port_ranges)
    return sha256(json.dumps(made, sort_keys=True).encode()).hex()


def container_labels(project: Project, service: ServiceSpec, replica: int) -> dict[str, str]:
    depends = ",".join(
        f"{item.service}:{item.condition}:{'true' if item.restart else 'false'}"
        for item in service.depends_on
    )
    return {
        **service.config.labels,
        PROJECT: project.name,
        SERVICE: service.name,
        NUMBER: str(replica),
        ONEOFF: "False",
        CONFIG_HASH: config_hash(service),
        WORKING_DIR: project.working_dir,
        CONFIG_FILES: ",".join(project.files),
        DEPENDS_ON: depends,
    }


def container_name(project: str, service: str, replica: int) -> str:
    return f"{project}-{service}-{replica}"


def number(container: Container) -> int:
    """The replica's number; 0 when the label is missing or no number."""
    text = container.config.labels.get(NUMBER, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def is_replica(container: Container) -> bool:
    """A service's own container, not one of ``compose run``."""
    labels = container.config.labels
    return bool(labels.get(SERVICE)) and labels.get(ONEOFF, "False").lower() != "true"


def dependencies(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The services that the label names."""
    return tuple(item.partition(":")[0] for item in labels.get(DEPENDS_ON, "").split(",") if item)
