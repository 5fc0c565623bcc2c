"""One service: from the merged tree to a checked :class:`ServiceSpec`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.compose import dotenv, limits, networking, storage
from runtime.compose.building import build
from runtime.compose.project import Dependency, InlineFile, NetworkSpec, ServiceSpec, VolumeSpec
from runtime.compose.schema import SECTIONS, SERVICE, UNSUPPORTED
from runtime.compose.storage import FileSpec
from runtime.compose.values import Value, nearest
from runtime.errors import EngineError, InvalidInput
from runtime.model.container import ContainerConfig, HealthCheck, Mount
from runtime.model.parse import parse_duration, parse_env_file, parse_signal, parse_userns

__all__ = ["Scope", "service_spec"]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_PULL_POLICIES = ("always", "never", "missing", "if_not_present", "build", "daily", "weekly")


@dataclass(frozen=True)
class Scope:
    """What a service may refer to. ``variables`` are the project's environment."""

    project: str
    variables: Mapping[str, str]
    networks: Mapping[str, NetworkSpec]
    volumes: Mapping[str, VolumeSpec]
    secrets: Mapping[str, FileSpec]
    configs: Mapping[str, FileSpec]
    warn: Callable[[str], None]


def service_spec(name: str, at: Value, scope: Scope) -> ServiceSpec:
    """Raises InvalidInput with file and line, NotFound for an environment file."""
    if not _NAME.fullmatch(name):
        raise at.wrong("a service's name has letters, digits, '.', '_' and '-' only")
    if not at.is_mapping:
        raise at.must_be("a mapping")
    at.known_keys(SERVICE)
    for key in UNSUPPORTED:
        if at.get(key):
            scope.warn(f"{at.path}.{key} is not supported and ignored")
    image, built = at.get("image"), at.get("build")
    if not image and not built:
        raise at.wrong("neither an image nor a build context is given")
    deployed = limits.deploy(at, scope.warn)
    ports, port_ranges = networking.ports(at, f"{scope.project}/{name}")
    binds, files = _files(at, scope)
    container_name = at.get("container_name")
    if container_name and deployed.replicas > 1:
        raise container_name.wrong(
            f"a service with {deployed.replicas} replicas cannot have one, container names are unique"
        )
    profiles = at.get("profiles")
    return ServiceSpec(
        name=name,
        config=replace(_config(name, at, scope, deployed, binds), ports=ports),
        replicas=deployed.replicas,
        build=build(built, scope.secrets, scope.warn) if built else None,
        container_name=_container_name(container_name),
        depends_on=_dependencies(at),
        profiles=profiles.strings() if profiles else (),
        pull_policy=_pull_policy(at.get("pull_policy")),
        platform=platform.string() if (platform := at.get("platform")) else "",
        files=tuple(files),
        port_ranges=port_ranges,
        volumes_from=_volumes_from(at),
        mode=deployed.mode,
        start_first=deployed.start_first,
    )


def _config(
    name: str, at: Value, scope: Scope, deployed: limits.Deploy, binds: list[Mount]
) -> ContainerConfig:
    def text(key: str, default: str = "") -> str:
        value = at.get(key)
        return value.string() if value else default

    def flag(key: str) -> bool:
        value = at.get(key)
        return value.boolean() if value else False

    def texts(key: str) -> tuple[str, ...]:
        value = at.get(key)
        return value.strings() if value else ()

    image, grace, shm = at.get("image"), at.get("stop_grace_period"), at.get("shm_size")
    score, sysctls = at.get("oom_score_adj"), at.get("sysctls")
    network_mode, attached = networking.attachments(at, name, scope.networks, scope.warn)
    if at.get("ports") and (network_mode in ("none", "host") or ":" in network_mode):
        raise at.wrong(f"ports cannot be published with network_mode: {network_mode}")
    return ContainerConfig(
        image=image.string() if image else f"{scope.project}-{name}",
        entrypoint=_command(at.get("entrypoint"), empty=("",)),
        cmd=_command(at.get("command"), empty=()),
        env=_environment(at, scope),
        working_dir=text("working_dir"),
        user=text("user"),
        hostname=text("hostname"),
        domainname=text("domainname"),
        labels=_labels(at),
        tty=flag("tty"),
        open_stdin=flag("stdin_open"),
        network_mode=network_mode,
        networks=attached,
        exposed_ports=networking.exposed(at),
        mounts=storage.mounts(at, scope.volumes, scope.warn) + tuple(binds),
        resources=limits.resources(at, scope.warn),
        restart=deployed.restart,
        healthcheck=_healthcheck(at.get("healthcheck")),
        stop_signal=_signal(at.get("stop_signal")),
        stop_timeout=grace.seconds() if grace else 10,
        privileged=flag("privileged"),
        cap_add=texts("cap_add"),
        cap_drop=texts("cap_drop"),
        security_opt=texts("security_opt"),
        read_only=flag("read_only"),
        group_add=texts("group_add"),
        devices=_devices(at),
        sysctls=sysctls.string_map() if sysctls else {},
        ulimits=limits.ulimits(at),
        shm_size=shm.size() if shm else 64 << 20,
        pid_mode=_namespace(at.get("pid"), "host", "service:", "container:"),
        ipc_mode=_namespace(at.get("ipc"), "host", "private", "shareable", "none", "service:", "container:"),
        uts_mode=_namespace(at.get("uts"), "host"),
        userns_mode=_userns(at.get("userns_mode")),
        init=flag("init"),
        extra_hosts=tuple(item.replace("=", ":", 1) for item in texts("extra_hosts")),
        dns=texts("dns"),
        dns_search=texts("dns_search"),
        dns_options=texts("dns_opt"),
        log_options=_logging(at.get("logging"), scope),
        cgroup_parent=text("cgroup_parent"),
        oom_score_adj=score.integer(-1000, 1000) if score else 0,
    )


