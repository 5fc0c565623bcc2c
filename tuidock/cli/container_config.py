"""From the options of ``run`` and ``create`` to a ContainerConfig; what is wrong is refused here, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from runtime.errors import InvalidInput, NotFound
from runtime.model import devices, parse
from runtime.model.container import (
    ContainerConfig,
    HealthCheck,
    Mount,
    MountType,
    NetworkAttachment,
    PortBinding,
    Resources,
    RestartPolicyName,
)
from tuidock.cli.container_options import REFUSED
from tuidock.cli.values import flag, size, whole_number

__all__ = ["Options", "build", "parse_labels", "parse_pairs"]

Options = Mapping[str, object]
"""What click parsed: str or None, bool, or a tuple of str."""


def _text(options: Options, name: str) -> str | None:
    return cast("str | None", options.get(name))


def _many(options: Options, name: str) -> tuple[str, ...]:
    return cast("tuple[str, ...]", options.get(name) or ())


def _on(options: Options, name: str) -> bool:
    return bool(options.get(name))


def build(image: str, command: Sequence[str], options: Options) -> ContainerConfig:
    """Raises InvalidInput (naming the option or the value) and NotFound (a file that is not there)."""
    _check_conflicts(options)
    mode, networks = _networks(options)
    restart = parse.parse_restart(_text(options, "restart") or "no")
    if _on(options, "rm") and restart.name is not RestartPolicyName.NO:
        raise InvalidInput(
            "conflicting options: cannot specify both --restart and --rm", hint="leave one of them out"
        )
    config = ContainerConfig(
        image=image,
        entrypoint=_entrypoint(_text(options, "entrypoint")),
        cmd=tuple(command),
        env=_environment(options),
        working_dir=_text(options, "workdir") or "",
        user=_text(options, "user") or "",
        hostname=_text(options, "hostname") or "",
        domainname=_text(options, "domainname") or "",
        labels=_labels(options),
        tty=_on(options, "tty"),
        open_stdin=_on(options, "interactive"),
        stdin_once=_on(options, "interactive") and not _on(options, "detach"),
        auto_remove=_on(options, "rm"),
        network_mode=mode,
        networks=networks,
        ports=_ports(options),
        exposed_ports=_exposed(options),
        mounts=_mounts(options),
        resources=_resources(options),
        restart=restart,
        healthcheck=_health(options),
        privileged=_on(options, "privileged"),
        cap_add=_many(options, "cap_add"),
        cap_drop=_many(options, "cap_drop"),
        security_opt=_many(options, "security_opt"),
        read_only=_on(options, "read_only"),
        group_add=_many(options, "group_add"),
        devices=_many(options, "device"),
        sysctls=parse_pairs("--sysctl", _many(options, "sysctl")),
        ulimits=_many(options, "ulimit"),
        device_cgroup_rules=_many(options, "device_cgroup_rule"),
        annotations=parse_pairs("--annotation", _many(options, "annotation")),
        volumes_from=_many(options, "volumes_from"),
        links=() if networks and networks[0].links else _many(options, "link"),
        cgroupns_mode=_text(options, "cgroupns") or "",
        userns_mode=parse.parse_userns(_text(options, "userns") or ""),
        pid_mode=_mode(options, "pid", ("host", "private")),
        ipc_mode=_mode(options, "ipc", ("host", "private", "none", "shareable")),
        uts_mode=_mode(options, "uts", ("host", "private")),
        init=_on(options, "init"),
        extra_hosts=_extra_hosts(options),
        dns=_addresses("--dns", _many(options, "dns")),
        dns_search=_many(options, "dns_search"),
        dns_options=_many(options, "dns_option"),
        log_options=_log_options(options),
        cgroup_parent=_text(options, "cgroup_parent") or "",
        oom_score_adj=whole_number(options, "oom_score_adj", -1000, 1000) or 0,
    )
    return _with_stop_and_memory(config, options)


def _with_stop_and_memory(config: ContainerConfig, options: Options) -> ContainerConfig:
    """The fields whose default is the model's."""
    signal = _text(options, "stop_signal")
    if signal is not None:
        parse.parse_signal(signal)
        config = replace(config, stop_signal=signal)
    timeout = whole_number(options, "stop_timeout", -1, 1 << 31)
    if timeout is not None:
        config = replace(config, stop_timeout=timeout)
    shm = _text(options, "shm_size")
    if shm is not None:
        size = _option("--shm-size", parse.parse_size, shm)
        if size <= 0:
            raise InvalidInput(f"--shm-size must be greater than 0, not {shm!r}", subject=shm)
        config = replace(config, shm_size=size)
    return config


