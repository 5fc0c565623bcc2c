"""Image configs and manifests (image-spec config.md, manifest.md) to and from the model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date
from time import gmtime, strftime
from typing import Any

from runtime.errors import InvalidInput
from runtime.model.container import HealthCheck
from runtime.model.image import HistoryEntry, ImageConfig
from runtime.model.record import record

__all__ = [
    "MEDIA_TYPE_CONFIG",
    "MEDIA_TYPE_INDEX",
    "MEDIA_TYPE_MANIFEST",
    "ConfigDocument",
    "config_bytes",
    "container_config",
    "format_time",
    "host_architecture",
    "parse_config",
    "parse_time",
    "to_json_bytes",
]

MEDIA_TYPE_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_TYPE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPE_INDEX = "application/vnd.oci.image.index.v1+json"

_TIME = r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))?"
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
}
_SECOND = 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()


@record
class ConfigDocument:
    """A config blob, read."""

    created_at: int
    architecture: str
    os: str
    author: str
    config: ImageConfig
    diff_ids: tuple[str, ...]
    history: tuple[HistoryEntry, ...]
    variant: str = ""


def host_architecture() -> str:
    """The machine's, in Go's words (image-spec config.md): "amd64"."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def to_json_bytes(document: object) -> bytes:
    """The one form that we hash: no blanks, keys in the order given."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def format_time(nanoseconds: int) -> str:
    """RFC 3339, in UTC, without trailing zeros: "2024-05-01T10:00:00.25Z"."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)) + fraction + "Z"


def parse_time(text: object) -> int:
    """Nanoseconds since the epoch; 0 for what is missing, before it or no time."""
    match = re.fullmatch(_TIME, text) if isinstance(text, str) else None
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return 0
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    if match[8]:
        offset = int(match[9]) * 3600 + int(match[10]) * 60
        seconds += -offset if match[8] == "+" else offset
    if not 0 <= seconds < 9_000_000_000:
        return 0
    return seconds * _SECOND + int((match[7] or "0")[:9].ljust(9, "0"))


def container_config(config: ImageConfig) -> dict[str, Any]:
    """The "config" object; what is empty is left out."""
    out: dict[str, Any] = {}
    if config.user:
        out["User"] = config.user
    if config.exposed_ports:
        out["ExposedPorts"] = {port: {} for port in config.exposed_ports}
    if config.env:
        out["Env"] = list(config.env)
    if config.entrypoint is not None:
        out["Entrypoint"] = list(config.entrypoint)
    if config.cmd is not None:
        out["Cmd"] = list(config.cmd)
    if config.volumes:
        out["Volumes"] = {volume: {} for volume in config.volumes}
    if config.working_dir:
        out["WorkingDir"] = config.working_dir
    if config.labels:
        out["Labels"] = dict(config.labels)
    if config.stop_signal:
        out["StopSignal"] = config.stop_signal
    if config.healthcheck is not None:
        out["Healthcheck"] = _health_json(config.healthcheck)
    if config.shell:
        out["Shell"] = list(config.shell)
    if config.on_build:
        out["OnBuild"] = list(config.on_build)
    return out


def _health_json(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }


def config_bytes(
    *,
    config: ImageConfig,
    diff_ids: Sequence[str],
    history: Sequence[HistoryEntry],
    created_at: int,
    author: str,
    architecture: str,
    os: str,
    variant: str = "",
) -> bytes:
    """The config blob. The same arguments give the same bytes, and so the same image id."""
    document: dict[str, Any] = {"created": format_time(created_at)}
    if author:
        document["author"] = author
    document["architecture"] = architecture
    document["os"] = os
    if variant:
        document["variant"] = variant
    document["config"] = container_config(config)
    document["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
    document["history"] = [_history_json(entry) for entry in history]
    return to_json_bytes(document)


def _history_json(entry: HistoryEntry) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if entry.created_at:
        out["created"] = format_time(entry.created_at)
    if entry.author:
        out["author"] = entry.author
    if entry.created_by:
        out["created_by"] = entry.created_by
    if entry.comment:
        out["comment"] = entry.comment
    if entry.empty_layer:
        out["empty_layer"] = True
    return out


def parse_config(data: bytes) -> ConfigDocument:
    """Raises InvalidInput for what is no image config."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise InvalidInput(f"an image config that is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidInput("an image config that is not an object")
    try:
        rootfs = document.get("rootfs") or {}
        return ConfigDocument(
            created_at=parse_time(document.get("created")),
            architecture=str(document.get("architecture") or ""),
            os=str(document.get("os") or "linux"),
            author=str(document.get("author") or ""),
            config=_image_config(document.get("config") or {}),
            diff_ids=tuple(str(item) for item in rootfs.get("diff_ids") or ()),
            history=tuple(_history(item) for item in document.get("history") or ()),
            variant=str(document.get("variant") or ""),
        )
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"an image config that cannot be read: {error}") from None


def _image_config(value: Mapping[str, Any]) -> ImageConfig:
    health = value.get("Healthcheck")
    return ImageConfig(
        user=str(value.get("User") or ""),
        exposed_ports=tuple(sorted(str(port) for port in value.get("ExposedPorts") or {})),
        env=_strings(value.get("Env")) or (),
        entrypoint=_strings(value.get("Entrypoint")),
        cmd=_strings(value.get("Cmd")),
        volumes=tuple(sorted(str(volume) for volume in value.get("Volumes") or {})),
        working_dir=str(value.get("WorkingDir") or ""),
        labels={str(key): str(item) for key, item in (value.get("Labels") or {}).items()},
        stop_signal=str(value.get("StopSignal") or ""),
        healthcheck=_health(health) if health else None,
        shell=_strings(value.get("Shell")) or (),
        on_build=_strings(value.get("OnBuild")) or (),
    )


def _strings(value: object) -> tuple[str, ...] | None:
    """A list of strings, a single string (old images), or nothing."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    raise ValueError(f"expected a list, got {value!r}")


def _health(value: Mapping[str, Any]) -> HealthCheck | None:
    """A duration of 0 or none given means the default."""
    test = _strings(value.get("Test"))
    if not test:
        return None
    default = HealthCheck(test)
    return HealthCheck(
        test=test,
        interval=int(value.get("Interval") or default.interval),
        timeout=int(value.get("Timeout") or default.timeout),
        start_period=int(value.get("StartPeriod") or default.start_period),
        start_interval=int(value.get("StartInterval") or default.start_interval),
        retries=int(value.get("Retries") or default.retries),
    )


def _history(value: Mapping[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        created_at=parse_time(value.get("created")),
        created_by=str(value.get("created_by") or ""),
        comment=str(value.get("comment") or ""),
        author=str(value.get("author") or ""),
        empty_layer=bool(value.get("empty_layer")),
    )
