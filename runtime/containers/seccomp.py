"""Which seccomp program a container gets, compiled once and kept.

The default profile for the default capabilities comes compiled with the package; any other pair of profile
and capabilities is compiled when the container is created and cached by content below the state directory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.containers import defaults
from runtime.context import Context
from runtime.errors import InvalidInput
from runtime.model.container import ContainerConfig
from runtime.model.hashing import sha256

__all__ = ["program_for"]


def program_for(ctx: Context, config: ContainerConfig, capability_names: list[str]) -> bytes:
    """The BPF program, b"" for unconfined. Raises InvalidInput for a profile that cannot be used."""
    from runtime.kernel import seccomp

    choice = ""
    for item in config.security_opt:
        key, _, value = item.replace("=", ":", 1).partition(":")
        if key == "seccomp":
            choice = "" if value == "builtin" else value
    if choice == "unconfined" or (config.privileged and not choice):
        return b""
    if not choice and sorted(capability_names) == sorted(defaults.CAPABILITIES):
        shipped = seccomp.default_program()
        if shipped:
            return shipped
    profile = _read(choice) if choice else seccomp_default()
    name = "given" if choice.startswith("{") else choice or "default"
    key = sha256(json.dumps([profile, sorted(capability_names)], sort_keys=True).encode()).hex()
    cached = ctx.paths.state / "seccomp" / key
    if cached.exists():
        return cached.read_bytes()
    from runtime.kernel.seccomp_compile import compile_profile

    try:
        program = compile_profile(profile, capability_names)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"seccomp profile ({name}): {error}", subject=name) from error
    cached.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = cached.with_suffix(".new")
    temporary.write_bytes(program)
    temporary.replace(cached)
    return program


def seccomp_default() -> dict[str, Any]:
    from runtime.kernel.seccomp_compile import default_profile

    return default_profile()


def _read(path: str) -> dict[str, Any]:
    if path.startswith("{"):
        given: dict[str, Any] = json.loads(path)
        return given
    try:
        profile = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput(f"seccomp profile {path}: {error}", subject=path) from error
    if not isinstance(profile, dict):
        raise InvalidInput(f"seccomp profile {path}: not a JSON object", subject=path)
    return profile
