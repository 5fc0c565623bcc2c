"""Short forms made long, and relative paths made absolute, before files are merged.

So that a list of ports can be merged port by port and ``depends_on: [db]`` with a mapping, each file is first
brought to one form. A value of a wrong type is left as it is, for the checks to name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from runtime.compose.nodes import Node
from runtime.compose.values import Value
from runtime.model.container import MountType
from runtime.model.parse import parse_port, parse_volume

__all__ = ["absolute", "canonical_file", "canonical_service"]

_RANGE_TO_ONE = re.compile(r"(.*:)?([0-9]+)-([0-9]+):([0-9]+(?:/[a-zA-Z]+)?)", re.ASCII)
_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/)", re.ASCII)


def canonical_file(root: Node, base: Path) -> Node:
    """A whole document; ``base`` is what its relative paths are relative to."""
    if not isinstance(root.value, dict):
        return root
    top = dict(root.value)
    services = top.get("services")
    if services is not None and isinstance(services.value, dict):
        made = {
            name: canonical_service(node, base, f"services.{name}") for name, node in services.value.items()
        }
        top["services"] = _like(services, made)
    for section in ("secrets", "configs"):
        files = top.get(section)
        if files is not None and isinstance(files.value, dict):
            top[section] = _like(
                files,
                {name: _with(node, "file", lambda n: _path(n, base)) for name, node in files.value.items()},
            )
    for section in ("networks", "volumes"):
        declared = top.get(section)
        if declared is not None and isinstance(declared.value, dict):
            made = {name: _with(node, "labels", _map) for name, node in declared.value.items()}
            top[section] = _like(declared, made)
    return _like(root, top)


def canonical_service(service: Node, base: Path, path: str) -> Node:
    """Raises InvalidInput for a port or a volume whose short form is wrong."""
    if not isinstance(service.value, dict):
        return service
    made: dict[str, Node] = {}
    for key, node in service.value.items():
        convert = _CONVERSIONS.get(key)
        made[key] = node if convert is None or node.value is None else convert(node, base, f"{path}.{key}")
    return _like(service, made)


def absolute(text: str, base: Path) -> str:
    """A path of a file that stands in ``base``; ``~`` is the caller's home."""
    if text == "~" or text.startswith("~/"):
        return os.path.normpath(os.environ.get("HOME", "/root") + text[1:])
    return os.path.normpath(base / text)


def _like(node: Node, value: dict[str, Node] | list[Node]) -> Node:
    return Node(value, node.place, tag=node.tag)


def _text(node: Node, text: str) -> Node:
    return Node(text, node.place, text)


def _with(node: Node, key: str, change: Callable[[Node], Node]) -> Node:
    """``node`` with one entry changed, when it is there."""
    if not isinstance(node.value, dict) or key not in node.value or node.value[key].value is None:
        return node
    return _like(node, {**node.value, key: change(node.value[key])})


def _path(node: Node, base: Path) -> Node:
    return _text(node, absolute(node.value, base)) if isinstance(node.value, str) else node


def _list(node: Node) -> Node:
    """One value alone becomes a list of it."""
    return (
        node
        if isinstance(node.value, (list, dict))
        else _like(node, [Node(node.value, node.place, node.text)])
    )


def _map(node: Node) -> Node:
    """["A=1", "B"] becomes {A: 1, B: null}."""
    if not isinstance(node.value, list) or any(isinstance(item.value, (dict, list)) for item in node.value):
        return node
    made: dict[str, Node] = {}
    for item in node.value:
        name, equals, value = item.text.partition("=")
        made[name] = Node(value, item.place, value) if equals else Node(None, item.place)
    return _like(node, made)


def _names(node: Node) -> Node:
    """["a", "b"] becomes {a: null, b: null}."""
    if not isinstance(node.value, list) or any(not isinstance(item.value, str) for item in node.value):
        return node
    return _like(node, {item.text: Node(None, item.place) for item in node.value})


def _build(node: Node, base: Path) -> Node:
    if isinstance(node.value, str):
        node = _like(node, {"context": node})
    if not isinstance(node.value, dict):
        return node

    def context(item: Node) -> Node:
        local = isinstance(item.value, str) and not _REMOTE.match(item.text)
        return _text(item, absolute(item.text, base)) if local else item

    if "context" not in node.value:
        here = str(base)
        node = _like(node, {**node.value, "context": Node(here, node.place, here)})
    node = _with(node, "context", context)
    for key in ("args", "labels", "additional_contexts"):
        node = _with(node, key, _map)
    for key in ("tags", "cache_from", "cache_to", "platforms", "no_cache_filter"):
        node = _with(node, key, _list)
    return _with(_with(node, "extra_hosts", _hosts), "secrets", lambda item: _references(item, base, ""))


def _env_files(node: Node, base: Path) -> Node:
    listed = _list(node)
    if not isinstance(listed.value, list):
        return node
    made = []
    for item in listed.value:
        entry = _like(item, {"path": item}) if isinstance(item.value, str) else item
        made.append(_with(entry, "path", lambda n: _path(n, base)))
    return _like(listed, made)


