"""Mounts as users write them: docker's ``-v`` and ``--mount``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from runtime.errors import InvalidInput
from runtime.model.container import Mount, MountType
from runtime.model.quantities import parse_size

__all__ = ["CREATE", "IDMAP", "parse_mount", "parse_volume"]

CREATE = "create"
"""A bind mount's option: its source is made, as a directory, when it is missing (docker's ``-v``)."""

IDMAP = "idmap"
"""A bind mount's option: in a container with a user namespace the owners on disk are the container's ids, as
they always are on a volume (podman's name for it)."""

_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_IGNORED_OPTIONS = ("consistent", "cached", "delegated", "default")
_VOLUME_NAME = r"(?a)[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_Wrong = Callable[[str], InvalidInput]


def parse_volume(text: str, *, base: Path | None = None) -> Mount:
    """``-v``: [SOURCE:]TARGET[:OPTION,...]. An absolute SOURCE is a bind, a name a volume, none an anonymous
    volume. ``./x``, ``../x`` and ``~/x`` are binds below ``base`` (compose files), an error without one."""

    def wrong(reason: str) -> InvalidInput:
        return InvalidInput(
            f"invalid volume {text!r}: {reason}",
            hint="[SOURCE:]TARGET[:OPTIONS], for example data:/var/lib/data or /srv/www:/www:ro",
            subject=text,
        )

    parts = text.split(":")
    if len(parts) > 3:
        raise wrong("there are too many colons")
    if len(parts) == 1:
        source, target, options = "", parts[0], ""
    elif (
        len(parts) == 2
        and not parts[1].startswith("/")
        and parts[0].startswith("/")
        and _are_options(parts[1])
    ):
        source, target, options = "", parts[0], parts[1]
    else:
        source, target, options = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
        if not source:
            raise wrong("the source is empty")
        if len(parts) == 3 and not options:
            raise wrong("the options are empty")
    _check_target(target, wrong)
    kind, source = _volume_source(source, base, wrong)
    read_only, no_copy, propagation = False, False, "rprivate"
    extra = [CREATE] if kind is MountType.BIND else []
    seen: set[str] = set()
    for option in options.split(",") if options else ():
        group = "mode" if option in ("ro", "rw") else "propagation" if option in _PROPAGATIONS else option
        if group in seen:
            raise wrong(f"option {option!r} is given twice or contradicts another")
        seen.add(group)
        if option in ("ro", "rw"):
            read_only = option == "ro"
        elif option in ("z", "Z") or (option == IDMAP and kind is not MountType.TMPFS):
            extra.append(option)
        elif option == "nocopy" and kind is MountType.VOLUME:
            no_copy = True
        elif option in _PROPAGATIONS and kind is MountType.BIND:
            propagation = option
        elif option not in _IGNORED_OPTIONS:
            raise wrong(f"unknown option {option!r}" if option else "an option is empty")
    return Mount(
        type=kind,
        source=source,
        target=target,
        read_only=read_only,
        propagation=propagation,
        options=tuple(extra),
        no_copy=no_copy,
    )


def _are_options(text: str) -> bool:
    known = {"ro", "rw", "z", "Z", "nocopy", IDMAP, *_PROPAGATIONS, *_IGNORED_OPTIONS}
    return all(option in known for option in text.split(","))


def _volume_source(source: str, base: Path | None, wrong: _Wrong) -> tuple[MountType, str]:
    if "\0" in source:
        raise wrong("the source contains a null character")
    if source.startswith("/"):
        return MountType.BIND, os.path.normpath(source)
    if source in (".", "..", "~") or source.startswith(("./", "../", "~/")):
        if base is None:
            raise wrong("a source is an absolute path or a volume's name")
        if source.startswith("~"):
            return MountType.BIND, os.path.normpath(os.environ.get("HOME", "/root") + source[1:])
        return MountType.BIND, os.path.normpath(base / source)
    if source and not re.fullmatch(_VOLUME_NAME, source):
        raise wrong(f"{source!r} is not a volume's name: only letters, digits, '_', '.' and '-' are allowed")
    return MountType.VOLUME, source


def _check_target(target: str, wrong: _Wrong) -> None:
    if not target.startswith("/"):
        raise wrong(f"the target {target!r} is not an absolute path" if target else "the target is missing")
    if os.path.normpath(target).strip("/") == "":
        raise wrong("the target cannot be '/'")
    if "\0" in target:
        raise wrong("the target contains a null character")


def parse_mount(text: str) -> Mount:
    """``--mount``: comma-separated key=value pairs, quoted as in CSV; type is bind, volume (the
    default), tmpfs or image.
    A bind's source must exist, unless ``bind-create-src`` says otherwise."""
    import csv

    def wrong(reason: str) -> InvalidInput:
        return InvalidInput(
            f"invalid mount {text!r}: {reason}",
            hint="for example type=bind,source=/srv/www,target=/www,readonly",
            subject=text,
        )

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise wrong(str(error)) from None
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {"volume-opt": [], "volume-label": []}
    for item in rows[0] if rows else ():
        key, equals, value = item.strip().partition("=")
        name = _MOUNT_KEYS.get(key.lower())
        if name is None:
            raise wrong(f"unknown key {key!r}" if key else "a key is empty")
        if not equals and name not in _MOUNT_FLAGS:
            raise wrong(f"{key} needs a value")
        if name in lists:
            if not value.partition("=")[0]:
                raise wrong(f"{key} is NAME=VALUE")
            lists[name].append(value)
        elif name in values:
            raise wrong(f"{key} is given twice")
        values[name] = value if equals else "true"
    mount = _mount(values, wrong)
    return replace(
        mount, driver_options=tuple(lists["volume-opt"]), volume_labels=tuple(lists["volume-label"])
    )


_MOUNT_KEYS = {
    "type": "type",
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "readonly": "readonly",
    "ro": "readonly",
    "consistency": "consistency",
    "idmap": "idmap",
    "bind-propagation": "bind-propagation",
    "bind-create-src": "bind-create-src",
    "bind-recursive": "bind-recursive",
    "bind-nonrecursive": "bind-nonrecursive",
    "volume-nocopy": "volume-nocopy",
    "volume-subpath": "volume-subpath",
    "volume-driver": "volume-driver",
    "volume-opt": "volume-opt",
    "volume-label": "volume-label",
    "image-subpath": "image-subpath",
    "tmpfs-size": "tmpfs-size",
    "tmpfs-mode": "tmpfs-mode",
}
_MOUNT_FLAGS = ("readonly", "idmap", "volume-nocopy", "bind-create-src", "bind-nonrecursive")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def _recursive(values: Mapping[str, str], read_only: bool, flat: bool, wrong: _Wrong) -> str:
    """docker's rules for bind-recursive; bind-nonrecursive is its older name for "disabled"."""
    chosen = values.get("bind-recursive", "disabled" if flat else "enabled").lower()
    if chosen not in ("enabled", "disabled", "writable", "readonly"):
        raise wrong(f"bind-recursive is enabled, disabled, writable or readonly, not {chosen!r}")
    if flat and chosen != "disabled":
        raise wrong("bind-nonrecursive and bind-recursive contradict each other")
    if chosen in ("writable", "readonly") and not read_only:
        raise wrong(f"option 'bind-recursive={chosen}' requires 'readonly' to be specified in conjunction")
    if chosen == "readonly" and values.get("bind-propagation") != "rprivate":
        raise wrong("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate'")
    return "" if chosen == "enabled" else chosen


def _mount(values: Mapping[str, str], wrong: _Wrong) -> Mount:
    def flag(name: str) -> bool:
        value = values.get(name, "false").lower()
        if value not in _TRUE + _FALSE:
            raise wrong(f"{name} is true or false, not {values[name]!r}")
        return value in _TRUE

    kind_name = values.get("type", "volume").lower()
    if kind_name not in ("bind", "volume", "tmpfs", "image"):
        raise wrong(f"the type is bind, volume, tmpfs or image, not {kind_name!r}")
    kind = MountType(kind_name)
    target, source = values.get("target", ""), values.get("source", "")
    _check_target(target, wrong)
    for name in values:
        prefix = name.partition("-")[0]
        if prefix in ("bind", "volume", "tmpfs", "image") and prefix != kind:
            raise wrong(f"{name} does not go with type={kind.value}")
    if kind in (MountType.TMPFS, MountType.IMAGE) and flag("idmap"):
        raise wrong(f"type {kind.value} has the container's own ids: idmap is for binds")
    if kind is MountType.IMAGE and not source:
        raise wrong("the source, an image, is missing")
    if kind is MountType.TMPFS and source:
        raise wrong("a tmpfs has no source")
    if kind is MountType.BIND and not source.startswith("/"):
        raise wrong(f"the source {source!r} is not an absolute path" if source else "the source is missing")
    if kind is MountType.VOLUME and source and not re.fullmatch(_VOLUME_NAME, source):
        raise wrong(f"{source!r} is not a volume's name")
    propagation = values.get("bind-propagation", "rprivate")
    if propagation not in _PROPAGATIONS:
        raise wrong(f"unknown propagation {propagation!r}: it is one of {', '.join(_PROPAGATIONS)}")
    recursive = _recursive(values, flag("readonly"), flag("bind-nonrecursive"), wrong)
    subpath = values.get(f"{kind.value}-subpath", "")
    if subpath and (subpath.startswith("/") or ".." in subpath.split("/") or not source):
        inside = "an image" if kind is MountType.IMAGE else "a named volume"
        raise wrong(f"{kind.value}-subpath is a relative path without '..', in {inside}")
    if values.get("volume-driver", "local") != "local":
        raise wrong(f"there is no volume driver {values['volume-driver']!r}, only local")
    mode = values.get("tmpfs-mode")
    if mode is not None and not re.fullmatch(r"0?o?[0-7]{1,4}", mode, re.ASCII):
        raise wrong(f"tmpfs-mode is octal, such as 1777, not {mode!r}")
    return Mount(
        type=kind,
        source=os.path.normpath(source) if kind is MountType.BIND else source,
        target=target,
        read_only=flag("readonly") or kind is MountType.IMAGE,
        propagation=propagation,
        options=(*((CREATE,) if flag("bind-create-src") else ()), *((IDMAP,) if flag("idmap") else ())),
        no_copy=flag("volume-nocopy"),
        recursive=recursive,
        subpath=os.path.normpath(subpath) if subpath else "",
        tmpfs_size=parse_size(values["tmpfs-size"]) if "tmpfs-size" in values else None,
        tmpfs_mode=int(mode.replace("o", ""), 8) if mode is not None else None,
    )
