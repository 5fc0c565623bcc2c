"""tuidock update: limits and the restart policy of containers that exist."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

if TYPE_CHECKING:
    from runtime.model.container import Resources

__all__ = ["command"]


@declare(
    "update",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    examples=[
        "tuidock update --cpus 0.5 --memory 512m web",
        "tuidock update --restart on-failure:3 web worker",
        "tuidock update --pids-limit -1 web",
    ],
)
@click.option("--blkio-weight", metavar="WEIGHT", help="Block IO (relative weight), between 10 and 1000")
@click.option("--cpu-period", metavar="USECS", help="Limit CPU CFS (Completely Fair Scheduler) period")
@click.option("--cpu-quota", metavar="USECS", help="Limit CPU CFS (Completely Fair Scheduler) quota")
@click.option("-c", "--cpu-shares", metavar="SHARES", help="CPU shares (relative weight)")
@click.option("--cpus", metavar="NUMBER", help="Number of CPUs (0 for no limit)")
@click.option("--cpuset-cpus", metavar="LIST", help="CPUs in which to allow execution (0-3, 0,1)")
@click.option("--cpuset-mems", metavar="LIST", help="MEMs in which to allow execution (0-3, 0,1)")
@click.option("-m", "--memory", metavar="SIZE", help="Memory limit")
@click.option("--memory-reservation", metavar="SIZE", help="Memory soft limit")
@click.option(
    "--memory-swap",
    metavar="SIZE",
    help="Swap limit equal to memory plus swap: -1 to enable unlimited swap",
)
@click.option("--pids-limit", metavar="COUNT", help="Tune container pids limit (-1 for unlimited)")
@click.option("--restart", metavar="POLICY", help="Restart policy to apply when a container exits")
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, /, containers: tuple[str, ...], **options: str | None) -> None:
    """Update configuration of one or more containers."""
    from runtime.errors import InvalidInput
    from runtime.model.parse import parse_restart

    if all(value is None for value in options.values()):
        raise InvalidInput(
            "you must provide one or more flags when using this command", hint="see 'tuidock update --help'"
        )
    resources = _resources(options)
    restart = parse_restart(options["restart"]) if options["restart"] is not None else None
    engine = invocation.engine

    def update(name: str) -> None:
        for warning in engine.containers.update(name, resources=resources, restart=restart):
            sys.stderr.write(f"WARNING: {warning}\n")

    each(containers, update)


def _resources(options: dict[str, str | None]) -> Resources | None:
    """None when no limit is given. Raises InvalidInput that names the option."""
    from runtime.errors import InvalidInput
    from runtime.model.container import Resources
    from runtime.model.parse import parse_cpus
    from tuidock.cli.values import size, whole_number

    cpus = options["cpus"]
    if cpus is not None and (options["cpu_period"] is not None or options["cpu_quota"] is not None):
        clash = "--cpu-period" if options["cpu_period"] is not None else "--cpu-quota"
        raise InvalidInput(f"conflicting options: cannot specify both --cpus and {clash}")
    swap = options["memory_swap"]
    memory = size(options, "memory")
    if memory is not None and memory < 6 << 20:
        raise InvalidInput(f"--memory {options['memory']} is too small", hint="the least is 6m")
    found = Resources(
        cpus=parse_cpus(cpus) if cpus is not None else None,
        cpu_shares=whole_number(options, "cpu_shares", 2, 262_144),
        cpu_period=whole_number(options, "cpu_period", 1000, 1_000_000),
        cpu_quota=whole_number(options, "cpu_quota", -1, 1 << 62),
        cpuset_cpus=options["cpuset_cpus"],
        cpuset_mems=options["cpuset_mems"],
        memory=memory,
        memory_reservation=size(options, "memory_reservation"),
        memory_swap=-1 if swap == "-1" else size(options, "memory_swap"),
        pids_limit=whole_number(options, "pids_limit", -1, 1 << 22),
        blkio_weight=whole_number(options, "blkio_weight", 10, 1000),
    )
    return found if found != Resources() else None
