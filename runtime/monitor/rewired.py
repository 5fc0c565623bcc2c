"""A container was connected to other networks while it runs: what its monitor holds for it follows."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import os

from runtime.network import ports, stub

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Request
    from runtime.monitor.supervise import Monitor

__all__ = ["follow"]


def follow(monitor: Monitor, fields: Request) -> None:
    """``ports`` are to be held, ``names`` is the program that answers questions for names, ``nowhere`` the
    built-in network whose end is told; what is not there stays as it is. Raises OSError (a port)."""
    if "ports" in fields:
        _hold(monitor, fields["ports"])
    if fields.get("names"):
        _answer_with(monitor, fields["names"])
    if "nowhere" in fields:
        monitor.plan["nowhere"] = fields["nowhere"]


def _hold(monitor: Monitor, wanted: list[tuple[str, int, str]]) -> None:
    """Those ports and no others; what is held all along is never let go."""
    held = dict(zip(map(tuple, monitor.plan["ports"]), monitor.reserved, strict=True))
    new = [port for port in wanted if port not in held]
    held.update(zip(new, ports.reserve_sockets(new), strict=True))
    for port in [port for port in held if port not in wanted]:
        os.close(held.pop(port))
    monitor.plan["ports"], monitor.reserved = list(held), list(held.values())


def _answer_with(monitor: Monitor, names: list[str]) -> None:
    """Sockets that are open stay; a program that answers as before the change makes room."""
    if monitor.names is not None and names == monitor.plan["names"]:
        return
    monitor.plan["names"] = names
    if monitor.names is None:
        monitor.names = stub.open_sockets(monitor.netns)
    elif monitor.names_pid:
        os.kill(monitor.names_pid, signal.SIGKILL)
        monitor.names_pid = 0
    monitor.watch_names()
