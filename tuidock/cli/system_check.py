"""tuidock system check: mend what a crash left behind."""

from __future__ import annotations

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare("check", usage="", examples=["tuidock system check"])
@pass_invocation
def command(invocation: Invocation) -> None:
    """Mend what a crash left behind and say what was done."""
    from tuidock.cli.output import emit

    done = invocation.engine.system.reconcile()
    for line in done:
        emit(line)
    if not done:
        emit("nothing to mend")
