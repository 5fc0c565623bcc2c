"""tuidock compose config: parse, resolve and render compose file in canonical format."""

from __future__ import annotations

from collections.abc import Mapping

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "config",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose config",
        "tuidock compose config --services",
    ],
)
@click.option(
    "--format", "style", default="yaml", type=click.Choice(["yaml", "json"]), help="Format the output"
)
@click.option("--images", "kind", flag_value="images", help="Print the image names, one per line")
@click.option("-q", "--quiet", is_flag=True, help="Only validate the configuration, don't print anything")
@click.option("--networks", "kind", flag_value="networks", help="Print the network names, one per line")
@click.option("--profiles", "kind", flag_value="profiles", help="Print the profile names, one per line")
@click.option("--services", "kind", flag_value="services", help="Print the service names, one per line")
@click.option("--volumes", "kind", flag_value="volumes", help="Print the volume names, one per line")
@click.argument("names", nargs=-1)
@pass_target
def command(target: Target, style: str, kind: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """Parse, resolve and render compose file in canonical format."""
    from tuidock.cli.output import emit

    project = target.project
    chosen = project.selected(names)
    if quiet:
        return
    if kind is None:
        _render(project.document, style)
        return
    listed = {
        "images": sorted({service.config.image for service in chosen.values()}),
        "networks": sorted(project.networks),
        "profiles": sorted({name for service in project.services.values() for name in service.profiles}),
        "services": list(chosen),
        "volumes": sorted(project.volumes),
    }
    for name in listed[kind]:
        emit(name)


def _render(document: Mapping[str, object], style: str) -> None:
    if style == "json":
        import json

        click.echo(json.dumps(document, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True), nl=False)
