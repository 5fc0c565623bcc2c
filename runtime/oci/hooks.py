"""Hooks (runtime-spec config.md, "POSIX-platform Hooks"): programs run at points of a container's life.

Each gets the container's state as JSON on its standard input and exactly the environment that it names.
Imported before a container's process enters the container: nothing may be loaded out of its root.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from runtime.errors import Failed

__all__ = ["run"]


def run(hooks: dict[str, Any], point: str, state: dict[str, Any]) -> None:
    """All hooks of ``point`` in order. Raises Failed at the first that fails or takes too long."""
    for number, hook in enumerate(hooks.get(point) or []):
        what = f"{point} hook #{number} {hook.get('path')}"
        environment = dict(pair.split("=", 1) for pair in hook.get("env") or [] if "=" in pair)
        try:
            done = subprocess.run(
                hook.get("args") or [hook["path"]],
                executable=hook["path"],
                env=environment,
                input=json.dumps(state).encode(),
                capture_output=True,
                timeout=hook.get("timeout") or None,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{what}: took longer than {hook['timeout']} s") from error
        except (OSError, KeyError) as error:
            raise Failed(f"{what}: {getattr(error, 'strerror', None) or error}") from error
        if done.returncode != 0:
            output = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise Failed(f"{what}: exit status {done.returncode}{', ' + output if output else ''}")
