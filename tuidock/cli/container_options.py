"""The options that ``run``, ``create`` and ``compose run`` share, in docker's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

__all__ = ["REFUSED", "container_options"]

F = TypeVar("F", bound=Callable[..., object])

_OPTIONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    # names, metavar ("" for a switch, "*" before one that may be given often), description
    (("--add-host",), "*HOST:IP", "Add a custom host-to-IP mapping"),
    (
        ("--annotation",),
        "*NAME=VALUE",
        "Add an annotation to the container (passed through to the OCI document)",
    ),
    (("-a", "--attach", "attach_streams"), "*STREAM", "Attach to STDIN, STDOUT or STDERR"),
    (("--blkio-weight",), "WEIGHT", "Block IO (relative weight), between 10 and 1000"),
    (("--blkio-weight-device",), "*DEVICE:WEIGHT", "Block IO weight (relative device weight)"),
    (("--cap-add",), "*CAP", "Add Linux capabilities"),
    (("--cap-drop",), "*CAP", "Drop Linux capabilities"),
    (("--cgroup-parent",), "CGROUP", "Parent cgroup for the container"),
    (("--cgroupns",), "MODE", "Cgroup namespace to use (host, private)"),
    (("--cidfile",), "FILE", "Write the container ID to the file"),
    (("--cpu-period",), "USECS", "Limit CPU CFS (Completely Fair Scheduler) period"),
    (("--cpu-quota",), "USECS", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    (("-c", "--cpu-shares"), "SHARES", "CPU shares (relative weight)"),
    (("--cpus",), "NUMBER", "Number of CPUs"),
    (("--cpuset-cpus",), "LIST", "CPUs in which to allow execution (0-3, 0,1)"),
    (("--cpuset-mems",), "LIST", "MEMs in which to allow execution (0-3, 0,1)"),
    (("--device",), "*DEVICE", "Add a host device to the container"),
    (("--device-cgroup-rule",), "*RULE", "Add a rule to the cgroup allowed devices list"),
    (("--device-read-bps",), "*DEVICE:RATE", "Limit read rate (bytes per second) from a device"),
    (("--device-read-iops",), "*DEVICE:RATE", "Limit read rate (IO per second) from a device"),
    (("--device-write-bps",), "*DEVICE:RATE", "Limit write rate (bytes per second) to a device"),
    (("--device-write-iops",), "*DEVICE:RATE", "Limit write rate (IO per second) to a device"),
    (("--disable-content-trust",), "", "Skip image verification (there is none: accepted, changes nothing)"),
    (("--dns",), "*ADDRESS", "Set custom DNS servers"),
    (("--dns-option", "--dns-opt"), "*OPTION", "Set DNS options"),
    (("--dns-search",), "*DOMAIN", "Set custom DNS search domains"),
    (("--domainname",), "NAME", "Container NIS domain name"),
    (("--entrypoint",), "COMMAND", "Overwrite the default ENTRYPOINT of the image"),
    (("-e", "--env"), "*NAME[=VALUE]", "Set environment variables"),
    (("--env-file",), "*FILE", "Read in a file of environment variables"),
    (("--expose",), "*PORT", "Expose a port or a range of ports"),
    (("--group-add",), "*GROUP", "Add additional groups to join"),
    (("--health-cmd",), "COMMAND", "Command to run to check health"),
    (("--health-interval",), "DURATION", "Time between running the check (ms|s|m|h)"),
    (("--health-retries",), "COUNT", "Consecutive failures needed to report unhealthy"),
    (("--health-start-interval",), "DURATION", "Time between checks during the start period"),
    (("--health-start-period",), "DURATION", "Start period for the container to initialize"),
    (("--health-timeout",), "DURATION", "Maximum time to allow one check to run"),
    (("-h", "--hostname"), "NAME", "Container host name"),
    (("--init",), "", "Run an init inside the container that forwards signals and reaps processes"),
    (("-i", "--interactive"), "", "Keep STDIN open even if not attached"),
    (("--ip",), "ADDRESS", "IPv4 address on a user's network"),
    (("--ipc",), "MODE", "IPC mode to use (private, shareable, host, none, container:NAME)"),
    (("--isolation",), "MODE", "Container isolation technology (default)"),
    (("-l", "--label", "labels"), "*NAME[=VALUE]", "Set meta data on a container"),
    (("--label-file",), "*FILE", "Read in a line delimited file of labels"),
    (("--link",), "*CONTAINER[:ALIAS]", "Add a link to another container"),
    (("--log-driver",), "DRIVER", "Logging driver for the container (json-file, local, none)"),
    (("--log-opt",), "*NAME=VALUE", "Log driver options: max-size, max-file, mode, max-buffer-size"),
    (("--mac-address",), "ADDRESS", "Container MAC address (for example 92:d0:c6:0a:29:33)"),
    (("-m", "--memory"), "SIZE", "Memory limit"),
    (("--memory-reservation",), "SIZE", "Memory soft limit"),
    (("--memory-swap",), "SIZE", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    (("--memory-swappiness",), "NUMBER", "Tune container memory swappiness (0 to 100)"),
    (("--mount",), "*SPEC", "Attach a file system mount to the container"),
    (("--name",), "NAME", "Assign a name to the container"),
    (
        ("--network", "--net"),
        "*NETWORK",
        "Connect a container to a network (bridge, none, host, container:NAME, NAME)",
    ),
    (("--network-alias", "--net-alias"), "*NAME", "Add network-scoped alias for the container"),
    (("--no-healthcheck",), "", "Disable any container-specified HEALTHCHECK"),
    (("--oom-kill-disable",), "", "Disable OOM Killer"),
    (("--oom-score-adj",), "NUMBER", "Tune host's OOM preferences (-1000 to 1000)"),
    (("--pid",), "MODE", "PID namespace to use (host, container:NAME)"),
    (("--pids-limit",), "COUNT", "Tune container pids limit (-1 for unlimited)"),
    (("--platform",), "PLATFORM", "Set platform if the image has several (os/arch)"),
    (("--privileged",), "", "Give extended privileges to this container"),
    (("-p", "--publish"), "*PORTS", "Publish a container's port(s) to the host"),
    (("-P", "--publish-all"), "", "Publish all exposed ports to random ports"),
    (("--pull",), "POLICY", "Pull image before running (always, missing, never)"),
    (("-q", "--quiet"), "", "Suppress the pull output"),
    (("--read-only",), "", "Mount the container's root file system as read only"),
    (("--restart",), "POLICY", "Restart policy: no, always, unless-stopped, on-failure[:MAXIMUM]"),
    (("--rm",), "", "Automatically remove the container when it exits"),
    (("--runtime",), "NAME", "Runtime to use for this container (tuidock)"),
    (("--security-opt",), "*OPTION", "Security options: no-new-privileges, seccomp=unconfined|builtin|FILE"),
    (("--shm-size",), "SIZE", "Size of /dev/shm"),
    (("--stop-signal",), "SIGNAL", "Signal to stop the container"),
    (("--stop-timeout",), "SECONDS", "Timeout to stop a container"),
    (("--sysctl",), "*NAME=VALUE", "Sysctl options"),
    (("--tmpfs",), "*PATH[:OPTIONS]", "Mount a tmpfs directory"),
    (("-t", "--tty"), "", "Allocate a pseudo-TTY"),
    (("--ulimit",), "*NAME=SOFT[:HARD]", "Ulimit options"),
    (("-u", "--user"), "USER[:GROUP]", "Username or UID"),
    (("--userns",), "MODE", "User namespace to use (host, remap, auto[:size=N], container:NAME)"),
    (("--uts",), "MODE", "UTS namespace to use (host)"),
    (("-v", "--volume"), "*MOUNT", "Bind mount a volume: [SOURCE:]TARGET[:OPTIONS]"),
    (("--volume-driver",), "DRIVER", "Optional volume driver for the container (local)"),
    (("--volumes-from",), "*CONTAINER[:ro]", "Mount volumes from the specified container(s)"),
    (("-w", "--workdir"), "DIR", "Working directory inside the container"),
)


REFUSED: dict[str, tuple[str, str]] = {
    # name: why it is refused, what to do instead
    "--cpu-rt-period": ("real-time scheduling of groups is no part of cgroup v2",
                        "use --cpus or --cpu-shares"),
    "--cpu-rt-runtime": ("real-time scheduling of groups is no part of cgroup v2",
                         "use --cpus or --cpu-shares"),
    "--gpus": ("there are no vendor hooks for GPUs", "pass the nodes through: --device /dev/dri"),
    "--ip6": ("containers have no IPv6 addresses", "use --ip"),
    "--kernel-memory": ("Linux has no such limit since 5.16", "--memory counts it too"),
    "--link-local-ip": ("containers have one address on each network", "use --ip"),
    "--storage-opt": ("it is supported only for overlay over xfs with 'pquota' mount option",
                      "put large data on a volume"),
    "--use-api-socket": ("there is no API socket: there is no daemon", "leave it out"),
}  # fmt: skip
"""docker's options that mean nothing here: refused by name with the reason, not taken for typing errors."""


def container_options(function: F) -> F:
    """Add them all; the function takes them as ``**options`` (what ``container_config.build`` reads)."""
    for name in REFUSED:
        switch = name == "--use-api-socket"
        function = click.option(name, hidden=True, multiple=not switch, is_flag=switch)(function)
    for names, metavar, help in reversed(_OPTIONS):
        if not metavar:
            decorate = click.option(*names, is_flag=True, help=help)
        elif metavar.startswith("*"):
            decorate = click.option(*names, metavar=metavar[1:], multiple=True, help=help)
        else:
            decorate = click.option(*names, metavar=metavar, help=help)
        function = decorate(function)
    return function
