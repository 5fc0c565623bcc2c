"""What compose files come to: values, merging, extends, include, profiles, names, environments."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from runtime.compose.load import load_project
from runtime.compose.project import Dependency, PortRange, Project, ServiceSpec
from runtime.errors import InvalidInput, NotFound
from runtime.model.container import (
    ContainerConfig,
    HealthCheck,
    Mount,
    MountType,
    NetworkAttachment,
    PortBinding,
    RestartPolicy,
    RestartPolicyName,
)

SECOND = 1_000_000_000
BIND, VOLUME, TMPFS = MountType.BIND, MountType.VOLUME, MountType.TMPFS


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def project(directory: Path, text: str, environ: dict[str, str] | None = None, **options: Any) -> Project:
    (directory / "compose.yaml").write_text(text)
    options.setdefault("project_name", "p")
    return load_project(start=directory, environ=environ or {}, **options)


def service(directory: Path, line: str, environ: dict[str, str] | None = None, rest: str = "") -> ServiceSpec:
    text = f"services:\n  web:\n    image: base\n    {line}\n{rest}"
    return project(directory, text, environ).services["web"]


def config(
    directory: Path, line: str, environ: dict[str, str] | None = None, rest: str = ""
) -> ContainerConfig:
    return service(directory, line, environ, rest).config


VALUES: list[tuple[str, str, object]] = [
    ("command: echo 'a b' c", "cmd", ("echo", "a b", "c")),
    ("command: [echo, 1, true]", "cmd", ("echo", "1", "true")),
    ("command: []", "cmd", ()),
    ("entrypoint: /run.sh -x", "entrypoint", ("/run.sh", "-x")),
    ("entrypoint: []", "entrypoint", ("",)),
    ("entrypoint: ''", "entrypoint", ("",)),
    ("entrypoint:", "entrypoint", ()),
    ("environment: {A: 1, B: x, C: true, D: 1.10, E: '', F: 0777}", "env",
     ("A=1", "B=x", "C=true", "D=1.10", "E=", "F=0777")),
    ("environment: [A=1, B=x=y, 'C=']", "env", ("A=1", "B=x=y", "C=")),
    ("environment: {HERE: , GONE: }", "env", ("HERE=yes",)),
    ("environment: [HERE, GONE]", "env", ("HERE=yes",)),
    ("labels: {a: b, c: 1, d: }", "labels", {"a": "b", "c": "1", "d": ""}),
    ("labels: [a=b, c]", "labels", {"a": "b", "c": ""}),
    ("hostname: h", "hostname", "h"),
    ("user: 1000:1000", "user", "1000:1000"),
    ("user: 1000", "user", "1000"),
    ("working_dir: /w", "working_dir", "/w"),
    ("tty: true", "tty", True),
    ("tty: 'true'", "tty", True),
    ("tty: ${NONE:-false}", "tty", False),
    ("stdin_open: yes", "open_stdin", True),
    ("privileged: true", "privileged", True),
    ("read_only: true", "read_only", True),
    ("init: true", "init", True),
    ("cap_add: [NET_ADMIN, ALL]", "cap_add", ("NET_ADMIN", "ALL")),
    ("cap_drop: [ALL]", "cap_drop", ("ALL",)),
    ("security_opt: ['no-new-privileges:true']", "security_opt", ("no-new-privileges:true",)),
    ("group_add: [adm, 7]", "group_add", ("adm", "7")),
    ("shm_size: 128M", "shm_size", 128 << 20),
    ("shm_size: 1048576", "shm_size", 1 << 20),
    ("stop_signal: SIGUSR1", "stop_signal", "SIGUSR1"),
    ("stop_grace_period: 1m30s", "stop_timeout", 90),
    ("stop_grace_period: 1500ms", "stop_timeout", 2),
    ("dns: 1.1.1.1", "dns", ("1.1.1.1",)),
    ("dns: [1.1.1.1, 8.8.8.8]", "dns", ("1.1.1.1", "8.8.8.8")),
    ("dns_search: example.org", "dns_search", ("example.org",)),
    ("dns_opt: [use-vc]", "dns_options", ("use-vc",)),
    ("extra_hosts: ['db:10.0.0.1', 'v6=::1', 'gw:host-gateway']", "extra_hosts",
     ("db:10.0.0.1", "v6:::1", "gw:host-gateway")),
    ("extra_hosts: {db: 10.0.0.1}", "extra_hosts", ("db:10.0.0.1",)),
    ("sysctls: {net.core.somaxconn: 1024}", "sysctls", {"net.core.somaxconn": "1024"}),
    ("sysctls: [net.core.somaxconn=1024]", "sysctls", {"net.core.somaxconn": "1024"}),
    ("ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}", "ulimits", ("nofile=10:20", "nproc=5:5")),
    ("devices: ['/dev/fuse', '/dev/a:/dev/b:r']", "devices", ("/dev/fuse", "/dev/a:/dev/b:r")),
    ("devices: [{source: /dev/a, target: /dev/b, permissions: r}]", "devices", ("/dev/a:/dev/b:r",)),
    ("pid: host", "pid_mode", "host"),
    ("ipc: shareable", "ipc_mode", "shareable"),
    ("uts: host", "uts_mode", "host"),
    ("oom_score_adj: -500", "oom_score_adj", -500),
    ("logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}", "log_options",
     {"max-size": "10m", "max-file": "3"}),
    ("expose: ['80', '90-91/udp']", "exposed_ports", ("80/tcp", "90/udp", "91/udp")),
    ("restart: on-failure:3", "restart", RestartPolicy(RestartPolicyName.ON_FAILURE, 3)),
    ("restart: 'no'", "restart", RestartPolicy()),
    ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", "restart",
     RestartPolicy(RestartPolicyName.ON_FAILURE, 2)),
    ("deploy: {restart_policy: {}}", "restart", RestartPolicy(RestartPolicyName.ALWAYS)),
    ("deploy: {restart_policy: {condition: none}}", "restart", RestartPolicy()),
    ("network_mode: host", "network_mode", "host"),
    ("network_mode: none", "networks", ()),
    ("healthcheck: {test: a b, interval: 5s, timeout: 1m, retries: 2, start_period: 1s, start_interval: 2s}",
     "healthcheck", HealthCheck(("CMD-SHELL", "a b"), 5 * SECOND, 60 * SECOND, SECOND, 2 * SECOND, 2)),
    ("healthcheck: {test: [CMD, curl, x]}", "healthcheck", HealthCheck(("CMD", "curl", "x"))),
    ("healthcheck: {disable: true}", "healthcheck", HealthCheck(("NONE",))),
    ("healthcheck: {test: [NONE]}", "healthcheck", HealthCheck(("NONE",))),
]  # fmt: skip


@pytest.mark.parametrize(("line", "field", "value"), VALUES)
def test_values(tmp_path: Path, line: str, field: str, value: object) -> None:
    assert getattr(config(tmp_path, line, {"HERE": "yes"}), field) == value


RESOURCES: list[tuple[str, str, object]] = [
    ("cpus: 0.5", "cpus", 0.5),
    ("cpus: '0.5'", "cpus", 0.5),
    ("cpus: 0", "cpus", None),
    ("mem_limit: 50M", "memory", 50 << 20),
    ("mem_limit: 1gb", "memory", 1 << 30),
    ("mem_reservation: 20m", "memory_reservation", 20 << 20),
    ("memswap_limit: -1", "memory_swap", -1),
    ("memswap_limit: 1g", "memory_swap", 1 << 30),
    ("pids_limit: 10", "pids_limit", 10),
    ("pids_limit: -1", "pids_limit", None),
    ("cpuset: 0-1", "cpuset_cpus", "0-1"),
    ("cpu_shares: 512", "cpu_shares", 512),
    ("cpu_period: 50000", "cpu_period", 50_000),
    ("cpu_quota: 25ms", "cpu_quota", 25_000),
    ("oom_kill_disable: true", "oom_kill_disable", True),
    ("blkio_config: {weight: 300}", "blkio_weight", 300),
    ("deploy: {resources: {limits: {cpus: '0.5'}}}", "cpus", 0.5),
    ("deploy: {resources: {limits: {memory: 50M}}}", "memory", 50 << 20),
    ("deploy: {resources: {limits: {pids: 20}}}", "pids_limit", 20),
    ("deploy: {resources: {reservations: {memory: 20M}}}", "memory_reservation", 20 << 20),
    ("deploy: {resources: {limits: {}}}", "memory", None),
]


@pytest.mark.parametrize(("line", "field", "value"), RESOURCES)
def test_resources(tmp_path: Path, line: str, field: str, value: object) -> None:
    assert getattr(config(tmp_path, line).resources, field) == value


def bound(container: int, host: int = 0, protocol: str = "tcp", ip: str = "0.0.0.0") -> PortBinding:
    return PortBinding(container, protocol, ip, host, "p/web")


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        ('ports: ["4000:80"]', (bound(80, 4000),)),
        ("ports: [4000:80]", (bound(80, 4000),)),
        ("ports: [80]", (bound(80),)),
        ('ports: ["127.0.0.1:5000:80/udp"]', (bound(80, 5000, "udp", "127.0.0.1"),)),
        ('ports: ["[::1]:5000:80"]', (bound(80, 5000, ip="::1"),)),
        ('ports: ["9000-9001:80-81"]', (bound(80, 9000), bound(81, 9001))),
        ('ports: ["80", "80"]', (bound(80),)),
        ("ports: [{target: 80, published: 4000}]", (bound(80, 4000),)),
        ('ports: [{target: 80, published: "4000", protocol: udp, host_ip: 127.0.0.1, mode: host}]',
         (bound(80, 4000, "udp", "127.0.0.1"),)),
        ("ports: [{target: 80}]", (bound(80),)),
        ("ports: [{target: 80, host_ip: '::1'}]", (bound(80, ip="::1"),)),
        ("ports:", ()),
    ],
)  # fmt: skip
def test_ports_share_a_group(tmp_path: Path, line: str, ports: tuple[PortBinding, ...]) -> None:
    assert config(tmp_path, line).ports == ports


VOLUMES_SECTION = "volumes:\n  data:\n  named: {name: real}\n  other: {external: true}\n"


@pytest.mark.parametrize(
    ("line", "mount"),
    [
        ("volumes: [data:/d]", Mount(VOLUME, "p_data", "/d")),
        ("volumes: [data:/d:ro]", Mount(VOLUME, "p_data", "/d", True)),
        ("volumes: [data:/d:nocopy]", Mount(VOLUME, "p_data", "/d", no_copy=True)),
        ("volumes: [named:/d]", Mount(VOLUME, "real", "/d")),
        ("volumes: [other:/d]", Mount(VOLUME, "other", "/d")),
        ("volumes: [/d]", Mount(VOLUME, "", "/d")),
        ("volumes: [/a:/d]", Mount(BIND, "/a", "/d", options=("create",))),
        ("volumes: [/a:/d:ro]", Mount(BIND, "/a", "/d", True, options=("create",))),
        ("volumes: [./x:/d]", Mount(BIND, "BASE/x", "/d", options=("create",))),
        ("volumes: [.:/d]", Mount(BIND, "BASE", "/d", options=("create",))),
        ("volumes: ['/a:/d:rslave']", Mount(BIND, "/a", "/d", False, "rslave", ("create",))),
        ("volumes: [{type: volume, source: data, target: /d, read_only: true, volume: {nocopy: true}}]",
         Mount(VOLUME, "p_data", "/d", True, no_copy=True)),
        ("volumes: [{type: volume, target: /d}]", Mount(VOLUME, "", "/d")),
        ("volumes: [{type: bind, source: ./x, target: /d}]",
         Mount(BIND, "BASE/x", "/d", options=("create",))),
        ("volumes: [{type: bind, source: /a, target: /d, bind: {create_host_path: no, propagation: shared}}]",
         Mount(BIND, "/a", "/d", False, "shared")),
        ("volumes: [{type: tmpfs, target: /d, tmpfs: {size: 10m, mode: 0700}}]",
         Mount(TMPFS, "", "/d", tmpfs_size=10 << 20, tmpfs_mode=0o700)),
        ("tmpfs: /run", Mount(TMPFS, "", "/run")),
        ("tmpfs: ['/run:size=64m,mode=1777,noexec,ro']",
         Mount(TMPFS, "", "/run", True, options=("noexec",), tmpfs_size=64 << 20, tmpfs_mode=0o1777)),
    ],
)  # fmt: skip
def test_mounts(tmp_path: Path, line: str, mount: Mount) -> None:
    found = config(tmp_path, line, rest=VOLUMES_SECTION).mounts
    (only,) = found
    assert only.source == mount.source.replace("BASE", str(tmp_path))
    assert (only.type, only.target, only.read_only, only.propagation, only.options) == (
        mount.type, mount.target, mount.read_only, mount.propagation, mount.options,
    )  # fmt: skip
    assert (only.no_copy, only.tmpfs_size, only.tmpfs_mode) == (
        mount.no_copy,
        mount.tmpfs_size,
        mount.tmpfs_mode,
    )


def test_secrets_and_configs(tmp_path: Path) -> None:
    rest = (
        "secrets:\n  file: {file: ./s.txt}\n  env: {environment: TOKEN}\n"
        "configs:\n  text: {content: 'hello ${NAME}'}\n  conf: {file: /etc/c}\n"
    )
    made = service(
        tmp_path,
        "secrets: [file, {source: env, target: token, mode: 0400, uid: '7'}]\n"
        "    configs: [text, {source: conf, target: /etc/app.conf}]",
        {"TOKEN": "t0p", "NAME": "you"},
        rest,
    )
    assert made.config.mounts == (
        Mount(BIND, str(tmp_path / "s.txt"), "/run/secrets/file", True, options=("idmap",)),
        Mount(BIND, "/etc/c", "/etc/app.conf", True, options=("idmap",)),
    )
    secret, text = made.files
    assert (secret.target, secret.content, secret.mode, secret.uid) == ("/run/secrets/token", "t0p", 0o400, 7)
    assert (text.target, text.content, text.mode) == ("/text", "hello you", 0o444)


NETWORKS_SECTION = (
    "networks:\n"
    "  back: {internal: true, ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}}\n"
    "  out: {external: true, name: real}\n"
)


@pytest.mark.parametrize(
    ("line", "mode", "attached"),
    [
        ("", "p_default", (NetworkAttachment("p_default", ("web",)),)),
        ("networks: [back]", "p_back", (NetworkAttachment("p_back", ("web",)),)),
        ("networks: [back, out]", "p_back",
         (NetworkAttachment("p_back", ("web",)), NetworkAttachment("real", ("web",)))),
        ("networks: {back: , out: {priority: 5}}", "real",
         (NetworkAttachment("real", ("web",)), NetworkAttachment("p_back", ("web",)))),
        ("networks: {back: {aliases: [a, b, a], ipv4_address: 10.9.0.7}}", "p_back",
         (NetworkAttachment("p_back", ("web", "a", "b"), "10.9.0.7"),)),
        ("network_mode: bridge", "bridge", ()),
        ("network_mode: 'container:x'", "container:x", ()),
    ],
)  # fmt: skip
def test_networks(tmp_path: Path, line: str, mode: str, attached: tuple[NetworkAttachment, ...]) -> None:
    made = config(tmp_path, line, rest=NETWORKS_SECTION)
    assert (made.network_mode, made.networks) == (mode, attached)


def test_declared_networks(tmp_path: Path) -> None:
    networks = project(tmp_path, f"services: {{web: {{image: a}}}}\n{NETWORKS_SECTION}").networks
    assert networks["back"].subnet == "10.9.0.0/24"
    assert networks["back"].gateway == "10.9.0.1"
    assert networks["back"].internal
    assert networks["out"].external
    assert networks["out"].name == "real"
    assert networks["default"].name == "p_default"


def test_replicas(tmp_path: Path) -> None:
    assert service(tmp_path, "").replicas == 1
    assert service(tmp_path, "scale: 4").replicas == 4
    assert service(tmp_path, "deploy: {replicas: '3'}").replicas == 3
    assert service(tmp_path, "deploy: {replicas: 0}").replicas == 0
    assert service(tmp_path, "deploy: {replicas: $N}", {"N": "5"}).replicas == 5
    assert service(tmp_path, "deploy: {mode: global}").replicas == 1


def test_build(tmp_path: Path) -> None:
    text = (
        "services:\n  a: {build: .}\n  b:\n    image: named\n"
        "    build: {context: ./sub, dockerfile: D, args: [X=1, HOME], target: t, network: host}\n"
    )
    services = project(tmp_path, text, {"HOME": "/h"}).services
    first, second = services["a"], services["b"]
    assert first.config.image == "p-a"
    assert first.build is not None and first.build.context == str(tmp_path)
    assert second.config.image == "named"
    assert second.build is not None
    assert (second.build.context, second.build.dockerfile) == (str(tmp_path / "sub"), "D")
    assert (second.build.args["X"], second.build.target, second.build.network) == ("1", "t", "host")


def test_build_secrets(tmp_path: Path) -> None:
    text = (
        "services:\n  a: {build: {context: ., secrets: [f, {source: e, target: token}], ssh: [k=/s]}}\n"
        "secrets: {f: {file: x}, e: {environment: T}}\n"
    )
    built = project(tmp_path, text, {"T": "1"}).services["a"].build
    assert built is not None
    assert built.secrets == {"f": ("file", str(tmp_path / "x")), "token": ("environment", "T")}
    assert built.ssh == {"k": "/s"}


def test_links_give_names(tmp_path: Path) -> None:
    text = (
        "services:\n  web: {image: a, links: ['db:database', db], external_links: [old, 'far:near']}\n"
        "  db: {image: a}\n"
    )
    services = project(tmp_path, text).services
    assert services["web"].config.networks[0].links == ("db:database", "old:old", "far:near")
    assert services["db"].config.networks[0].aliases == ("db",)
    assert services["db"].config.networks[0].links == ()
    assert services["web"].depends_on == (Dependency("db"),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ports: ['8000-8005:80']", PortRange(80, 8000, 8005)),
        ("ports: ['127.0.0.1:8000-8005:80/udp']", PortRange(80, 8000, 8005, "udp", "127.0.0.1")),
        ("ports: ['[::1]:8000-8005:80']", PortRange(80, 8000, 8005, "tcp", "::1")),
        ("ports: [{target: 80, published: 8000-8005}]", PortRange(80, 8000, 8005)),
    ],
)
def test_a_port_on_a_range_is_spread(tmp_path: Path, line: str, expected: PortRange) -> None:
    made = service(tmp_path, line)
    assert (made.config.ports, made.port_ranges) == ((), (expected,))


def test_a_healthcheck_without_a_test_changes_the_images(tmp_path: Path) -> None:
    assert config(tmp_path, "healthcheck: {interval: 5s}").healthcheck == HealthCheck((), 5 * SECOND)


def test_standard_input_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("name: piped\nservices: {web: {image: a, volumes: [./x:/x]}}\n")
    )
    loaded = load_project([Path("-")], start=tmp_path, environ={})
    assert loaded.name == "piped"
    assert loaded.services["web"].config.mounts[0].source == str(tmp_path / "x")


def test_dependencies(tmp_path: Path) -> None:
    text = """
