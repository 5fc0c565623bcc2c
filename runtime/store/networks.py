"""Rows of networks, of the endpoints on them and of published ports."""

from __future__ import annotations

import json
from typing import Any

from runtime.model.network import Network
from runtime.store.database import Database, Transaction

__all__ = [
    "all_networks", "delete", "endpoints_of", "find", "get", "insert", "leased", "port_rows", "set_subnet",
]  # fmt: skip

_COLUMNS = "id, name, driver, created_at, bridge, subnet, gateway, internal, labels, options"


def insert(tx: Transaction, network: Network) -> None:
    """Raises ``sqlite3.IntegrityError`` when the name is taken."""
    tx.execute(
        f"INSERT INTO network ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            network.id,
            network.name,
            network.driver,
            network.created_at,
            network.bridge,
            network.subnet,
            network.gateway,
            int(network.internal),
            json.dumps(network.labels),
            json.dumps(network.options),
        ),
    )


def set_subnet(tx: Transaction, network_id: str, subnet: str, gateway: str) -> None:
    tx.execute("UPDATE network SET subnet = ?, gateway = ? WHERE id = ?", (subnet, gateway, network_id))


def delete(tx: Transaction, network_id: str) -> None:
    tx.execute("DELETE FROM network WHERE id = ?", (network_id,))


def all_networks(db: Database | Transaction) -> list[Network]:
    """Those with a row (``host`` and ``none`` have none), oldest first."""
    return [_network(row) for row in db.rows(f"SELECT {_COLUMNS} FROM network ORDER BY created_at, name")]


def get(db: Database | Transaction, name_or_id: str) -> Network | None:
    """By name or full id."""
    row = db.row(
        f"SELECT {_COLUMNS} FROM network WHERE name = ? OR id = ? ORDER BY id = ? DESC",
        (name_or_id, name_or_id, name_or_id),
    )
    return _network(row) if row else None


def find(db: Database | Transaction, reference: str) -> list[Network]:
    """By full id, then name, then id prefix: one, none, or several when a prefix is ambiguous."""
    exact = get(db, reference)
    if exact is not None:
        return [exact]
    if not reference or any(c not in "0123456789abcdef" for c in reference):
        return []
    rows = db.rows(f"SELECT {_COLUMNS} FROM network WHERE id >= ? AND id < ?", (reference, reference + "g"))
    return [_network(row) for row in rows]


def leased(db: Database | Transaction, network_id: str) -> set[str]:
    """The addresses that endpoints hold."""
    return {row[0] for row in db.rows("SELECT ipv4 FROM endpoint WHERE network_id = ?", (network_id,))}


def endpoints_of(db: Database | Transaction, network_id: str) -> list[tuple[str, str, str, str]]:
    """(container id, container name, IPv4 address, MAC), by name."""
    return [
        (row[0], row[1] or "", row[2], row[3])
        for row in db.rows(
            "SELECT container_id, container.name, ipv4, mac FROM endpoint"
            " LEFT JOIN container ON container.id = container_id"
            " WHERE network_id = ? ORDER BY container.name",
            (network_id,),
        )
    ]


def port_rows(db: Database | Transaction) -> list[tuple[str, int, str, int, str]]:
    """(host ip, host port, protocol, container port, endpoint's address) of every binding in force."""
    return [
        (row[0], row[1], row[2], row[3], row[4])
        for row in db.rows(
            "SELECT host_ip, host_port, protocol, container_port, ipv4 FROM port"
            " ORDER BY host_port, protocol, host_ip, ipv4"
        )
    ]


def _network(row: tuple[Any, ...]) -> Network:
    return Network(
        id=row[0],
        name=row[1],
        driver=row[2],
        created_at=row[3],
        bridge=row[4],
        subnet=row[5],
        gateway=row[6],
        internal=bool(row[7]),
        labels=json.loads(row[8]),
        options=json.loads(row[9]),
    )
