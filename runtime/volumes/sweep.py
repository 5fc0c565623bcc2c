"""What a crash left of volumes: directories set aside by a removal, empty ones of an undone creation.

Rows and directories of volumes change inside one write transaction (:mod:`runtime.volumes.volumes`), so
whoever holds one sees only what is finished or dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.kernel.tree import remove_tree

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["missing", "sweep", "unknown"]

_GONE = ".gone-"


def unknown(ctx: Context) -> list[str]:
    """Names below the volumes' directory that no row names."""
    known = {row[0] for row in ctx.db.rows("SELECT name FROM volume")}
    return sorted(path.name for path in ctx.paths.volumes.iterdir() if path.name not in known)


def missing(ctx: Context) -> list[str]:
    """Volumes whose directory is not there."""
    rows = ctx.db.rows("SELECT name FROM volume ORDER BY name")
    return [row[0] for row in rows if not ctx.paths.volume(row[0]).is_dir()]


def sweep(ctx: Context) -> list[str]:
    """Finish removals and undone creations; a directory that holds something is adopted as a volume, since
    nothing may be lost. What was done, in words. Costs a listing and a query when there is nothing."""
    found = unknown(ctx)
    if not found:
        return []
    done: list[str] = []
    aside: list[str] = []
    with ctx.db.write() as tx:
        for name in unknown(ctx):
            path = ctx.paths.volumes / name
            if name.startswith(_GONE):
                aside.append(name)
                volume = name.removeprefix(_GONE).rpartition("-")[0]
                if not (ctx.paths.volumes / volume).exists():
                    tx.execute("DELETE FROM volume WHERE name = ?", (volume,))
            elif _is_empty(ctx, name):
                remove_tree(path)
                done.append(f"volume directory {name}: removed")
            else:
                from runtime.volumes.volumes import ensure

                ensure(ctx, tx, name)
                done.append(f"volume directory {name}: adopted as volume {name}")
    for name in aside:
        remove_tree(ctx.paths.volumes / name)
        done.append(f"removed volume {name.removeprefix(_GONE).rpartition('-')[0]}: its directory taken away")
    return done


def _is_empty(ctx: Context, name: str) -> bool:
    data = ctx.paths.volume(name)
    try:
        return next(data.iterdir(), None) is None
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
