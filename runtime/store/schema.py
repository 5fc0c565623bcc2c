"""The database's schema, as a list of migrations; ``PRAGMA user_version`` counts those applied."""

from __future__ import annotations

__all__ = ["MIGRATIONS"]

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE container (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image_id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        config TEXT NOT NULL,          -- ContainerConfig as JSON
        layers TEXT NOT NULL,          -- JSON array of diff ids, lowest first
        status TEXT NOT NULL,
        state TEXT NOT NULL,           -- ContainerState as JSON; its status is the column's
        internal INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX container_status ON container (status);

    CREATE TABLE endpoint (             -- a container's place on a network, while it runs
        container_id TEXT NOT NULL,
        network_id TEXT NOT NULL,
        ipv4 TEXT NOT NULL,
        mac TEXT NOT NULL,
        host_interface TEXT NOT NULL,
        interface TEXT NOT NULL,
        aliases TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (container_id, network_id)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX endpoint_address ON endpoint (network_id, ipv4);

    CREATE TABLE port (                 -- bindings in force
        host_ip TEXT NOT NULL,
        host_port INTEGER NOT NULL,
        protocol TEXT NOT NULL,
        container_id TEXT NOT NULL,
        container_port INTEGER NOT NULL,
        ipv4 TEXT NOT NULL,             -- the endpoint's address that traffic goes to
        group_name TEXT,                -- bindings of one group share the host port
        PRIMARY KEY (host_ip, host_port, protocol, container_id)
    ) WITHOUT ROWID;

    CREATE TABLE network (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        driver TEXT NOT NULL,
        bridge TEXT NOT NULL,
        subnet TEXT NOT NULL,
        gateway TEXT NOT NULL,
        internal INTEGER NOT NULL DEFAULT 0,
        labels TEXT NOT NULL DEFAULT '{}',
        options TEXT NOT NULL DEFAULT '{}',
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE volume (
        name TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL,
        anonymous INTEGER NOT NULL DEFAULT 0,
        labels TEXT NOT NULL DEFAULT '{}',
        options TEXT NOT NULL DEFAULT '{}'
    ) WITHOUT ROWID;

    CREATE TABLE image (
        id TEXT PRIMARY KEY,            -- digest of the config blob
        manifest_digest TEXT NOT NULL DEFAULT '',
        created_at INTEGER NOT NULL,
        size INTEGER NOT NULL,          -- unpacked bytes of its layers
        layers TEXT NOT NULL,           -- JSON array of diff ids, lowest first
        parent TEXT NOT NULL DEFAULT '',
        added_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE image_ref (
        ref TEXT PRIMARY KEY,           -- "docker.io/library/base:latest" or "...@sha256:..."
        image_id TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX image_ref_image ON image_ref (image_id);
    CREATE TABLE layer (
        diff_id TEXT PRIMARY KEY,
        directory TEXT NOT NULL UNIQUE, -- name below Paths.layers
        size INTEGER NOT NULL,
        blob_digest TEXT NOT NULL DEFAULT '',  -- '' = no blob kept; made anew from the directory
        media_type TEXT NOT NULL DEFAULT '',
        blob_size INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE build_cache (
        key TEXT PRIMARY KEY,
        parent TEXT NOT NULL,
        description TEXT NOT NULL,
        result TEXT NOT NULL,           -- JSON: what the step made (layer diff id, config changes)
        size INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        use_count INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        time INTEGER NOT NULL,
        type TEXT NOT NULL,
        action TEXT NOT NULL,
        actor TEXT NOT NULL,
        attributes TEXT NOT NULL DEFAULT '{}'
    );
    CREATE INDEX event_time ON event (time);
    """,
    """
    CREATE TABLE layer_source (         -- where a layer's blob is known to be, pulled from or pushed to
        -- The key's columns first: SQLite's integrity_check takes the others for NULL otherwise (3.40 does).
        diff_id TEXT NOT NULL,
        repository TEXT NOT NULL,       -- "localhost:5000/app"
        blob_digest TEXT NOT NULL,
        blob_size INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        PRIMARY KEY (diff_id, repository)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE id_range (             -- ids of the host that a container has to itself (--userns auto)
        container_id TEXT PRIMARY KEY,
        start INTEGER NOT NULL UNIQUE,
        size INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TRIGGER id_range_returned AFTER DELETE ON container BEGIN
        DELETE FROM id_range WHERE container_id = OLD.id;
    END;
    """,
    """
    ALTER TABLE layer_source ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;  -- its image is not here yet
    """,
    """
    ALTER TABLE endpoint ADD COLUMN links TEXT NOT NULL DEFAULT '[]';  -- "NAME:ALIAS", for this container
    ALTER TABLE endpoint ADD COLUMN gw_priority INTEGER NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE layer ADD COLUMN recipe TEXT NOT NULL DEFAULT '';  -- content: how its tar is made again
    """,
)
