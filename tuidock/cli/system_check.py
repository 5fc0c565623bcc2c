"""tuidock system check: is everything as it should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, fail, pass_invocation

if TYPE_CHECKING:
    from runtime.model.finding import Finding

__all__ = ["command"]


@declare(
    "check",
    usage="[OPTIONS]",
    examples=["tuidock system check", "tuidock system check --repair", "tuidock system check --format json"],
)
@click.option("--repair", is_flag=True, help="Mend what is found")
@click.option("--format", metavar="json", type=click.Choice(["json"]), help="One JSON document a finding")
@pass_invocation
def command(invocation: Invocation, repair: bool, format: str | None) -> None:
    """Check that everything is as it should be, and mend it.

    Looks at the database, statuses, directories, logs, images (every byte), volumes, mounts, control groups,
    links, addresses and firewall rules. One line a finding; exits with 1 when something is wrong that was not
    mended.
    """
    from tuidock.cli.output import emit

    found = invocation.engine.system.check(repair=repair)
    for finding in found:
        emit(_json(finding) if format else _line(finding))
    if not found and not format:
        emit("nothing is wrong")
    if not all(finding.mended for finding in found):
        fail(1)


def _line(finding: Finding) -> str:
    if finding.mended:
        return f"{finding}: mended ({finding.remedy})"
    return f"{finding} ({finding.hint or 'tuidock system check --repair: ' + finding.remedy})"


def _json(finding: Finding) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({key.capitalize(): value for key, value in asdict(finding).items()})
