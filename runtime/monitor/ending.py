"""The end of a container's last run, written down; loaded when it comes."""

from __future__ import annotations

import os

from runtime.kernel.tree import remove_tree
from runtime.monitor import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan

__all__ = ["record_end", "removed"]


def record_end(
    plan: Plan, code: int, oom_killed: bool, finished: int, manual: bool, error: str, stopped: bool
) -> bool:
    """False when the disk does not take it: whoever looks next finds the exit file and us gone."""
    try:
        record.exit_file(plan["dir"], code, oom_killed, finished)
        record.exited(
            plan["db"], plan["id"], code, oom_killed, finished, manual, error, stopped, plan["nowhere"]
        )
    except Exception as problem:
        os.write(2, f"the end could not be written: {problem}\n".encode())
        return False
    return True


def removed(plan: Plan) -> bool:
    """Auto-removal, if it was asked for; False when it did not come to its end."""
    if not plan["auto_remove"]:
        return True
    try:
        aside = record.removed(plan["db"], plan["id"], plan["anonymous_volumes"], plan["volumes"])
        for path in (*aside, plan["dir"]):
            remove_tree(path)
    except Exception as problem:
        os.write(2, f"the container could not be removed: {problem}\n".encode())
        return False
    return True