services:
  web:
    image: a
    depends_on:
      db: {condition: service_healthy, restart: true}
      init: {condition: service_completed_successfully, required: false}
    links: ["cache:c"]
    network_mode: "service:proxy"
  db: {image: a}
  init: {image: a}
  cache: {image: a}
  proxy: {image: a, depends_on: [db]}
"""
    loaded = project(tmp_path, text)
    assert loaded.services["web"].depends_on == (
        Dependency("db", "service_healthy", restart=True),
        Dependency("init", "service_completed_successfully", required=False),
        Dependency("cache"),
        Dependency("proxy"),
    )
    order = list(loaded.selected(["web"]))
    assert order.index("db") < order.index("proxy") < order.index("web")
    assert list(loaded.selected(["web"], dependencies=False)) == ["web"]
    with pytest.raises(NotFound, match="no such service: nope"):
        loaded.selected(["nope"])


def test_profiles(tmp_path: Path) -> None:
    text = """
services:
  web: {image: a}
  debug: {image: a, profiles: [debug, dev]}
  tool: {image: a, profiles: [tools], depends_on: [web]}
"""
    assert list(project(tmp_path, text).selected()) == ["web"]
    assert list(project(tmp_path, text, profiles=["dev"]).selected()) == ["web", "debug"]
    assert list(project(tmp_path, text, profiles=["*"]).selected()) == ["web", "debug", "tool"]
    assert list(project(tmp_path, text, {"COMPOSE_PROFILES": "tools,dev"}).selected()) == [
        "web",
        "debug",
        "tool",
    ]
    assert list(project(tmp_path, text).selected(["tool"])) == ["web", "tool"]


def test_a_dependency_on_an_inactive_profile_is_an_error(tmp_path: Path) -> None:
    text = "services:\n  web: {image: a, depends_on: [db]}\n  db: {image: a, profiles: [p]}\n"
    with pytest.raises(InvalidInput, match='depends on "db", whose profile is not active'):
        project(tmp_path, text).selected()


MERGED: list[tuple[str, str, str, object]] = [
    ("command: a b", "command: c", "cmd", ("c",)),
    ("entrypoint: [a]", "entrypoint: [b]", "entrypoint", ("b",)),
    ("environment: {A: 1, B: 2}", "environment: [B=3, C=4]", "env", ("A=1", "B=3", "C=4")),
    ("environment: [A=1]", "environment: {A: }", "env", ()),
    ("labels: [a=1]", "labels: {b: 2}", "labels", {"a": "1", "b": "2"}),
    ("dns: 1.1.1.1", "dns: [8.8.8.8]", "dns", ("1.1.1.1", "8.8.8.8")),
    ("dns: [1.1.1.1, 8.8.8.8]", "dns: 8.8.8.8", "dns", ("1.1.1.1", "8.8.8.8")),
    ("cap_add: [A]", "cap_add: [A, B]", "cap_add", ("A", "B")),
    ("expose: ['80']", "expose: ['80', '81']", "exposed_ports", ("80/tcp", "81/tcp")),
    ("ports: ['4000:80']", "ports: ['4000:80', '4001:80']", "ports", (bound(80, 4000), bound(80, 4001))),
    ("ports: ['4000:80']", "ports: [{target: 80, published: 4000}]", "ports", (bound(80, 4000),)),
    ("ports: ['4000:80']", "ports: !override ['4001:80']", "ports", (bound(80, 4001),)),
    ("ports: ['4000:80']", "ports: !reset []", "ports", ()),
    ("ports: ['4000:80']", "ports: !reset null", "ports", ()),
    ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", "env", ("B=2",)),
    ("environment: {A: 1}", "environment: !override {B: 2}", "env", ("B=2",)),
    ("command: a", "command: !reset null", "cmd", ()),
    ("command: a", "command:", "cmd", ("a",)),
    ("hostname: a", "hostname: b", "hostname", "b"),
    ("volumes: ['/a:/x', '/b:/y']", "volumes: ['/c:/x']", "mounts",
     (Mount(BIND, "/c", "/x", options=("create",)), Mount(BIND, "/b", "/y", options=("create",)))),
    ("healthcheck: {test: a, interval: 5s}", "healthcheck: {test: [CMD, b]}", "healthcheck",
     HealthCheck(("CMD", "b"), 5 * SECOND)),
    ("logging: {driver: local, options: {a: 1}}", "logging: {options: {b: 2}}", "log_options",
     {"driver": "local", "a": "1", "b": "2"}),
    ("logging: {driver: local, options: {a: 1}}", "logging: {driver: json-file, options: {b: 2}}",
     "log_options",
     {"b": "2"}),
    ("ulimits: {nofile: 5}", "ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits", ("nofile=1:2",)),
    ("networks: [default]", "networks: {default: {aliases: [x]}}", "networks",
     (NetworkAttachment("p_default", ("web", "x")),)),
    ("extra_hosts: ['a:1.1.1.1']", "extra_hosts: {b: 2.2.2.2}", "extra_hosts", ("a:1.1.1.1", "b:2.2.2.2")),
    ("sysctls: [a=1]", "sysctls: {a: 2}", "sysctls", {"a": "2"}),
]  # fmt: skip


@pytest.mark.parametrize(("base", "over", "field", "value"), MERGED)
def test_override_files(tmp_path: Path, base: str, over: str, field: str, value: object) -> None:
    (tmp_path / "compose.override.yaml").write_text(f"services:\n  web:\n    {over}\n")
    assert getattr(config(tmp_path, base), field) == value


@pytest.mark.parametrize(("base", "over", "field", "value"), MERGED)
def test_extending_merges_the_same_way(
    tmp_path: Path, base: str, over: str, field: str, value: object
) -> None:
    text = f"services:\n  base:\n    image: b\n    {base}\n  web:\n    extends: base\n    {over}\n"
    assert getattr(project(tmp_path, text).services["web"].config, field) == value


def test_merging_what_cannot_be_merged_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "compose.override.yaml").write_text("services:\n  web:\n    cap_add: {a: b}\n")
    with pytest.raises(InvalidInput) as caught:
        config(tmp_path, "cap_add: [A]")
    assert "compose.override.yaml:3: services.web.cap_add: cannot merge a mapping with a list in" in str(
        caught.value
    )
    assert "compose.yaml:4" in str(caught.value)


def test_documents_of_one_file_are_merged(tmp_path: Path) -> None:
    text = "services: {web: {image: a}}\n---\nservices: {web: {image: b}, db: {image: c}}\n"
    services = project(tmp_path, text).services
    assert (services["web"].config.image, services["db"].config.image) == ("b", "c")


def test_yaml_merge_keys_and_extensions(tmp_path: Path) -> None:
    text = """
