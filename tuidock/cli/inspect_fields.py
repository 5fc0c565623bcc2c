"""What docker's documents leave out when it is not set, for templates: there it is nil, not an error.

``{{if .State.Health}}`` is asked of containers without a health check too, and an unset list prints ``[]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuidock.cli.template_functions import ABSENT, NIL, NIL_LIST, NIL_MAP

__all__ = ["with_empty_fields"]

_OPTIONAL: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (): ("SizeRw", "SizeRootFs", "ExecIDs"),
    ("State",): ("Health",),
    ("Config",): (
        *("Healthcheck", "StopTimeout", "OnBuild", "Shell"),
        *("MacAddress", "NetworkDisabled", "ArgsEscaped", "StopSignal"),
    ),
}
_WORDS = {"MacAddress": "", "NetworkDisabled": False, "ArgsEscaped": False, "StopSignal": ""}
_LISTS = frozenset(
    (
        *("Aliases", "Args", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps"),
        *("BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd", "DeviceCgroupRules"),
        *("DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs"),
        *("ExtraHosts", "GroupAdd", "Links", "MaskedPaths", "OnBuild", "ReadonlyPaths", "SecurityOpt"),
        *("Shell", "Ulimits", "VolumesFrom", "DNSNames"),
    )
)
_MAPS = frozenset(("Annotations", "Labels", "Options", "Sysctls", "Volumes", "ExposedPorts", "DriverOpts"))


def with_empty_fields(document: Mapping[str, object]) -> dict[str, object]:
    """The document with its optional fields, and lists and maps that are null as empty ones."""
    return _typed(document, ()) if "State" in document or "RootFS" in document else dict(document)


def _typed(document: Mapping[str, object], path: tuple[str, ...]) -> dict[str, object]:
    found: dict[str, object] = {key: _WORDS.get(key, ABSENT) for key in _OPTIONAL.get(path, ())}
    for key, value in document.items():
        found[key] = _typed(value, (*path, key)) if isinstance(value, Mapping) else value
    for key, value in found.items():
        if value is None:
            found[key] = NIL_LIST if key in _LISTS else NIL_MAP if key in _MAPS else NIL
    return found