def _check_conflicts(options: Options) -> None:
    for name, (why, instead) in REFUSED.items():
        if options.get(name[2:].replace("-", "_")):
            raise InvalidInput(f"{name} is not supported: {why}", hint=instead)
    if _on(options, "detach") and _many(options, "attach_streams"):
        raise InvalidInput("conflicting options: cannot specify both --attach and --detach")
    for stream in _many(options, "attach_streams"):
        if stream.lower() not in ("stdin", "stdout", "stderr"):
            raise InvalidInput(
                f"invalid value for --attach: {stream!r}", hint="one of STDIN, STDOUT, STDERR", subject=stream
            )
    for name, accepted in (("isolation", "default"), ("runtime", "tuidock"), ("volume_driver", "local")):
        given = _text(options, name)
        if given not in (None, "", accepted):
            raise InvalidInput(
                f"invalid value for --{name.replace('_', '-')}: {given!r}",
                hint=f"only {accepted!r} is known here",
                subject=given,
            )
    pull = _text(options, "pull")
    if pull is not None and pull not in ("always", "missing", "never"):
        raise InvalidInput(
            f"invalid pull option: {pull!r}", hint="one of always, missing, never", subject=pull
        )
    if _on(options, "oom_kill_disable") and _text(options, "memory") is None:
        raise InvalidInput("--oom-kill-disable without a memory limit is dangerous", hint="add --memory SIZE")


def _option(name: str, parser: Callable[[str], int], text: str) -> int:
    """``parser(text)``, its error naming the option."""
    try:
        return parser(text)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}", hint=error.hint, subject=text) from None


def _entrypoint(text: str | None) -> tuple[str, ...]:
    """docker takes the whole value as one word; "" clears the image's."""
    return () if text is None else (text,)


def _environment(options: Options) -> tuple[str, ...]:
    """Files first, then ``-e``; a later value of one name replaces the earlier one."""
    items: list[str] = []
    for path in _many(options, "env_file"):
        items.extend(parse.parse_env_file(path))
    items.extend(parse.parse_env(_many(options, "env")))
    return tuple({item.partition("=")[0]: item for item in items}.values())


def parse_labels(items: Sequence[str]) -> dict[str, str]:
    """ "NAME=VALUE", or "NAME" for an empty value."""
    labels: dict[str, str] = {}
    for item in items:
        name, _, value = item.partition("=")
        if not name.strip():
            raise InvalidInput(f"invalid label: {item!r}", hint="give NAME=VALUE", subject=item)
        labels[name] = value
    return labels