x-common: &common
  image: base
  environment: {A: 1}
services:
  web: {<<: *common, hostname: h}
  db:
    <<: [*common, {hostname: x}]
    image: db
"""
    services = project(tmp_path, text).services
    assert (services["web"].config.image, services["web"].config.hostname) == ("base", "h")
    assert (services["db"].config.image, services["db"].config.hostname) == ("db", "x")


def test_extending_from_another_file_keeps_its_paths(tmp_path: Path) -> None:
    write(
        tmp_path,
        sub__common_dot_yaml="services:\n  app:\n    build: .\n    env_file: app.env\n    volumes: [./d:/d]\n"
        "    extends: root\n  root: {hostname: r}\n",
        sub__app_dot_env="FROM_FILE=1\n",
    )
    text = (
        "services:\n  web:\n    extends: {file: sub/common.yaml, service: app}\n    environment: {OWN: 2}\n"
    )
    made = project(tmp_path, text).services["web"]
    assert made.build is not None and made.build.context == str(tmp_path / "sub")
    assert made.config.env == ("FROM_FILE=1", "OWN=2")
    assert made.config.mounts[0].source == str(tmp_path / "sub/d")
    assert made.config.hostname == "r"


def test_include(tmp_path: Path) -> None:
    write(
        tmp_path,
        db__compose_dot_yaml="services:\n  db:\n    image: $IMAGE\n    volumes: [./d:/d]\nvolumes: {v: {}}\n",
        db__dot_env="",
    )
    (tmp_path / "db" / ".env").write_text("IMAGE=fromenv\n")
    text = "include: [db/compose.yaml]\nservices:\n  web: {image: a, depends_on: [db]}\n"
    loaded = project(tmp_path, text)
    assert loaded.services["db"].config.image == "fromenv"
    assert loaded.services["db"].config.mounts[0].source == str(tmp_path / "db/d")
    assert "v" in loaded.volumes
    assert project(tmp_path, text, {"IMAGE": "caller"}).services["db"].config.image == "caller"


def test_included_names_must_not_clash(tmp_path: Path) -> None:
    write(tmp_path, other_dot_yaml="services:\n  web: {image: b}\n")
    with pytest.raises(InvalidInput, match=r"services\.web: conflicts with the one that is included"):
        project(tmp_path, "include: [other.yaml]\nservices:\n  web: {image: a}\n")


def test_files_that_include_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="in a circle"):
        project(tmp_path, "include: [compose.yaml]\nservices: {web: {image: a}}\n")


def test_env_files_of_services(tmp_path: Path) -> None:
    write(tmp_path, a_dot_env="A=1\nB='$X'\nC=${X}\n", b_dot_env='A=2\nB="quoted"\n')
    assert config(tmp_path, "env_file: a.env", {"X": "x"}).env == ("A=1", "B=$X", "C=x")
    assert config(tmp_path, "env_file: [a.env, b.env]").env[0] == "A=2"
    assert config(tmp_path, "env_file: [{path: none, required: false}]").env == ()
    assert config(tmp_path, "env_file: [{path: b.env, format: raw}]").env == ("A=2", 'B="quoted"')


def test_the_projects_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAG=1\nOTHER=$TAG-x\n")
    text = "services: {web: {image: 'a:$TAG', hostname: '${OTHER}', labels: [n=$COMPOSE_PROJECT_NAME]}}\n"
    made = project(tmp_path, text).services["web"].config
    assert (made.image, made.hostname, made.labels) == ("a:1", "1-x", {"n": "p"})
    assert project(tmp_path, text, {"TAG": "2"}).services["web"].config.image == "a:2"
    (tmp_path / "x.env").write_text("TAG=3\n")
    assert project(tmp_path, text, env_files=[Path("x.env")]).services["web"].config.image == "a:3"
    assert project(tmp_path, text, {"COMPOSE_ENV_FILES": "x.env"}).services["web"].config.image == "a:3"
    with pytest.raises(NotFound, match=r"none\.env"):
        project(tmp_path, text, env_files=[Path("none.env")])


def test_unset_variables_are_told_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    project(tmp_path, "services: {web: {image: a, hostname: '$X$X'}}", on_warning=warnings.append)
    assert warnings == ['The "X" variable is not set. Defaulting to a blank string.']


@pytest.mark.parametrize(
    ("text", "environ", "options", "name"),
    [
        ("", {}, {}, "my_app-2"),
        ("name: inside\n", {}, {}, "inside"),
        ("name: ${N:-x}\n", {}, {}, "x"),
        ("name: inside\n", {"COMPOSE_PROJECT_NAME": "env"}, {}, "env"),
        ("name: inside\n", {"COMPOSE_PROJECT_NAME": "env"}, {"project_name": "flag"}, "flag"),
    ],
)
def test_project_names(
    tmp_path: Path, text: str, environ: dict[str, str], options: dict[str, Any], name: str
) -> None:
    directory = tmp_path / "My_App-2!"
    directory.mkdir()
    (directory / "compose.yaml").write_text(text + "services: {web: {image: a}}\n")
    assert load_project(start=directory, environ=environ, **options).name == name


def test_files_are_found_upwards_and_in_order(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    one = "services: {{web: {{image: '{0}'}}}}\n"
    for name in ("docker-compose.yaml", "docker-compose.yml", "compose.yml", "compose.yaml"):
        (tmp_path / name).write_text(one.format(name))
        loaded = load_project(start=below, environ={}, project_name="p")
        assert loaded.services["web"].config.image == name
        assert loaded.working_dir == str(tmp_path)
    (tmp_path / "x.yaml").write_text(one.format("x"))
    (tmp_path / "y.yaml").write_text(one.format("y"))
    both = load_project(start=tmp_path, environ={"COMPOSE_FILE": "x.yaml:y.yaml"}, project_name="p")
    assert both.services["web"].config.image == "y"
    assert both.files == (str(tmp_path / "x.yaml"), str(tmp_path / "y.yaml"))
    given = load_project([Path("y.yaml"), Path("x.yaml")], start=tmp_path, environ={}, project_name="p")
    assert given.services["web"].config.image == "x"


def test_the_project_directory_is_what_paths_are_relative_to(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yaml").write_text("services: {web: {image: a, volumes: ['./x:/x']}}\n")
    found = load_project([Path("sub/c.yaml")], start=tmp_path, environ={}, project_name="p")
    assert found.services["web"].config.mounts[0].source == str(tmp_path / "sub/x")
    moved = load_project(
        [tmp_path / "sub/c.yaml"], start=tmp_path, environ={}, project_name="p", project_directory=tmp_path
    )
    assert moved.services["web"].config.mounts[0].source == str(tmp_path / "x")
    relative = load_project(
        [Path("sub/c.yaml")], start=tmp_path, environ={}, project_name="p", project_directory=Path("sub")
    )
    assert relative.services["web"].config.mounts[0].source == str(tmp_path / "sub/x")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: above}}\n")
    with pytest.raises(NotFound, match="no compose file found in"):
        load_project(start=tmp_path, environ={}, project_name="p", project_directory=Path("sub"))


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    text = """
services:
  web:
    build: .
    deploy:
      replicas: 3
      resources: {limits: {cpus: "0.5", memory: 50M}}
      restart_policy: {condition: on-failure}
    ports: ["4000:80"]
    networks: [webnet]