def _command(at: Value | None, *, empty: tuple[str, ...]) -> tuple[str, ...]:
    """A list as it is, text split as a shell splits it (without running one)."""
    if at is None:
        return ()
    if at.is_list:
        return tuple(item.string() for item in at.items()) or empty
    if at.is_mapping:
        raise at.must_be("a string or a list")
    import shlex

    try:
        return tuple(shlex.split(at.string())) or empty
    except ValueError as error:
        raise at.wrong(f"cannot be split into words: {str(error).lower()}") from None


def _environment(at: Value, scope: Scope) -> tuple[str, ...]:
    """``env_file`` first, then ``environment``; a name alone takes the project's value or goes away."""
    found: dict[str, str] = {}
    listed = at.get("env_file")
    for item in listed.items() if listed else ():
        found.update(_env_file(item, scope))
    given = at.get("environment")
    for key, value in (given.mapping() if given else {}).items():
        if not key or "=" in key:
            raise value.wrong(f'"{key}" is not a variable\'s name')
        if not value.empty:
            found[key] = value.string()
        elif key in scope.variables:
            found[key] = scope.variables[key]
        else:
            found.pop(key, None)
    return tuple(f"{key}={value}" for key, value in found.items())


def _env_file(item: Value, scope: Scope) -> dict[str, str]:
    item.known_keys(SECTIONS["env_file"])
    path, required, form = item.get("path"), item.get("required"), item.get("format")
    if path is None:
        raise item.wrong("path must be given")
    file = Path(path.string())
    if not file.exists() and required and not required.boolean():
        return {}
    try:
        if form and form.choice("raw") == "raw":
            found = parse_env_file(file, scope.variables)
            return {name: value for name, equals, value in (s.partition("=") for s in found) if equals}
        return dotenv.read(file, scope.variables)
    except EngineError as error:
        raise path.wrong(error.message, hint=error.hint) from None


def _labels(at: Value) -> dict[str, str]:
    found: dict[str, str] = {}
    listed = at.get("label_file")
    for item in listed.items() if listed else ():
        try:
            found.update(dotenv.read(Path(item.string()), {}))
        except EngineError as error:
            raise item.wrong(error.message, hint=error.hint) from None
    labels = at.get("labels")
    for key, value in (labels.mapping() if labels else {}).items():
        if key.startswith("com.docker.compose"):
            raise value.wrong("labels that start with com.docker.compose are reserved")
        found[key] = "" if value.empty else value.string()
    return found


def _dependencies(at: Value) -> tuple[Dependency, ...]:
    """``depends_on``, and what ``links``, ``volumes_from`` and shared namespaces imply."""
    found: dict[str, Dependency] = {}
    section = at.get("depends_on")
    for name, entry in (section.mapping() if section else {}).items():
        condition = restart = required = None
        if not entry.empty:
            entry.known_keys(SECTIONS["depends_on"])
            condition, restart, required = (entry.get(key) for key in SECTIONS["depends_on"])
        found[name] = Dependency(
            name,
            condition.choice("service_started", "service_healthy", "service_completed_successfully")
            if condition
            else "service_started",
            restart=restart.boolean() if restart else False,
            required=required.boolean() if required else True,
        )
    links = at.get("links")
    implied = [item.partition(":")[0] for item in (links.strings() if links else ())]
    implied += [name for name, _ in _volumes_from(at)]
    for key in ("network_mode", "pid", "ipc"):
        mode = at.get(key)
        if mode and mode.is_scalar and mode.string().startswith("service:"):
            implied.append(mode.string().removeprefix("service:"))
    for name in implied:
        found.setdefault(name, Dependency(name))
    return tuple(found.values())


