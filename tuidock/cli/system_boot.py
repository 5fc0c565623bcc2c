"""tuidock system boot: for the machine's init, once it is up."""

from __future__ import annotations

from tuidock.cli.command import Invocation, declare, fail, pass_invocation, report

__all__ = ["command"]


@declare("boot", usage="", examples=["tuidock system boot"])
@pass_invocation
def command(invocation: Invocation) -> None:
    """Start the containers that their restart policy wants running, as docker's daemon does when it comes up.

    always: whatever happened before; unless-stopped: unless it was stopped by hand; on-failure: if it did
    not end well. Prints the names of those that were started. Have it run once at the machine's start, by a
    systemd unit or a line "@reboot tuidock system boot" in root's crontab.
    """
    from tuidock.cli.output import emit

    started, failed = invocation.engine.system.boot()
    for container in started:
        emit(container.name)
    for _container, error in failed:
        report(error)
    if failed:
        fail(1)
