"""tuidock system prune: remove everything that nothing uses."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "prune", usage="[OPTIONS]", examples=["tuidock system prune", "tuidock system prune -a --volumes -f"]
)
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones"
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.option("--volumes", is_flag=True, help="Prune anonymous volumes")
@pass_invocation
def command(invocation: Invocation, everything: bool, force: bool, volumes: bool) -> None:
    """Remove unused data."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.container_prune import remove_stopped
    from tuidock.cli.output import decimal_size, emit

    what = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        what.append("all anonymous volumes not used by at least one container")
    what.append("all images without at least one container" if everything else "all dangling images")
    what.append("all build cache that no image shares")
    if not agreed("This will remove:\n" + "\n".join(f"  - {line}" for line in what) + "\n", force):
        return
    engine = invocation.engine
    stopped, reclaimed = remove_stopped(engine, ())
    sections = [
        ("Deleted Containers", stopped),
        ("Deleted Networks", engine.networks.prune()),
    ]
    if volumes:
        names, size = engine.volumes.prune()
        sections.append(("Deleted Volumes", names))
        reclaimed += size
    names, size = engine.images.prune(all=everything)
    sections.append(("Deleted Images", names))
    reclaimed += size
    records = engine.builder.prune()
    sections.append(("Deleted build cache objects", [record.id for record in records]))
    reclaimed += sum(record.size for record in records)
    for title, removed in sections:
        if removed:
            emit(f"{title}:\n" + "\n".join(removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(reclaimed)}")