def _volumes_from(at: Value) -> tuple[tuple[str, bool], ...]:
    listed = at.get("volumes_from")
    found = []
    for item in listed.items() if listed else ():
        name, _, mode = item.string().partition(":")
        if name == "container":
            raise item.wrong("containers outside of the project are not supported")
        if mode not in ("", "ro", "rw"):
            raise item.wrong(f'must be SERVICE, SERVICE:ro or SERVICE:rw, not "{item.string()}"')
        found.append((name, mode == "ro"))
    return tuple(found)


def _files(at: Value, scope: Scope) -> tuple[list[Mount], list[InlineFile]]:
    secrets = storage.file_mounts(at, "secrets", scope.secrets, scope.warn)
    configs = storage.file_mounts(at, "configs", scope.configs, scope.warn)
    return secrets[0] + configs[0], secrets[1] + configs[1]


def _healthcheck(at: Value | None) -> HealthCheck | None:
    """Without a test it changes the image's check; ``test`` is empty then."""
    if at is None:
        return None
    at.known_keys(SECTIONS["healthcheck"])
    disable, test = at.get("disable"), at.get("test")
    if disable and disable.boolean():
        return HealthCheck(("NONE",))
    words: tuple[str, ...] = ()
    if test:
        words = test.strings() if test.is_list else ("CMD-SHELL", test.string())
        if not words or words[0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise test.wrong("a list starts with NONE, CMD or CMD-SHELL")
        if words[0] != "NONE" and len(words) < 2:
            raise test.wrong("the command is missing")

    def duration(key: str, default: int) -> int:
        value = at.get(key)
        return value.duration() or default if value else default

    retries = at.get("retries")
    return HealthCheck(
        test=words,
        interval=duration("interval", 30_000_000_000),
        timeout=duration("timeout", 30_000_000_000),
        start_period=duration("start_period", 0),
        start_interval=duration("start_interval", 5_000_000_000),
        retries=(retries.integer() or 3) if retries else 3,
    )


def _signal(at: Value | None) -> str:
    if at is None:
        return "SIGTERM"
    at.parsed(parse_signal, at.string())
    return at.string()


def _devices(at: Value) -> tuple[str, ...]:
    listed = at.get("devices")
    found = []
    for item in listed.items() if listed else ():
        if item.is_mapping:
            item.known_keys(("source", "target", "permissions"))
            parts = [item.get(key) for key in ("source", "target", "permissions")]
            if parts[0] is None:
                raise item.wrong("a device needs a source")
            source = parts[0].string()
            target = parts[1].string() if parts[1] else source
            found.append(f"{source}:{target}:{parts[2].string() if parts[2] else 'rwm'}")
        else:
            found.append(item.string())
    return tuple(found)


def _namespace(at: Value | None, *allowed: str) -> str:
    if at is None:
        return ""
    text = at.string()
    if text in allowed or any(text.startswith(prefix) for prefix in allowed if prefix.endswith(":")):
        return text
    shown = ", ".join(f"{word}NAME" if word.endswith(":") else word for word in allowed)
    raise at.wrong(f'must be one of {shown}, not "{text}"', hint=nearest(text, allowed))


def _userns(at: Value | None) -> str:
    if at is None:
        return ""
    at.parsed(parse_userns, at.string())
    return at.string()


def _logging(at: Value | None, scope: Scope) -> dict[str, str]:
    if at is None:
        return {}
    at.known_keys(SECTIONS["logging"])
    driver, options = at.get("driver"), at.get("options")
    if driver and driver.string() not in ("json-file", "local", "none"):
        scope.warn(f"{driver.path}: {driver.string()} is not supported, logs are kept in our own store")
        return {}
    found = options.string_map() if options else {}
    if driver and driver.string() != "json-file":
        found["driver"] = driver.string()
    return found


def _container_name(at: Value | None) -> str:
    if at is None:
        return ""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", at.string(), re.ASCII):
        raise at.wrong(f'"{at.string()}" is not a container\'s name: [a-zA-Z0-9][a-zA-Z0-9_.-]+')
    return at.string()


def _pull_policy(at: Value | None) -> str:
    if at is None:
        return ""
    text = at.string()
    if text.startswith("every_"):
        try:
            parse_duration(text.removeprefix("every_"), days=True)
        except InvalidInput as error:
            raise at.wrong(f"{text!r}: {error.message}") from None
        return text
    return at.choice(*_PULL_POLICIES)
