"""Settings, with the key names of docker's daemon.json, from one YAML file.

``TUIDOCK_CONFIG`` names the file; else ``/etc/tuidock/config.yaml`` and the user's
``$XDG_CONFIG_HOME/tuidock/config.yaml`` are merged, the user's keys winning. An unknown key is an error
that names it. PyYAML is loaded only when a file exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import field, fields
from pathlib import Path
from typing import Any, cast

from runtime.errors import InvalidInput
from runtime.model.record import record

__all__ = ["AddressPool", "BuilderCollection", "Config", "load"]


@record
class AddressPool:
    """``default-address-pools``: subnets of ``size`` bits are cut from ``base``."""

    base: str
    size: int


@record
class BuilderCollection:
    """``builder: {gc: {enabled, defaultKeepStorage}}``: the build cache's limit in bytes; None: by
    the disk."""

    enabled: bool = True
    keep: int | None = None


DEFAULT_POOLS = (
    *(AddressPool(f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    AddressPool("192.168.0.0/16", 20),
)


@record
class Config:
    """Every key that we know; a dash in the file is an underscore here."""

    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    registry_certs_dirs: tuple[str, ...] = ()
    default_address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    bip: str = ""
    mtu: int = 0
    log_opts: dict[str, str] = field(default_factory=dict)
    default_shm_size: int = 64 << 20
    default_ulimits: tuple[str, ...] = ()
    cgroup_parent: str = ""
    userns_remap: str = ""
    userns_pool: str = "1879048192:268304384"
    """START:COUNT; between what systemd gives to its containers and what it keeps (its UIDS-GIDS.md)."""
    labels: tuple[str, ...] = ()
    shutdown_timeout: int = 10
    builder: BuilderCollection = BuilderCollection()
    tui: dict[str, Any] = field(default_factory=dict)
    """The interface's own settings: theme, keys, profile."""


def load(environ: dict[str, str] | None = None) -> Config:
    """Raises InvalidInput, naming file and key."""
    env = os.environ if environ is None else environ
    named = env.get("TUIDOCK_CONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise InvalidInput(f"TUIDOCK_CONFIG names {named}, which does not exist", subject=named)
        candidates = [path]
    else:
        home = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "/root")) / ".config")
        candidates = [Path("/etc/tuidock/config.yaml"), Path(home) / "tuidock" / "config.yaml"]
    merged: dict[str, Any] = {}
    for path in candidates:
        # os.path and not pathlib: a directory that we may not look into holds no settings for us.
        if os.path.isfile(path):  # noqa: PTH113
            merged.update(_read(path))
    return Config(**merged) if merged else Config()


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise InvalidInput(f"cannot read {path}: {detail}", subject=str(path)) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidInput(f"{path}: settings are a mapping of keys to values", subject=str(path))
    known = {item.name.replace("_", "-"): item.name for item in fields(Config)}
    settings: dict[str, Any] = {}
    for key, value in document.items():
        if key not in known:
            raise InvalidInput(
                f"{path}: unknown key {key!r}", hint=_nearest(str(key), known), subject=str(key)
            )
        settings[known[key]] = _value(path, str(key), value)
    return settings


def _nearest(key: str, known: dict[str, str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, 1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}"


_STRING_LISTS = {
    "dns",
    "dns-search",
    "dns-opts",
    "registry-mirrors",
    "insecure-registries",
    "registry-certs-dirs",
    "default-ulimits",
    "labels",
}
_INTEGERS = {"mtu", "default-shm-size", "shutdown-timeout"}
_STRINGS = {"bip", "cgroup-parent", "userns-remap", "userns-pool"}
_ACCOUNT = r"[^:\s]+(:[^:\s]+)?"
_POOL = r"(?a)([1-9][0-9]{0,9}):([1-9][0-9]{0,9})"


def _pool(item: dict[str, object]) -> AddressPool:
    import ipaddress  # not at the top: the way of every command leads through this module

    return AddressPool(str(ipaddress.IPv4Network(str(item["base"]))), int(str(item["size"])))


def _collection(value: dict[str, object], wrong: Callable[[str], InvalidInput]) -> BuilderCollection:
    from runtime.model.quantities import parse_size

    settings = value.get("gc", {})
    known = {"enabled", "defaultKeepStorage", "maxUsedSpace"}
    if set(value) - {"gc"} or not isinstance(settings, dict) or set(settings) - known:
        raise wrong("{gc: {enabled: BOOLEAN, defaultKeepStorage: SIZE}}")
    enabled = settings.get("enabled", True)
    limit = settings.get("maxUsedSpace", settings.get("defaultKeepStorage"))
    if not isinstance(enabled, bool) or not isinstance(limit, (str, int, type(None))):
        raise wrong("{gc: {enabled: BOOLEAN, defaultKeepStorage: SIZE}}")
    return BuilderCollection(enabled, None if limit is None else parse_size(str(limit)))


def _value(path: Path, key: str, value: object) -> object:
    import ipaddress

    def wrong(expected: str) -> InvalidInput:
        return InvalidInput(f"{path}: {key} must be {expected}, not {value!r}", subject=key)

    if key in _STRING_LISTS:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong("a list of strings")
        if key == "dns":
            for item in value:
                try:
                    ipaddress.ip_address(item)
                except ValueError:
                    raise wrong("a list of addresses") from None
        return tuple(value)
    if key in _INTEGERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise wrong("a whole number")
        return value
    if key in _STRINGS:
        if not isinstance(value, str):
            raise wrong("a string")
        if key == "userns-remap" and value and not re.fullmatch(_ACCOUNT, value):
            raise wrong("default, USER, USER:GROUP or UID:GID")
        if key == "userns-pool":
            pool = re.fullmatch(_POOL, value)
            if pool is None or int(pool[2]) < 65536 or int(pool[1]) + int(pool[2]) > 0xFFFFFFFE:
                raise wrong("START:COUNT with at least 65536 ids")
        return value
    if key == "default-address-pools":
        try:
            pools = tuple(_pool(item) for item in cast("list[dict[str, object]]", value))
        except (TypeError, KeyError, ValueError):
            raise wrong("a list of {base: CIDR, size: BITS}") from None
        if any(not ipaddress.IPv4Network(pool.base).prefixlen <= pool.size <= 30 for pool in pools):
            raise wrong("a list of {base: CIDR, size: BITS} with BITS between the base's prefix and 30")
        return pools
    if not isinstance(value, dict):
        raise wrong("a mapping")
    if key == "builder":
        return _collection(value, wrong)
    return {str(k): (str(v) if key == "log-opts" else v) for k, v in value.items()}
