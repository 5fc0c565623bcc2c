"""A service's mounts: volumes, tmpfs, secrets and configs; and the top level's volumes and files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from runtime.compose.nodes import Node
from runtime.compose.project import InlineFile, VolumeSpec
from runtime.compose.schema import SECTIONS
from runtime.compose.values import Value, nearest
from runtime.model.container import Mount, MountType
from runtime.model.mounts import CREATE, IDMAP
from runtime.model.parse import parse_size

__all__ = ["FileSpec", "declared_files", "declared_volumes", "is_external", "mounts", "tmpfs"]

Warn = Callable[[str], None]
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


@dataclass(frozen=True)
class FileSpec:
    """A secret or a config: a ``file`` of the host, or ``content``."""

    key: str
    file: str = ""
    content: str | None = None
    variable: str = ""
    """The environment variable that ``content`` comes from."""


def is_external(at: Value) -> tuple[bool, str]:
    """``external: true``, or the old ``external: {name: X}``; the name is "" when there is none."""
    external = at.get("external")
    if external is None:
        return False, ""
    if external.is_mapping:
        name = external.get("name")
        return True, name.string() if name else ""
    return external.boolean(), ""


def declared_volumes(section: Value | None, project: str, warn: Warn) -> dict[str, VolumeSpec]:
    found = {}
    for key, at in section.mapping().items() if section else ():
        at.known_keys(SECTIONS["named_volume"])
        external, old_name = is_external(at)
        name = at.get("name")
        labels = at.get("labels")
        driver = at.get("driver")
        if driver and driver.string() not in ("local", "default"):
            raise driver.wrong(
                f'there is no volume driver "{driver.string()}"', hint="local is the one there is"
            )
        if options := at.get("driver_opts"):
            warn(f"{options.path} is not supported and ignored")
        found[key] = VolumeSpec(
            key=key,
            name=name.string() if name else old_name or (key if external else f"{project}_{key}"),
            external=external,
            labels=labels.string_map() if labels else {},
        )
    return found


def declared_files(section: Value | None, variables: Mapping[str, str]) -> dict[str, FileSpec]:
    """Top-level ``secrets`` or ``configs``."""
    found = {}
    for key, at in section.mapping().items() if section else ():
        at.known_keys(SECTIONS["file"])
        sources = [name for name in ("file", "environment", "content") if at.get(name)]
        if is_external(at)[0]:
            raise at.wrong(
                "external secrets and configs need a swarm's store", hint="give file, environment or content"
            )
        if len(sources) != 1:
            raise at.wrong("exactly one of file, environment and content must be given")
        source = at.get(sources[0])
        assert source is not None
        if sources[0] == "file":
            found[key] = FileSpec(key, file=source.string())
        elif sources[0] == "content":
            found[key] = FileSpec(key, content=source.string())
        else:
            variable = source.string()
            if variable not in variables:
                raise source.wrong(f"environment variable {variable} is not set")
            found[key] = FileSpec(key, content=variables[variable], variable=variable)
    return found


def mounts(service: Value, volumes: Mapping[str, VolumeSpec], warn: Warn) -> tuple[Mount, ...]:
    """``volumes`` in the long form, and ``tmpfs``."""
    listed = service.get("volumes")
    found = [_mount(at, volumes, warn) for at in listed.items()] if listed else []
    found += tmpfs(service.get("tmpfs"))
    seen: dict[str, None] = {}
    for mount in found:
        if mount.target.rstrip("/") in seen:
            raise service.wrong(f"two mounts have the target {mount.target}")
        seen[mount.target.rstrip("/")] = None
    return tuple(found)


def _mount(at: Value, volumes: Mapping[str, VolumeSpec], warn: Warn) -> Mount:
    at.known_keys(SECTIONS["volume"])
    type_, target, source = at.get("type"), at.get("target"), at.get("source")
    if type_ is None:
        raise at.wrong("a volume needs a type: bind, volume, tmpfs or image")
    kind = MountType(type_.choice("bind", "volume", "tmpfs", "image"))
    if target is None:
        raise at.wrong("a volume needs a target")
    path = target.string()
    if not path.startswith("/") or path.strip("/") == "":
        raise target.wrong(f'must be an absolute path below /, not "{path}"')
    read_only = at.get("read_only")
    mount = Mount(kind, "", path, read_only=read_only.boolean() if read_only else False)
    for other in MountType:
        if other is not kind and (extra := at.get(other.value)):
            raise extra.wrong(f"does not go with type: {kind.value}")
    details = at.get(kind.value)
    if kind is MountType.TMPFS:
        return _tmpfs_details(mount, details)
    if kind is MountType.VOLUME:
        return _volume_details(mount, source, details, volumes, warn)
    if source is None:
        raise at.wrong(f"{'an image' if kind is MountType.IMAGE else 'a bind'} mount needs a source")
    if kind is MountType.IMAGE:
        return _image_details(replace(mount, source=source.string(), read_only=True), details)
    return _bind_details(replace(mount, source=source.string()), source, details)


def _image_details(mount: Mount, details: Value | None) -> Mount:
    if details is None:
        return mount
    details.known_keys(SECTIONS["volume_image"])
    at = details.get("subpath")
    subpath = at.string() if at else ""
    if at and (subpath.startswith("/") or ".." in subpath.split("/")):
        raise at.wrong("must be a relative path without '..'")
    return replace(mount, subpath=posixpath.normpath(subpath) if subpath else "")


def _tmpfs_details(mount: Mount, details: Value | None) -> Mount:
    if details is None:
        return mount
    details.known_keys(SECTIONS["volume_tmpfs"])
    size, mode = details.get("size"), details.get("mode")
    return replace(
        mount,
        tmpfs_size=size.size() if size else None,
        tmpfs_mode=_mode(mode) if mode else None,
    )


def _volume_details(
    mount: Mount, source: Value | None, details: Value | None, volumes: Mapping[str, VolumeSpec], warn: Warn
) -> Mount:
    name = source.string() if source else ""
    if source and name not in volumes:
        raise source.wrong(
            f'the volume "{name}" is not declared',
            hint=nearest(name, volumes) or f"add it at the top level: volumes: {{{name}: {{}}}}",
        )
    no_copy = False
    if details:
        details.known_keys(SECTIONS["volume_volume"])
        flag = details.get("nocopy")
        no_copy = flag.boolean() if flag else False
        for key in ("subpath", "labels"):
            if value := details.get(key):
                warn(f"{value.path} is not supported and ignored")
    return replace(mount, source=volumes[name].name if name else "", no_copy=no_copy)


def _bind_details(mount: Mount, source: Value, details: Value | None) -> Mount:
    if not mount.source.startswith("/"):
        raise source.wrong(f'must be a path, not "{mount.source}"')
    if details is None:
        return replace(mount, options=(CREATE,))
    details.known_keys(SECTIONS["volume_bind"])
    create, propagation = details.get("create_host_path"), details.get("propagation")
    return replace(
        mount,
        options=(CREATE,) if create is None or create.boolean() else (),
        propagation=propagation.choice(*_PROPAGATIONS) if propagation else "rprivate",
    )


def tmpfs(at: Value | None) -> list[Mount]:
    """``tmpfs``: PATH or PATH:OPTION,..., with size, mode and mount flags."""
    return [_tmpfs(item) for item in at.items()] if at else []


def _tmpfs(item: Value) -> Mount:
    target, _, options = item.string().partition(":")
    if not target.startswith("/") or target.strip("/") == "":
        raise item.wrong(f'must be an absolute path below /, not "{target}"')
    size, mode, kept, read_only = None, None, [], False
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name == "size":
            size = item.parsed(parse_size, value)
        elif name == "mode":
            if not re.fullmatch(r"[0-7]{1,5}", value, re.ASCII):
                raise item.wrong(f'mode must be octal, not "{value}"')
            mode = int(value, 8)
        elif option in ("ro", "rw"):
            read_only = option == "ro"
        elif re.fullmatch(r"(?:uid|gid|nr_inodes)=[0-9]+|(?:no)?(?:exec|suid|dev|atime)", option, re.ASCII):
            kept.append(option)
        else:
            raise item.wrong(f'unknown option "{option}"')
    return Mount(
        MountType.TMPFS, "", target, read_only, options=tuple(kept), tmpfs_size=size, tmpfs_mode=mode
    )


def file_mounts(
    service: Value, key: str, declared: Mapping[str, FileSpec], warn: Warn
) -> tuple[list[Mount], list[InlineFile]]:
    """A service's ``secrets`` or ``configs`` (``key``): binds of host files, and files to be written."""
    binds: list[Mount] = []
    inline: list[InlineFile] = []
    listed = service.get(key)
    for at in listed.items() if listed else ():
        at.known_keys(SECTIONS["file_reference"])
        source = at.get("source")
        if source is None:
            raise at.wrong("source must be given")
        spec = declared.get(source.string())
        if spec is None:
            raise source.wrong(
                f'the {key[:-1]} "{source.string()}" is not declared',
                hint=nearest(source.string(), declared) or f"add it at the top level, under {key}",
            )
        target = _file_target(at.get("target"), spec.key, key)
        owner = [_number(at.get(name)) for name in ("uid", "gid")]
        mode = at.get("mode")
        if spec.content is not None:
            bits = _mode(mode) if mode else 0o444
            inline.append(InlineFile(target, spec.content, bits, owner[0] or 0, owner[1] or 0))
            continue
        for name in ("uid", "gid", "mode"):
            if value := at.get(name):
                warn(f"{value.path} is not supported for a file of the host and ignored")
        binds.append(Mount(MountType.BIND, spec.file, target, read_only=True, options=(IDMAP,)))
    return binds, inline


def _file_target(at: Value | None, source: str, key: str) -> str:
    if at is None:
        return f"/run/secrets/{source}" if key == "secrets" else f"/{source}"
    text = at.string()
    if text.startswith("/"):
        return text
    return f"/run/secrets/{text}" if key == "secrets" else f"/{text}"


def _number(at: Value | None) -> int | None:
    return at.integer(0, (1 << 32) - 2) if at else None


def _mode(at: Value) -> int:
    """Octal: 0440 (a number in YAML) or "0440"."""
    value = at.node.value
    if isinstance(value, str):
        if not re.fullmatch(r"0?o?[0-7]{1,5}", value, re.ASCII):
            raise at.must_be("an octal mode")
        return int(value.replace("o", ""), 8)
    return Value(Node(at.node.value, at.node.place, at.node.text), at.path).integer(0, 0o7777)
