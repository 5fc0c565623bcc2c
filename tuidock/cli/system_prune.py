"""tuidock system prune: remove everything that nothing uses."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.prune_filters import prune_filter, selection

__all__ = ["command"]


@declare(
    "prune", usage="[OPTIONS]", examples=["tuidock system prune", "tuidock system prune -a --volumes -f"]
)
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones"
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.option("--volumes", is_flag=True, help="Prune anonymous volumes")
@prune_filter
@pass_invocation
def command(
    invocation: Invocation, everything: bool, force: bool, volumes: bool, filters: tuple[str, ...]
) -> None:
    """Remove unused data."""
    from runtime.errors import InvalidInput
    from tuidock.cli.confirm import agreed
    from tuidock.cli.container_prune import remove_stopped
    from tuidock.cli.output import decimal_size, emit

    chosen, wanted = selection(filters)
    if volumes and "until" in wanted:
        raise InvalidInput(
            'the "until" filter is not supported with "--volumes"',
            hint="prune the volumes by themselves: tuidock volume prune",
        )
    what = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        what.append("all anonymous volumes not used by at least one container")
    what.append("all images without at least one container" if everything else "all dangling images")
    what.append("all build cache that no image shares")
    text = "This will remove:\n" + "\n".join(f"  - {line}" for line in what) + "\n"
    if filters:
        text += "\n  Items to be pruned will be filtered with:\n"
        text += "".join(f"  - {item}\n" for item in sorted(filters))
    if not agreed(text, force):
        return
    engine = invocation.engine
    stopped, reclaimed = remove_stopped(engine, chosen)
    sections = [
        ("Deleted Containers", stopped),
        ("Deleted Networks", engine.networks.prune(selection=chosen)),
    ]
    if volumes:
        names, size = engine.volumes.prune(selection=chosen)
        sections.append(("Deleted Volumes", names))
        reclaimed += size
    names, size = engine.images.prune(all=everything, selection=chosen)
    sections.append(("Deleted Images", names))
    reclaimed += size
    records = engine.builder.prune()
    sections.append(("Deleted build cache objects", [record.id for record in records]))
    reclaimed += sum(record.size for record in records)
    for title, removed in sections:
        if removed:
            emit(f"{title}:\n" + "\n".join(removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(reclaimed)}")
