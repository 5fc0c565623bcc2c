"""Containers: what was asked for (config), what is (state), and both together."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from runtime.model.ids import IdMap
from runtime.model.record import record

__all__ = [
    "Container",
    "ContainerConfig",
    "ContainerState",
    "ContainerStatus",
    "Endpoint",
    "HealthCheck",
    "HealthState",
    "Mount",
    "MountType",
    "NetworkAttachment",
    "PortBinding",
    "Resources",
    "RestartPolicy",
    "RestartPolicyName",
]


class ContainerStatus(StrEnum):
    """docker's words for State.Status."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def alive(self) -> bool:
        """A monitor watches it."""
        return self in (ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING)


class MountType(StrEnum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"
    IMAGE = "image"


class RestartPolicyName(StrEnum):
    NO = "no"
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"


@record
class Mount:
    """``source`` is a host path (bind), a volume's name (volume; "" = anonymous), an image's name (image,
    always read-only) or "" (tmpfs)."""

    type: MountType
    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    options: tuple[str, ...] = ()
    no_copy: bool = False
    tmpfs_size: int | None = None
    tmpfs_mode: int | None = None
    recursive: str = ""
    """A bind's submounts: "" or "enabled", "disabled", "writable", "readonly" (docker's bind-recursive)."""
    subpath: str = ""
    """The part of a volume or an image that is mounted; "" is all of it."""
    driver_options: tuple[str, ...] = ()
    volume_labels: tuple[str, ...] = ()
    """Of both "NAME=VALUE", for a volume that the mount makes."""
    image_id: str = ""
    """What an image's name meant when the container was made."""
    inherited: bool = False
    """From ``--volumes-from``: its anonymous volume belongs to the other container."""


@record
class PortBinding:
    """``host_port`` 0 asks for an ephemeral one. Bindings of one ``group`` share their host port and
    traffic is balanced over the containers in it (a service's replicas); None: the port is exclusive."""

    container_port: int
    protocol: str = "tcp"
    host_ip: str = "0.0.0.0"
    host_port: int = 0
    group: str | None = None


@record
class Resources:
    """Limits; None leaves the kernel's default."""

    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    oom_kill_disable: bool = False
    pids_limit: int | None = None
    blkio_weight: int | None = None
    memory_swappiness: int | None = None
    blkio_weight_device: tuple[str, ...] = ()
    device_read_bps: tuple[str, ...] = ()
    device_write_bps: tuple[str, ...] = ()
    device_read_iops: tuple[str, ...] = ()
    device_write_iops: tuple[str, ...] = ()
    """Of these "PATH:VALUE", as :mod:`runtime.model.devices` reads them."""


@record
class RestartPolicy:
    name: RestartPolicyName = RestartPolicyName.NO
    max_retries: int = 0


@record
class HealthCheck:
    """``test`` is docker's: ("CMD", ...), ("CMD-SHELL", text) or ("NONE",). Durations are nanoseconds."""

    test: tuple[str, ...]
    interval: int = 30_000_000_000
    timeout: int = 30_000_000_000
    start_period: int = 0
    start_interval: int = 5_000_000_000
    retries: int = 3


@record
class NetworkAttachment:
    """A wish to be on ``network`` (a name or id); ``aliases`` are extra names there. ``links`` are
    "NAME:ALIAS": what NAME is there, this container alone calls ALIAS too. The default route leads through
    the network with the highest ``gw_priority``."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    mac_address: str | None = None
    links: tuple[str, ...] = ()
    gw_priority: int = 0


@record
class ContainerConfig:
    """Everything that ``create`` was asked for, with the image's defaults merged in.

    ``entrypoint`` + ``cmd`` is the argument vector. ``network_mode`` is "bridge" (the default
    network), "none", "host", "container:ID" or the name of a user's network; ``networks`` are the
    attachments that follow from it (empty for none, host and container). "" is a container that was on
    none and has been disconnected from it.
    """

    image: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    auto_remove: bool = False
    network_mode: str = "bridge"
    networks: tuple[NetworkAttachment, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    restart: RestartPolicy = RestartPolicy()
    healthcheck: HealthCheck | None = None
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 10
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    read_only: bool = False
    group_add: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    ulimits: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    init: bool = False
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    log_options: dict[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    oom_score_adj: int = 0
    cgroupns_mode: str = ""
    device_cgroup_rules: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    volumes_from: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """"NAME-OR-ID:ALIAS" of containers whose names are written into this one's hosts file when it starts."""
    userns_mode: str = ""
    """"host", "remap", "auto:size=N", "container:ID"; "" is the host's ids, until created the setting's."""
    id_map: IdMap | None = None
    """The ids of its user namespace; None is the host's. Chosen at create, the container's until it goes."""
    internal: bool = False
    """A build step: hidden from lists, removed by whoever finds its owner dead."""


@record
class HealthState:
    """``status`` is "starting", "healthy" or "unhealthy"."""

    status: str
    failing_streak: int = 0
    log: tuple[dict[str, str], ...] = ()


@record
class ContainerState:
    status: ContainerStatus = ContainerStatus.CREATED
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0
    manual_stop: bool = False
    health: HealthState | None = None
    warnings: tuple[str, ...] = ()
    """Limits that could not be enforced on this machine, in words."""


@record
class Endpoint:
    """A container's place on a network while it runs."""

    network_id: str
    network_name: str
    ipv4_address: str
    prefix_length: int
    gateway: str
    mac_address: str
    host_interface: str = ""
    interface: str = "eth0"
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    gw_priority: int = 0


@record
class Container:
    """``layers`` are the diff ids of its root file system, lowest first."""

    id: str
    name: str
    image_id: str
    created_at: int
    config: ContainerConfig
    layers: tuple[str, ...]
    state: ContainerState
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    """The bindings in force, with real host ports; empty when it does not run."""

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def argv(self) -> tuple[str, ...]:
        return self.config.entrypoint + self.config.cmd