networks:
  webnet:
"""
    warnings: list[str] = []
    web = project(tmp_path, text, on_warning=warnings.append).services["web"]
    assert warnings == []
    assert (web.replicas, web.config.resources.cpus, web.config.resources.memory) == (3, 0.5, 50 << 20)
    assert web.config.ports == (bound(80, 4000),)
    assert web.config.networks == (NetworkAttachment("p_webnet", ("web",)),)


@pytest.mark.parametrize(
    ("text", "mode"), [("host", "host"), ("auto", "auto"), ("'auto:size=10'", "auto:size=10")]
)
def test_userns_mode(tmp_path: Path, text: str, mode: str) -> None:
    assert service(tmp_path, f"userns_mode: {text}").config.userns_mode == mode


def test_a_wrong_userns_mode_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"userns_mode.*keep-id"):
        service(tmp_path, "userns_mode: keep-id")


def test_the_build_section_reaches_the_engine(tmp_path: Path) -> None:
    from runtime.build.options import CacheStore
    from runtime.images.oci import host_architecture
    from runtime.services.resources import build_options

    text = f"""
services:
  web:
    build:
      context: https://example.org/x.git#v1:sub
      dockerfile: other
      args: {{A: "1"}}
      target: last
      no_cache_filter: [one]
      cache_from: ["type=local,src=/cache", "example.org/cache:1"]
      cache_to: ["type=registry,ref=example.org/cache:1,mode=max"]
      platforms: [linux/riscv64, linux/{host_architecture()}]
      ulimits: {{nofile: {{soft: 10, hard: 20}}, nproc: 5}}
      extra_hosts: ["h=1.2.3.4"]
      shm_size: 2m
      tags: [more:1]
      network: none
      pull: true
