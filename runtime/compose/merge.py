"""Merging: a later file, or a service that extends another, over an earlier one.

Mappings merge, lists append; ``command``, ``entrypoint`` and a health check's ``test`` replace; ports,
volumes, secrets and configs are unique by what they stand for. ``!reset`` removes what was there,
``!override`` replaces it. Both sides are canonical. Source: compose-spec, 13-merge.md.
"""

from __future__ import annotations

from runtime.compose.nodes import Node, wrong

__all__ = ["merge", "merge_service", "settled"]

_REPLACED = ("command", "entrypoint", "healthcheck.test")
_LEAVES = ("environment", "labels", "annotations", "sysctls", "build.args", "build.labels", "deploy.labels")


def merge(base: Node, over: Node, path: str = "") -> Node:
    """Two whole documents. Raises InvalidInput where a list meets a mapping."""
    return _merge(base, over, path, "")


def merge_service(base: Node, over: Node, path: str) -> Node:
    """Two services of the same kind of node; ``path`` names the result in errors."""
    return _merge(base, over, path, path)


def settled(node: Node) -> Node | None:
    """``node`` without tags, when nothing stands below it; None for what ``!reset`` removes."""
    if node.tag == "reset":
        return None
    value = node.value
    if isinstance(value, dict):
        kept = {key: made for key, item in value.items() if (made := settled(item)) is not None}
        return Node(kept, node.place)
    if isinstance(value, list):
        return Node([made for item in value if (made := settled(item)) is not None], node.place)
    return Node(value, node.place, node.text)


def _merge(base: Node, over: Node, path: str, service: str) -> Node:
    """``service`` is the path of the service that we are in, "" outside of services."""
    if over.tag == "override":
        return settled(Node(over.value, over.place, over.text)) or over
    attribute = path[len(service) + 1 :] if service else ""
    if over.value is None:
        return over if attribute.rpartition(".")[0] in _LEAVES else base
    if base.value is None or attribute in _REPLACED:
        return settled(over) or over
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        if attribute == "logging" and _other_driver(base, over):
            return settled(over) or over
        return _mappings(base.value, over, path, service)
    if isinstance(base.value, list) and isinstance(over.value, list):
        return Node(_lists(base.value, over.value, attribute), over.place)
    if isinstance(base.value, (dict, list)) or isinstance(over.value, (dict, list)):
        if attribute.startswith("ulimits."):
            return settled(over) or over
        raise wrong(over, path, f"cannot merge {over.kind} with {base.kind} in {base.place}")
    return over


def _mappings(base: dict[str, Node], over: Node, path: str, service: str) -> Node:
    assert isinstance(over.value, dict)
    merged = dict(base)
    for key, item in over.value.items():
        below = f"{path}.{key}" if path else key
        inside = service or (below if path == "services" else "")
        if item.tag == "reset":
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _merge(merged[key], item, below, inside)
        else:
            made = settled(item)
            if made is not None:
                merged[key] = made
    return Node(merged, over.place)


def _other_driver(base: Node, over: Node) -> bool:
    old, new = base.get("driver"), over.get("driver")
    return old is not None and new is not None and old.text != new.text


def _lists(base: list[Node], over: list[Node], attribute: str) -> list[Node]:
    """Appended; an item with the same identity takes the place of the earlier one."""
    merged: dict[object, Node] = {}
    for item in (*base, *over):
        made = settled(item)
        if made is not None:
            merged[_identity(made, attribute)] = made
    return list(merged.values())


def _identity(item: Node, attribute: str) -> object:
    if not isinstance(item.value, dict):
        return item.text if not isinstance(item.value, list) else id(item)

    def text(key: str, default: str = "") -> str:
        found = item.get(key)
        return found.text if found is not None and found.value is not None else default

    if attribute == "ports":
        return text("host_ip"), text("target"), text("published"), text("protocol", "tcp")
    if attribute == "volumes":
        return text("target").rstrip("/") or id(item)
    if attribute == "secrets":
        target = text("target") or text("source")
        return target if target.startswith("/") else f"/run/secrets/{target}"
    if attribute == "configs":
        return text("target") or "/" + text("source")
    if attribute == "env_file":
        return text("path")
    if attribute.startswith("ipam"):
        return text("subnet") or id(item)
    return id(item)
