"""``extends``: a service that starts from another one, of the same file or of a second one.

Source: compose-spec, 05-services.md, "extends".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.compose.merge import merge_service
from runtime.compose.nodes import Node
from runtime.compose.schema import SECTIONS
from runtime.compose.values import Value, nearest

__all__ = ["extend_all"]

ReadFile = Callable[[Path, Value], Node]
"""A canonical document by its path; the value is what asked for it, for errors."""


def extend_all(root: Node, read: ReadFile) -> Node:
    """``root`` with every service complete. Raises InvalidInput for cycles and what does not exist."""
    services = root.get("services")
    if services is None or not isinstance(services.value, dict) or not isinstance(root.value, dict):
        return root
    made = {name: _extended(name, root, read, ()) for name in services.value}
    return Node({**root.value, "services": Node(made, services.place, tag=services.tag)}, root.place)


def _extended(name: str, root: Node, read: ReadFile, chain: tuple[tuple[str, str], ...]) -> Node:
    services = root.get("services")
    assert services is not None and isinstance(services.value, dict)
    service = services.value[name]
    at = Value(service, f"services.{name}")
    wish = at.get("extends")
    if wish is None or not isinstance(service.value, dict):
        return service
    wish.known_keys(SECTIONS["extends"])
    base_name, file = wish.get("service"), wish.get("file")
    if base_name is None:
        raise wish.wrong("service must be given")
    identity = (service.place.file, name)
    if identity in chain:
        cycle = " -> ".join(entry[1] for entry in (*chain[chain.index(identity) :], identity))
        raise wish.wrong(f"services extend each other in a circle: {cycle}")
    other = read(Path(file.string()), file) if file else root
    found = other.get("services")
    known = found.value if found is not None and isinstance(found.value, dict) else {}
    if base_name.string() not in known:
        raise base_name.wrong(
            f'there is no service "{base_name.string()}" in {file.string() if file else service.place.file}',
            hint=nearest(base_name.string(), known),
        )
    base = _extended(base_name.string(), other, read, (*chain, identity))
    own = Node({key: item for key, item in service.value.items() if key != "extends"}, service.place)
    return merge_service(base, own, at.path)