"""
    made = project(tmp_path, text)
    web = made.services["web"]
    assert web.build is not None
    options = build_options(made, web, web.build)
    assert (options.remote, options.dockerfile) == ("https://example.org/x.git#v1:sub", Path("other"))
    assert (options.target, options.network, options.pull) == ("last", "none", True)
    assert options.no_cache_filter == ("one",)
    assert options.cache_from == (
        CacheStore("local", "/cache"),
        CacheStore("registry", "example.org/cache:1"),
    )
    assert options.cache_to == (CacheStore("registry", "example.org/cache:1", every_step=True),)
    assert options.platform == ""
    assert sorted(options.ulimits) == ["nofile=10:20", "nproc=5:5"]
    assert (options.extra_hosts, options.shm_size) == (("h:1.2.3.4",), 2 << 20)
    assert options.tags == (web.config.image, "more:1")


def test_an_image_is_mounted(tmp_path: Path) -> None:
    text = "volumes: [{type: image, source: 'assets:1', target: /a, image: {subpath: www//x}}]"
    assert config(tmp_path, text).mounts == (
        Mount(MountType.IMAGE, "assets:1", "/a", read_only=True, subpath="www/x"),
    )
    for wrong in ("/abs", "../up"):
        with pytest.raises(InvalidInput, match=r"without '\.\.'"):
            config(tmp_path, text.replace("www//x", wrong))
    with pytest.raises(InvalidInput, match="needs a source"):
        config(tmp_path, "volumes: [{type: image, target: /a}]")
