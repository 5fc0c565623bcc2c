"""Rows of containers, joined with their endpoints and ports."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

from runtime.errors import InvalidInput, NotFound
from runtime.model import codec
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Endpoint,
    PortBinding,
)
from runtime.store.database import Database, Transaction

__all__ = ["all_containers", "delete", "find", "get", "insert", "rename", "set_config", "set_state"]

_COLUMNS = "id, name, image_id, created_at, config, layers, status, state"


def insert(tx: Transaction, container: Container) -> None:
    """Raises ``sqlite3.IntegrityError`` when the name is taken."""
    tx.execute(
        f"INSERT INTO container ({_COLUMNS}, internal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            container.id,
            container.name,
            container.image_id,
            container.created_at,
            codec.dumps(container.config),
            json.dumps(container.layers),
            container.state.status.value,
            codec.dumps(container.state),
            int(container.config.internal),
        ),
    )


def set_state(tx: Transaction, container_id: str, state: ContainerState) -> None:
    tx.execute(
        "UPDATE container SET status = ?, state = ? WHERE id = ?",
        (state.status.value, codec.dumps(state), container_id),
    )


def set_config(tx: Transaction, container_id: str, config: ContainerConfig) -> None:
    tx.execute("UPDATE container SET config = ? WHERE id = ?", (codec.dumps(config), container_id))


def rename(tx: Transaction, container_id: str, name: str) -> None:
    """Raises ``sqlite3.IntegrityError`` when the name is taken."""
    tx.execute("UPDATE container SET name = ? WHERE id = ?", (name, container_id))


def delete(tx: Transaction, container_id: str) -> None:
    for table in ("port", "endpoint"):
        tx.execute(f"DELETE FROM {table} WHERE container_id = ?", (container_id,))
    tx.execute("DELETE FROM container WHERE id = ?", (container_id,))


def all_containers(
    db: Database | Transaction, *, alive_only: bool = False, internal: bool = False
) -> list[Container]:
    """Newest first. ``internal`` adds the build's own."""
    where = [] if internal else ["internal = 0"]
    if alive_only:
        where.append("status IN ('running', 'paused', 'restarting')")
    clause = f"WHERE {' AND '.join(where)}" if where else ""
    rows = db.rows(f"SELECT {_COLUMNS} FROM container {clause} ORDER BY created_at DESC, id")
    return _load(db, rows)


def get(db: Database | Transaction, container_id: str) -> Container | None:
    """By full id."""
    rows = db.rows(f"SELECT {_COLUMNS} FROM container WHERE id = ?", (container_id,))
    return _load(db, rows, container_id)[0] if rows else None


def find(db: Database | Transaction, reference: str) -> Container:
    """By full id, then name, then unique id prefix, as docker resolves. Raises NotFound, InvalidInput."""
    name = reference.removeprefix("/")
    rows = db.rows(f"SELECT {_COLUMNS} FROM container WHERE id = ? OR name = ?", (reference, name))
    if not rows and reference and all(c in "0123456789abcdef" for c in reference):
        rows = db.rows(
            f"SELECT {_COLUMNS} FROM container WHERE id >= ? AND id < ? LIMIT 2", (reference, reference + "g")
        )
        if len(rows) > 1:
            raise InvalidInput(
                f"container id prefix {reference!r} is ambiguous",
                hint="give more of the id",
                subject=reference,
            )
    if not rows:
        raise NotFound(
            f"no such container: {reference}", hint="tuidock ps -a lists all containers", subject=reference
        )
    return _load(db, rows, rows[0][0])[0]


def _load(
    db: Database | Transaction, rows: list[tuple[Any, ...]], only: str | None = None
) -> list[Container]:
    if not rows:
        return []
    where, parameters = (" WHERE container_id = ?", (only,)) if only else ("", ())
    endpoints: dict[str, list[Endpoint]] = defaultdict(list)
    for row in db.rows(
        "SELECT container_id, network_id, name, ipv4, subnet, gateway, mac, host_interface, interface,"
        " aliases, links, gw_priority"
        f" FROM endpoint JOIN network ON network.id = network_id{where} ORDER BY interface",
        parameters,
    ):
        endpoints[row[0]].append(
            Endpoint(
                network_id=row[1],
                network_name=row[2],
                ipv4_address=row[3],
                prefix_length=int(row[4].rpartition("/")[2]),
                gateway=row[5],
                mac_address=row[6],
                host_interface=row[7],
                interface=row[8],
                aliases=tuple(json.loads(row[9])),
                links=tuple(json.loads(row[10])),
                gw_priority=row[11],
            )
        )
    ports: dict[str, list[PortBinding]] = defaultdict(list)
    for row in db.rows(
        "SELECT container_id, container_port, protocol, host_ip, host_port, group_name"
        f" FROM port{where} ORDER BY container_port, protocol, host_port",
        parameters,
    ):
        ports[row[0]].append(PortBinding(*row[1:]))
    found = []
    for row in rows:
        state = codec.loads(ContainerState, row[7])
        found.append(
            Container(
                id=row[0],
                name=row[1],
                image_id=row[2],
                created_at=row[3],
                config=codec.loads(ContainerConfig, row[4]),
                layers=tuple(json.loads(row[5])),
                state=replace(state, status=ContainerStatus(row[6])),
                endpoints=tuple(endpoints[row[0]]),
                ports=tuple(ports[row[0]]),
            )
        )
    return found
