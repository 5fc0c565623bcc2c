"""Options of run and create: what they become, and what is refused before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest

from runtime.errors import InvalidInput, NotFound
from runtime.model.container import (
    ContainerConfig,
    HealthCheck,
    Mount,
    MountType,
    NetworkAttachment,
    PortBinding,
    Resources,
    RestartPolicy,
    RestartPolicyName,
)
from tuidock.cli.container_config import build
from tuidock.cli.run import command as run_command

SECOND = 1_000_000_000


def parsed(*arguments: str) -> ContainerConfig:
    context = run_command.make_context("run", list(arguments))
    options = dict(context.params)
    return build(options.pop("image"), options.pop("argv"), options)


PLAIN = ContainerConfig(image="base")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["-it"], {"tty": True, "open_stdin": True, "stdin_once": True}),
        (["-d", "-i"], {"open_stdin": True}),
        (["--rm", "-h", "host", "-w", "/x", "-u", "1:2"],
         {"auto_remove": True, "hostname": "host", "working_dir": "/x", "user": "1:2"}),
        (["--rm=false", "--init=true"], {"init": True}),
        (["-e", "A=1", "-e", "B=2", "-e", "A=3"], {"env": ("A=3", "B=2")}),
        (["--entrypoint", "/bin/sh -c"], {"entrypoint": ("/bin/sh -c",)}),
        (["--entrypoint", ""], {"entrypoint": ("",)}),
        (["-p", "80"], {"ports": (PortBinding(80),)}),
        (["-p", "127.0.0.1:8080:80/udp"], {"ports": (PortBinding(80, "udp", "127.0.0.1", 8080),)}),
        (["-p", "1-2:3-4"], {"ports": (PortBinding(3, host_port=1), PortBinding(4, host_port=2))}),
        (["-P", "--expose", "80-81"],
         {"exposed_ports": ("80/tcp", "81/tcp"), "ports": (PortBinding(80), PortBinding(81))}),
        (["-v", "data:/d:ro"], {"mounts": (Mount(MountType.VOLUME, "data", "/d", read_only=True),)}),
        (["--tmpfs", "/run:size=1m,mode=700,noexec"],
         {"mounts": (
             Mount(MountType.TMPFS, "", "/run", tmpfs_size=1 << 20, tmpfs_mode=0o700, options=("noexec",)),
         )}),
        (["--mount", "type=tmpfs,target=/t"], {"mounts": (Mount(MountType.TMPFS, "", "/t"),)}),
        (["--cpus", "0.5", "-m", "32m", "--pids-limit", "10", "-c", "512"],
         {"resources": Resources(cpus=0.5, memory=32 << 20, pids_limit=10, cpu_shares=512)}),
        (["--pids-limit", "-1", "--cpus", "0"], {}),
        (["-m", "64m", "--memory-swap", "-1"], {"resources": Resources(memory=64 << 20, memory_swap=-1)}),
        (["--restart", "on-failure:3"], {"restart": RestartPolicy(RestartPolicyName.ON_FAILURE, 3)}),
        (["--network", "none"], {"network_mode": "none"}),
        (["--net=host"], {"network_mode": "host"}),
        (["--network", "web", "--network-alias", "db", "--ip", "10.0.0.5"],
         {"network_mode": "web", "networks": (NetworkAttachment("web", ("db",), "10.0.0.5"),)}),
        (["--network", "name=web,alias=a", "--network", "back"],
         {"network_mode": "web", "networks": (NetworkAttachment("web", ("a",)), NetworkAttachment("back"))}),
        (["-l", "a=b", "--label", "c"], {"labels": {"a": "b", "c": ""}}),
        (["--health-cmd", "true", "--health-interval", "5s", "--health-retries", "1"],
         {"healthcheck": HealthCheck(("CMD-SHELL", "true"), interval=5 * SECOND, retries=1)}),
        (["--health-retries", "2"], {"healthcheck": HealthCheck((), 0, 0, 0, 0, 2)}),
        (["--mac-address", "02:42:ac:11:00:02"],
         {"networks": (NetworkAttachment("bridge", mac_address="02:42:ac:11:00:02"),)}),
        (["--device-read-bps", "/dev/sda:1mb", "--memory-swappiness", "3"],
         {"resources": Resources(device_read_bps=("/dev/sda:1mb",), memory_swappiness=3)}),
        (["--volumes-from", "x:ro", "--link", "db:store", "--cgroupns", "host"],
         {"volumes_from": ("x:ro",), "links": ("db:store",), "cgroupns_mode": "host"}),
        (["--device-cgroup-rule", "c 1:* r", "--annotation", "a=b"],
         {"device_cgroup_rules": ("c 1:* r",), "annotations": {"a": "b"}}),
        (["--mount", "type=bind,src=/a,dst=/b,ro,bind-recursive=writable"],
         {"mounts": (Mount(MountType.BIND, "/a", "/b", read_only=True, recursive="writable"),)}),
        (["--no-healthcheck"], {"healthcheck": HealthCheck(("NONE",))}),
        (["--stop-signal", "INT", "--stop-timeout", "3"], {"stop_signal": "INT", "stop_timeout": 3}),
        (["--shm-size", "1g"], {"shm_size": 1 << 30}),
        (["--add-host", "db:10.0.0.1", "--dns", "1.1.1.1"],
         {"extra_hosts": ("db:10.0.0.1",), "dns": ("1.1.1.1",)}),
        (["--sysctl", "net.ipv4.ip_forward=1"], {"sysctls": {"net.ipv4.ip_forward": "1"}}),
        (["--pid", "host", "--ipc", "private", "--uts", "host"], {"pid_mode": "host", "uts_mode": "host"}),
        (["--log-opt", "max-size=1m"], {"log_options": {"max-size": "1m"}}),
        (["--log-driver", "local", "--log-opt", "max-file=9"],
         {"log_options": {"driver": "local", "max-file": "9"}}),
    ],
)  # fmt: skip
def test_options(arguments: list[str], expected: dict[str, object]) -> None:
    assert parsed(*arguments, "base") == replace(PLAIN, **expected)  # type: ignore[arg-type]  # a table


def test_options_end_at_the_image() -> None:
    config = parsed("--rm", "base", "ls", "-l", "--rm=x", "--", "-h")
    assert config.cmd == ("ls", "-l", "--rm=x", "--", "-h")
    assert config.hostname == ""


def test_a_bind_mount_is_relative_to_here() -> None:
    (mount,) = parsed("-v", "./data:/d", "base").mounts
    assert (mount.type, mount.source) == (MountType.BIND, str(Path.cwd() / "data"))


def test_files_of_variables_and_labels(tmp_path: Path) -> None:
    env, labels = tmp_path / "env", tmp_path / "labels"
    env.write_text("# comment\nA=1\nB=from file\n")
    labels.write_text("x=1\n\n# c\ny\n")
    config = parsed("--env-file", str(env), "-e", "B=given", "--label-file", str(labels), "-l", "x=2", "base")
    assert config.env == ("A=1", "B=given")
    assert config.labels == {"x": "2", "y": ""}


def test_a_missing_file_is_named() -> None:
    with pytest.raises(NotFound, match="/nonexistent/env"):
        parsed("--env-file", "/nonexistent/env", "base")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rm", "--restart", "always"], "cannot specify both --restart and --rm"),
        (["--restart", "sometimes"], "restart policy 'sometimes'"),
        (["-m", "lots"], "--memory: invalid size: 'lots'"),
        (["-m", "1m"], "--memory 1m is too small"),
        (["--memory-swap", "1g"], "--memory-swap needs --memory"),
        (["-m", "64m", "--memory-swap", "32m"], "must not be smaller"),
        (["--cpus", "two"], "'two'"),
        (["--cpus", "1", "--cpu-quota", "5000"], "both --cpus and --cpu-quota"),
        (["--pids-limit", "many"], "--pids-limit takes a whole number"),
        (["--oom-score-adj", "2000"], "--oom-score-adj must be between -1000 and 1000"),
        (["-p", "99999:80"], "99999"),
        (["-v", "a:b:c:d"], "'a:b:c:d'"),
        (["--mount", "type=what,target=/x"], "'what'"),
        (["--tmpfs", "run"], "--tmpfs: 'run'"),
        (["-e", "=x"], "'=x'"),
        (["-l", "=x"], "'=x'"),
        (["--network", "none", "--network-alias", "x"], "aliases"),
        (["--ip", "10.0.0.1"], "--ip is only supported"),
        (["--network", "host", "--network", "web"], "cannot be combined"),
        (["--network", "container:x", "-h", "y"], "hostname and the network mode"),
        (["--health-interval", "5"], "--health-interval"),
        (["--device-read-bps", "sda:1mb"], "--device-read-bps: 'sda:1mb'"),
        (["--device-write-bps", "/dev/sda:fast"], "invalid rate for --device-write-bps"),
        (["--device-read-iops", "/dev/sda:1mb"], "invalid rate for --device-read-iops"),
        (["--device-write-iops", "/dev/sda:0"], "invalid rate for --device-write-iops"),
        (["--blkio-weight-device", "/dev/sda:9"], "invalid weight for --blkio-weight-device"),
        (["--blkio-weight", "5"], "--blkio-weight must be between 10 and 1000"),
        (["--memory-swappiness", "101"], "--memory-swappiness must be between -1 and 100"),
        (["--annotation", "x"], "--annotation: 'x'"),
        (["--isolation", "hyperv"], "--isolation: 'hyperv'"),
        (["--runtime", "runc"], "--runtime: 'runc'"),
        (["--volume-driver", "nfs"], "--volume-driver: 'nfs'"),
        (["--mac-address", "02:00:00:00:00:01", "--network", "host"], "--mac-address and --network host"),
        (["--gpus", "all"], "--gpus is not supported"),
        (["--ip6", "fe80::1"], "--ip6 is not supported"),
        (["--storage-opt", "size=1g"], "--storage-opt is not supported"),
        (["--kernel-memory", "1g"], "--kernel-memory is not supported"),
        (["--link-local-ip", "169.254.1.1"], "--link-local-ip is not supported"),
        (["--cpu-rt-runtime", "1000"], "--cpu-rt-runtime is not supported"),
        (["--mount", "type=volume,src=v,dst=/x,volume-subpath=../y"], "volume-subpath"),
        (["--mount", "type=bind,src=/x,dst=/x,bind-recursive=writable"], "requires 'readonly'"),
        (["--mount", "type=bind,src=/x,dst=/x,ro,bind-recursive=readonly"], "requires 'bind-propagation"),
        (["--mount", "type=bind,src=/x,dst=/x,bind-recursive=deep"], "'deep'"),
        (["--mount", "type=tmpfs,dst=/x,bind-recursive=enabled"], "does not go with type=tmpfs"),
        (["--health-cmd", "x", "--no-healthcheck"], "--no-healthcheck conflicts"),
        (["--health-cmd", "x", "--health-timeout", "5"], "--health-timeout"),
        (["--stop-signal", "SIGWHAT"], "'SIGWHAT'"),
        (["--shm-size", "0"], "--shm-size must be greater than 0"),
        (["--add-host", "db"], "--add-host: 'db'"),
        (["--dns", "nope"], "--dns: 'nope'"),
        (["--sysctl", "x"], "--sysctl: 'x'"),
        (["--pid", "web"], "--pid: invalid mode"),
        (["-d", "-a", "stdin"], "both --attach and --detach"),
        (["-a", "stdfoo"], "--attach: 'stdfoo'"),
        (["--pull", "sometimes"], "invalid pull option"),
        (["--userns", "keep-id"], "--userns: invalid mode"),
        (["--userns", "auto:size=0"], "--userns: invalid mode"),
        (["--expose", "80:80"], "--expose"),
    ],
)
def test_wrong_values_are_refused_by_name(arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsed(*arguments, "base")
    assert message in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--rmm", "base"], "--rmm"),
        (["--rm=maybe", "base"], "it is true or false"),
        (["--name"], "requires an argument"),
    ],
)
def test_wrong_flags(arguments: list[str], error: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        parsed(*arguments)
    assert error in caught.value.format_message()
