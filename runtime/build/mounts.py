"""``RUN --mount=type=...``: the flag's text as a value."""

from __future__ import annotations

import re

from runtime.model.record import record

__all__ = ["MountError", "RunMount", "parse_mount"]

_SIZE = r"(?i)(\d+)([bkmgt]?)b?"
_KEYS = {
    "bind": {"source", "target", "from", "rw"},
    "cache": {"id", "target", "ro", "sharing", "from", "source", "mode", "uid", "gid"},
    "tmpfs": {"target", "size"},
    "secret": {"id", "target", "env", "required", "mode", "uid", "gid"},
    "ssh": {"id", "target", "required", "mode", "uid", "gid"},
}
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "readwrite": "rw", "readonly": "ro"}
_SWITCHES = ("rw", "ro", "required")


class MountError(ValueError):
    """The flag is wrong; the message says how."""


@record
class RunMount:
    """``target`` "" takes the type's default. ``size`` is bytes."""

    type: str = "bind"
    source: str = ""
    target: str = ""
    from_: str = ""
    id: str = ""
    sharing: str = "shared"
    env: str = ""
    read_write: bool = False
    read_only: bool = False
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int = 0
    gid: int = 0


def parse_mount(text: str) -> RunMount:
    """Raises MountError."""
    values: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals:
            if key not in _SWITCHES:
                raise MountError(f"invalid field {part!r} of --mount: it must be key=value")
            value = "true"
        values[key] = value
    kind = values.pop("type", "bind")
    if kind not in _KEYS:
        raise MountError(f"unsupported mount type {kind!r}: bind, cache, tmpfs, secret or ssh")
    for switch, opposite in (("rw", "ro"), ("ro", "rw")):
        if switch in values and switch not in _KEYS[kind] and opposite in _KEYS[kind]:
            values[opposite] = "false" if values.pop(switch) == "true" else "true"
    unknown = sorted(set(values) - _KEYS[kind])
    if unknown:
        raise MountError(f"unexpected key {unknown[0]!r} for a mount of type {kind}")
    if "$" in values.get("from", ""):
        raise MountError("variables are not expanded in from= of --mount")
    mount = RunMount(
        type=kind,
        source=values.get("source", ""),
        target=values.get("target", ""),
        from_=values.get("from", ""),
        id=values.get("id", ""),
        sharing=values.get("sharing", "shared"),
        env=values.get("env", ""),
        read_write=_switch(values, "rw"),
        read_only=_switch(values, "ro"),
        required=_switch(values, "required"),
        size=_size(values["size"]) if "size" in values else None,
        mode=_number(values["mode"], 8) if "mode" in values else None,
        uid=_number(values.get("uid", "0"), 10),
        gid=_number(values.get("gid", "0"), 10),
    )
    if kind in ("bind", "cache", "tmpfs") and not mount.target:
        raise MountError(f"a mount of type {kind} needs target=")
    if mount.sharing not in ("shared", "private", "locked"):
        raise MountError(f"unsupported sharing value {mount.sharing!r}: shared, private or locked")
    if kind == "secret" and not mount.id and not mount.target:
        raise MountError("a mount of type secret needs id= or target=")
    return mount


def _switch(values: dict[str, str], key: str) -> bool:
    value = values.get(key, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise MountError(f"invalid value for {key}: {value!r}")
    return value in ("true", "1")


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise MountError(f"invalid number {text!r} in --mount") from None


def _size(text: str) -> int:
    match = re.fullmatch(_SIZE, text)
    if match is None:
        raise MountError(f"invalid size {text!r} in --mount")
    return int(match.group(1)) << (10 * "bkmgt".index((match.group(2) or "b").lower()))