def _path_list(node: Node, base: Path) -> Node:
    listed = _list(node)
    return (
        _like(listed, [_path(item, base) for item in listed.value])
        if isinstance(listed.value, list)
        else node
    )


def _hosts(node: Node) -> Node:
    """{db: 10.0.0.1} and ["db:10.0.0.1"] become ["db=10.0.0.1"]."""
    if isinstance(node.value, dict):
        made = []
        for name, item in node.value.items():
            addresses = item.value if isinstance(item.value, list) else [item]
            made += [_text(address, f"{name}={address.text}") for address in addresses]
        return _like(node, made)
    if not isinstance(node.value, list):
        return node
    return _like(
        node,
        [
            _text(item, item.text if "=" in item.text else item.text.replace(":", "=", 1))
            if isinstance(item.value, str)
            else item
            for item in node.value
        ],
    )


def _ports(node: Node, _base: Path, path: str) -> Node:
    if not isinstance(node.value, list):
        return node
    made: list[Node] = []
    for index, item in enumerate(node.value):
        if isinstance(item.value, (dict, list)) or item.value is None:
            made.append(item)
            continue
        at = Value(item, f"{path}[{index}]")
        spread = _RANGE_TO_ONE.fullmatch(item.text)
        if spread:
            made.append(_spread_port(at, *spread.groups()))
            continue
        for binding in at.parsed(parse_port, item.text):
            long = {"target": str(binding.container_port), "protocol": binding.protocol}
            if binding.host_port:
                long["published"] = str(binding.host_port)
            if binding.host_ip != "0.0.0.0":
                long["host_ip"] = binding.host_ip
            made.append(_like(item, {key: _text(item, value) for key, value in long.items()}))
    return _like(node, made)


def _spread_port(at: Value, address: str | None, first: str, last: str, rest: str) -> Node:
    """8000-8005:80 as one port with a range to publish it on, one each replica."""
    for published in (first, last):
        (binding,) = at.parsed(parse_port, f"{address or ''}{published}:{rest}")
    long = {
        "target": str(binding.container_port),
        "protocol": binding.protocol,
        "published": f"{first}-{last}",
    }
    if binding.host_ip != "0.0.0.0":
        long["host_ip"] = binding.host_ip
    return _like(at.node, {key: _text(at.node, value) for key, value in long.items()})


def _volumes(node: Node, base: Path, path: str) -> Node:
    if not isinstance(node.value, list):
        return node
    made = []
    for index, item in enumerate(node.value):
        if isinstance(item.value, str):
            made.append(_short_volume(Value(item, f"{path}[{index}]"), base))
        elif isinstance(item.value, dict) and (kind := item.get("type")) is not None and kind.value == "bind":
            made.append(_with(item, "source", lambda n: _path(n, base)))
        else:
            made.append(item)
    return _like(node, made)


def _short_volume(at: Value, base: Path) -> Node:
    mount = at.parsed(lambda text: parse_volume(text, base=base), at.node.text)
    place = at.node

    def flag(value: bool) -> Node:
        return Node(value, place.place, "true" if value else "false")

    long: dict[str, Node] = {"type": _text(place, mount.type.value), "target": _text(place, mount.target)}
    if mount.source:
        long["source"] = _text(place, mount.source)
    if mount.read_only:
        long["read_only"] = flag(True)
    if mount.type is MountType.BIND:
        bind = {"create_host_path": flag(True)}
        if mount.propagation != "rprivate":
            bind["propagation"] = _text(place, mount.propagation)
        long["bind"] = _like(place, bind)
    if mount.no_copy:
        long["volume"] = _like(place, {"nocopy": flag(True)})
    return _like(place, long)


def _references(node: Node, _base: Path, _path: str) -> Node:
    """Secrets and configs: ["key"] becomes [{source: key}]."""
    if not isinstance(node.value, list):
        return node
    return _like(
        node, [_like(item, {"source": item}) if isinstance(item.value, str) else item for item in node.value]
    )


def _extends(node: Node, base: Path, _path: str) -> Node:
    entry = _like(node, {"service": node}) if isinstance(node.value, str) else node
    return _with(entry, "file", lambda n: _text(n, absolute(n.text, base)))


_Conversion = Callable[[Node, Path, str], Node]


def _simple(change: Callable[[Node], Node]) -> _Conversion:
    return lambda node, base, path: change(node)


_CONVERSIONS: dict[str, _Conversion] = {
    **{key: _simple(_map) for key in ("environment", "labels", "annotations", "sysctls", "storage_opt")},
    **{key: _simple(_list) for key in ("dns", "dns_search", "dns_opt", "tmpfs", "profiles")},
    **{key: _simple(_names) for key in ("depends_on", "networks")},
    "build": lambda node, base, path: _build(node, base),
    "deploy": _simple(lambda node: _with(node, "labels", _map)),
    "env_file": lambda node, base, path: _env_files(node, base),
    "extends": _extends,
    "extra_hosts": _simple(_hosts),
    "label_file": lambda node, base, path: _path_list(node, base),
    "ports": _ports,
    "volumes": _volumes,
    "secrets": _references,
    "configs": _references,
}
