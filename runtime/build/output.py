"""What becomes of the last stage: an image in the store, and copies of it or of its files elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runtime.build.options import BuildOptions, Output
from runtime.build.state import StageState
from runtime.build.steps import Step
from runtime.build.workspace import Workspace
from runtime.errors import InvalidInput
from runtime.images.create import create_image
from runtime.images.reference import Reference
from runtime.model.event import Progress
from runtime.model.image import Image

__all__ = ["check_outputs", "export"]

_ARCHIVES = ("oci", "docker")
_KINDS = ("image", "local", "tar", *_ARCHIVES, "cacheonly")


def check_outputs(options: BuildOptions) -> None:
    """Before anything is built. Raises InvalidInput."""
    for output in options.outputs:
        if output.type not in _KINDS:
            raise InvalidInput(f"unknown output type {output.type!r}", hint=", ".join(_KINDS))
        if output.type in ("local", "tar", "oci") and not output.destination and output.stream is None:
            raise InvalidInput(f"an output of type {output.type} needs a destination", hint="dest=PATH")
        if output.push and not (options.tags or output.names):
            raise InvalidInput("an image that is pushed needs a name", hint="-t HOST/NAME:TAG")
        place = Path(output.destination or ".")
        wants_directory = output.type == "local" or output.as_directory
        if wants_directory and output.stream is not None:
            raise InvalidInput(f"an output of type {output.type} is a directory: it cannot go to a stream")
        if output.destination and place.exists() and place.is_dir() is not wants_directory:
            what = "is not a directory" if wants_directory else "is a directory"
            raise InvalidInput(f"the output's destination {place} {what}", subject=str(place))


def keeps_image(options: BuildOptions) -> bool:
    """The store gets the image, by its tags."""
    return not options.outputs or any(
        item.type == "image" or (item.type == "docker" and not item.destination and item.stream is None)
        for item in options.outputs
    )


def export(work: Workspace, state: StageState) -> Image | None:
    """The image, when the store keeps it. Raises Failed for a destination that cannot be written."""
    options = work.options
    image = None
    if keeps_image(options):
        with work.report.step("exporting to image", counted=False) as step:
            names = list(options.tags)
            for output in options.outputs:
                names += [name for name in output.names if output.type == "image" and name not in names]
            image = _image(work, state, names)
            step.note(f"writing image {image.id}")
            for name in names:
                step.note(f"naming to {Reference.parse(name)}")
        for name in _pushed(options, names):
            _push(work, name)
    archived = None
    for output in options.outputs:
        if output.type in _TITLES and (output.destination or output.stream is not None):
            from runtime.build import output_files

            with work.report.step(_TITLES[output.type], counted=False) as step:
                if output.type not in _ARCHIVES:
                    output_files.write_files(work, state.layers, output, step)
                elif image is not None:
                    output_files.write_archive(work, image, output, step)
                else:
                    archived = _archive(work, state, output, step)
    return image or archived


def _pushed(options: BuildOptions, names: list[str]) -> list[str]:
    return names if any(output.push for output in options.outputs) else []


def _push(work: Workspace, name: str) -> None:
    from runtime.images.registry.push import push

    reference = Reference.parse(name)
    with work.report.step(f"pushing {reference}", counted=False) as step:

        def tell(event: Progress) -> None:
            if event.done or event.current is None:
                step.note(f"{event.id}: {event.stage}" if event.id else event.stage)

        push(work.ctx, str(reference), progress=tell, cancel=work.cancel)


_TITLES = {
    "local": "exporting to client directory",
    "tar": "exporting to client tarball",
    "oci": "exporting to oci image format",
    "docker": "exporting to docker image format",
}


def _image(work: Workspace, state: StageState, names: list[str]) -> Image:
    config = state.image_config()
    if work.options.labels:
        config = replace(config, labels={**config.labels, **work.options.labels})
    return create_image(
        work.ctx,
        config=config,
        layers=state.layers,
        history=state.history,
        refs=names,
        created_at=work.timestamp if work.timestamp is not None else state.created_at,
        author=state.author,
    )


def _archive(work: Workspace, state: StageState, output: Output, step: Step) -> Image:
    """An archive needs the image in the store; one that is not to stay has no name and goes again."""
    from runtime.build.output_files import write_archive
    from runtime.images.remove import remove
    from runtime.store.images import all_images

    before = {row.id for row in all_images(work.ctx.db)}
    image = _image(work, state, [])
    try:
        write_archive(work, image, output, step)
    finally:
        if image.id not in before:
            remove(work.ctx, image.id)
    return image