def _labels(options: Options) -> dict[str, str]:
    lines: list[str] = []
    for name in _many(options, "label_file"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFound(f"label file {name} does not exist", subject=name) from None
        lines += [line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")]
    return parse_labels([*lines, *_many(options, "labels")])


def parse_pairs(option: str, items: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise InvalidInput(f"invalid value for {option}: {item!r}", hint="give NAME=VALUE", subject=item)
        found[name] = value
    return found


def _ports(options: Options) -> tuple[PortBinding, ...]:
    bindings: list[PortBinding] = []
    for text in _many(options, "publish"):
        bindings.extend(parse.parse_port(text))
    if _on(options, "publish_all"):
        published = {(binding.container_port, binding.protocol) for binding in bindings}
        for item in _exposed(options):
            port, _, protocol = item.partition("/")
            if (int(port), protocol) not in published:
                bindings.append(PortBinding(container_port=int(port), protocol=protocol))
    return tuple(dict.fromkeys(bindings))


def _exposed(options: Options) -> tuple[str, ...]:
    found: list[str] = []
    for text in _many(options, "expose"):
        if ":" in text:
            raise InvalidInput(
                f"invalid port for --expose: {text!r}", hint="give PORT[-END][/PROTOCOL]", subject=text
            )
        found.extend(f"{b.container_port}/{b.protocol}" for b in parse.parse_port(text))
    return tuple(dict.fromkeys(found))


def _mounts(options: Options) -> tuple[Mount, ...]:
    here = Path.cwd()
    mounts = [parse.parse_volume(text, base=here) for text in _many(options, "volume")]
    mounts += [parse.parse_mount(text) for text in _many(options, "mount")]
    mounts += [_tmpfs(text) for text in _many(options, "tmpfs")]
    return tuple(mounts)


def _tmpfs(text: str) -> Mount:
    """PATH[:OPTIONS]: size and mode have fields of their own, the rest goes to mount(2) as it is."""
    target, _, options = text.partition(":")
    if not target.startswith("/"):
        raise InvalidInput(
            f"invalid value for --tmpfs: {text!r}", hint="give /PATH[:size=64m,mode=1777]", subject=text
        )
    mount = Mount(MountType.TMPFS, "", target)
    others: list[str] = []
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name == "size":
            mount = replace(mount, tmpfs_size=_option("--tmpfs", parse.parse_size, value))
        elif name == "mode":
            try:
                mount = replace(mount, tmpfs_mode=int(value, 8))
            except ValueError:
                raise InvalidInput(f"--tmpfs: mode is octal, not {value!r}", subject=text) from None
        elif option == "ro":
            mount = replace(mount, read_only=True)
        elif option != "rw":
            others.append(option)
    return replace(mount, options=tuple(others))


def _resources(options: Options) -> Resources:
    cpus = _text(options, "cpus")
    period = whole_number(options, "cpu_period", 1000, 1_000_000)
    quota = whole_number(options, "cpu_quota", -1, 1 << 62)
    if cpus is not None and (period is not None or quota is not None):
        clash = "--cpu-period" if period is not None else "--cpu-quota"
        raise InvalidInput(f"conflicting options: cannot specify both --cpus and {clash}")
    memory = size(options, "memory")
    swap = _text(options, "memory_swap")
    memory_swap = -1 if swap == "-1" else size(options, "memory_swap")
    reservation = size(options, "memory_reservation")
    if memory_swap is not None and memory is None:
        raise InvalidInput("--memory-swap needs --memory", hint="set the memory limit as well")
    if memory and memory_swap is not None and 0 < memory_swap < memory:
        raise InvalidInput("--memory-swap must not be smaller than --memory", hint="it is memory plus swap")
    if memory and reservation and reservation > memory:
        raise InvalidInput("--memory-reservation must be smaller than --memory")
    if memory is not None and 0 < memory < 6 << 20:
        raise InvalidInput(f"--memory {_text(options, 'memory')} is too small", hint="the least is 6m")
    pids = whole_number(options, "pids_limit", -1, 1 << 22)
    swappiness = whole_number(options, "memory_swappiness", -1, 100)
    return Resources(
        cpus=parse.parse_cpus(cpus) or None if cpus is not None else None,
        cpu_shares=whole_number(options, "cpu_shares", 0, 262_144) or None,
        cpu_period=period,
        cpu_quota=quota,
        cpuset_cpus=_text(options, "cpuset_cpus"),
        cpuset_mems=_text(options, "cpuset_mems"),
        memory=memory or None,
        memory_reservation=reservation or None,
        memory_swap=memory_swap or None,
        oom_kill_disable=_on(options, "oom_kill_disable"),
        pids_limit=pids if pids is not None and pids > 0 else None,
        memory_swappiness=None if swappiness == -1 else swappiness,
        blkio_weight_device=_devices(options, "blkio_weight_device", devices.parse_weight),
        device_read_bps=_devices(options, "device_read_bps", devices.parse_rate),
        device_write_bps=_devices(options, "device_write_bps", devices.parse_rate),
        device_read_iops=_devices(options, "device_read_iops", devices.parse_iops),
        device_write_iops=_devices(options, "device_write_iops", devices.parse_iops),
        blkio_weight=whole_number(options, "blkio_weight", 10, 1000),
    )


def _devices(options: Options, name: str, parser: Callable[[str, str], tuple[str, int]]) -> tuple[str, ...]:
    items = _many(options, name)
    for text in items:
        parser(flag(name), text)
    return items


def _networks(options: Options) -> tuple[str, tuple[NetworkAttachment, ...]]:
    """The mode, and the attachments when a user's network is named (or aliases or an address are given)."""
    wanted: list[tuple[str, dict[str, str], list[str]]] = []
    for text in _many(options, "network"):
        name, fields, aliases = text, {}, []
        if "=" in text:
            name = ""
            for part in text.split(","):
                key, _, value = part.partition("=")
                if key == "name":
                    name = value
                elif key == "alias":
                    aliases.append(value)
                elif key in ("ip", "mac-address", "gw-priority"):
                    fields[key] = value
                else:
                    raise InvalidInput(
                        f"invalid field {key!r} in --network {text!r}",
                        hint="name=, alias=, ip=, mac-address=, gw-priority=",
                    )
        if not name:
            raise InvalidInput(
                f"invalid value for --network: {text!r}", hint="give a network's name", subject=text
            )
        wanted.append((name, fields, aliases))
    aliases, address = list(_many(options, "network_alias")), _text(options, "ip")
    mode = wanted[0][0] if wanted else "bridge"
    mode = "bridge" if mode == "default" else mode
    special = mode in ("none", "host") or mode.startswith("container:")
    if len(wanted) > 1 and (special or any(name in ("none", "host") for name, *_ in wanted)):
        raise InvalidInput(
            "conflicting options: host, none and container networks cannot be combined with others"
        )
    if mode in ("none", "host", "bridge") or special:
        if aliases:
            raise InvalidInput("network-scoped aliases are only supported for user-defined networks")
        if address:
            raise InvalidInput("--ip is only supported on user-defined networks with a subnet")
    if mode.startswith("container:") and _text(options, "hostname"):
        raise InvalidInput("conflicting options: hostname and the network mode")
    mac = _text(options, "mac_address")
    if special and mac:
        raise InvalidInput(f"conflicting options: --mac-address and --network {mode}")
    if special or (mode == "bridge" and len(wanted) <= 1 and not mac and not any(f for _, f, _ in wanted)):
        return mode, ()
    wanted = wanted or [("bridge", {}, [])]
    # On a user's network a link is a name for the resolver, on the default one lines in the hosts file.
    links = tuple(parse.parse_link(text) for text in _many(options, "link")) if mode != "bridge" else ()
    if address is not None:
        _addresses("--ip", (address,))
    attachments = []
    for place, (name, fields, own) in enumerate(wanted):
        first = place == 0
        attachments.append(
            NetworkAttachment(
                network=name,
                aliases=(*own, *(aliases if first else ())),
                ipv4_address=fields.get("ip") or (address if first else None),
                mac_address=fields.get("mac-address") or (mac if first else None),
                links=links if first else (),
                gw_priority=_priority(fields.get("gw-priority", "0")),
            )
        )
    return mode, tuple(attachments)


def _priority(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 11):
        raise InvalidInput(f"invalid gw-priority {text!r}", hint="give a whole number", subject=text)
    return int(text)


def _health(options: Options) -> HealthCheck | None:
    command = _text(options, "health_cmd")
    times = {
        name: _option("--health-" + name.replace("_", "-"), parse.parse_duration, text)
        for name in ("interval", "timeout", "start_period", "start_interval")
        if (text := _text(options, f"health_{name}")) is not None
    }
    retries = whole_number(options, "health_retries", 0, 1 << 31)
    if _on(options, "no_healthcheck"):
        if command or times or retries is not None:
            raise InvalidInput("--no-healthcheck conflicts with --health-* options")
        return HealthCheck(("NONE",))
    if command is None:
        if not times and retries is None:
            return None
        wanted = {"interval": 0, "timeout": 0, "start_period": 0, "start_interval": 0, **times}
        return HealthCheck((), **wanted, retries=retries or 0)
    check = HealthCheck(("CMD-SHELL", command), **{name: value for name, value in times.items() if value})
    return replace(check, retries=retries) if retries else check


def _mode(options: Options, name: str, accepted: tuple[str, ...]) -> str:
    text = _text(options, name) or ""
    if text and text not in accepted and not (name != "uts" and text.startswith("container:") and text[10:]):
        forms = ", ".join((*accepted, "container:NAME") if name != "uts" else accepted)
        raise InvalidInput(f"--{name}: invalid mode: {text!r}", hint=f"one of {forms}", subject=text)
    return "" if text == "private" else text


def _extra_hosts(options: Options) -> tuple[str, ...]:
    found = []
    for text in _many(options, "add_host"):
        host, separator, address = text.partition("=") if "=" in text else text.partition(":")
        if not host or not separator or not address:
            raise InvalidInput(f"bad format for --add-host: {text!r}", hint="give HOST:IP", subject=text)
        if address != "host-gateway":
            _addresses("--add-host", (address.strip("[]"),))
        found.append(f"{host}:{address.strip('[]')}")
    return tuple(found)


def _addresses(option: str, items: Sequence[str]) -> tuple[str, ...]:
    import ipaddress

    for item in items:
        try:
            ipaddress.ip_address(item)
        except ValueError:
            raise InvalidInput(f"{option}: {item!r} is not an IP address", subject=item) from None
    return tuple(items)


def _log_options(options: Options) -> dict[str, str]:
    found = parse_pairs("--log-opt", _many(options, "log_opt"))
    driver = _text(options, "log_driver")
    if driver is not None:
        found["driver"] = driver  # what it takes is checked at create, together with the settings' log-opts
    return found
