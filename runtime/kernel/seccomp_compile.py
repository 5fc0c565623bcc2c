"""Seccomp profiles in docker's JSON format, compiled to BPF. Never loaded in a container's process.

The format is documented at https://docs.docker.com/engine/security/seccomp/ and in runtime-spec
config-linux.md, "Seccomp". Meaning, where the format leaves it open, is that of runc and libseccomp:

- A rule applies when every one of ``includes`` holds and none of ``excludes`` does. ``caps`` is about the
  container's capabilities, ``arches`` about the machine, ``minKernel`` about the running kernel.
- Conditions of one rule must all hold; several on the same argument are alternatives; rules for the same
  call are alternatives, the first that holds decides, and one without conditions comes last.
- Names that an architecture does not have are ignored there.
- A call newer than everything the profile speaks of fails with ENOSYS, so that a C library falls back.
- A program of an architecture that the profile does not name is killed.

``python -m runtime.kernel.seccomp_compile`` writes the default profile to ``seccomp_default.*.bpf``, which
come with the package: the default needs no compiling when a container is created.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runtime.kernel.bpf_program import ANY, Condition, Leaf, Rule, assemble

__all__ = ["DEFAULT_CAPABILITIES", "compile_profile", "default_profile", "main"]

DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
)  # fmt: skip
"""What the shipped programs are compiled for: docker's default set."""

_HERE = Path(__file__).parent
# linux/audit.h
_AUDIT_ARCH = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_RET_ERRNO = 0x00050000
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _RET_ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_EPERM, _ENOSYS = 1, 38


def default_profile() -> dict[str, Any]:
    """docker's default profile, as in ``seccomp_default.json``."""
    profile: dict[str, Any] = json.loads((_HERE / "seccomp_default.json").read_text(encoding="utf-8"))
    return profile


@functools.cache
def _numbers() -> dict[str, dict[str, int]]:
    """Architecture -> name -> number."""
    table = json.loads((_HERE / "syscall_numbers.json").read_text(encoding="utf-8"))
    columns = table.pop("")
    return {
        column: {name: row[index] for name, row in table.items() if row[index] is not None}
        for index, column in enumerate(columns)
    }


def compile_profile(
    profile: Mapping[str, Any],
    caps: Iterable[str],
    *,
    machine: str = "",
    kernel: tuple[int, int] | None = None,
) -> bytes:
    """The BPF program of ``profile`` for a container with the capabilities ``caps``.

    ``machine`` (x86_64 or aarch64) and ``kernel`` (major, minor) are the running ones unless given.
    Raises ValueError that says what is wrong with the profile.
    """
    machine = machine or os.uname().machine
    if machine not in _GO_NAMES:
        raise ValueError(f"seccomp is not supported on {machine}")
    kernel = kernel or _version(os.uname().release)
    capabilities = set(caps)
    default = _action(profile, "defaultAction", profile.get("defaultErrnoRet"))
    rules = profile.get("syscalls") or []
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise ValueError("'syscalls' must be a list of rules")
    chosen = [rule for rule in rules if _applies(rule, capabilities, machine, kernel)]
    mentioned = {name for rule in rules for name in _names(rule)}
    unlisted = (Rule(ANY, default),)
    sections = []
    for architecture in _architectures(profile, machine):
        calls = _calls(chosen, _numbers()[architecture], default)
        newest = max((_numbers()[architecture].get(name, -1) for name in mentioned), default=-1)
        if newest >= 0:
            calls.setdefault(newest, unlisted)
        restrictive = default not in (_ACTIONS["SCMP_ACT_ALLOW"], _ACTIONS["SCMP_ACT_LOG"])
        beyond = (Rule(ANY, _RET_ERRNO | _ENOSYS),) if restrictive and newest >= 0 else unlisted
        sections.append((_AUDIT_ARCH[architecture], calls, unlisted, beyond))
    return assemble(sections, _ACTIONS["SCMP_ACT_KILL_PROCESS"])


def _architectures(profile: Mapping[str, Any], machine: str) -> list[str]:
    """The machine's first, then those whose programs it can run too, as the profile has it."""
    known = {f"SCMP_ARCH_{name.upper()}": name for name in _AUDIT_ARCH}
    wanted = list(profile.get("architectures") or [])
    for entry in profile.get("archMap") or []:
        if known.get(entry.get("architecture")) == machine:
            wanted += [entry["architecture"], *(entry.get("subArchitectures") or [])]
    relatives = {"x86_64": ("x86_64", "x86"), "aarch64": ("aarch64", "arm")}[machine]
    named = {known.get(name) for name in wanted}
    return [machine, *(name for name in relatives if name in named and name != machine)]


def _applies(rule: Mapping[str, Any], capabilities: set[str], machine: str, kernel: tuple[int, int]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    go_name = _GO_NAMES[machine]
    if includes.get("arches") and go_name not in includes["arches"]:
        return False
    if excludes.get("arches") and go_name in excludes["arches"]:
        return False
    if not set(includes.get("caps") or ()) <= capabilities:
        return False
    if set(excludes.get("caps") or ()) & capabilities:
        return False
    if includes.get("minKernel") and kernel < _version(includes["minKernel"]):
        return False
    return not (excludes.get("minKernel") and kernel >= _version(excludes["minKernel"]))


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = ""
    for character in rest:
        if not character.isdigit():
            break
        minor += character
    try:
        return int(major), int(minor or 0)
    except ValueError:
        raise ValueError(f"{text!r} is not a kernel version") from None


def _names(rule: Mapping[str, Any]) -> list[str]:
    names = rule.get("names")
    if names is None and "name" in rule:
        names = [rule["name"]]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("a rule has no list of 'names'")
    return names


def _action(holder: Mapping[str, Any], key: str, errno_value: object) -> int:
    name = holder.get(key)
    if name not in _ACTIONS:
        raise ValueError(f"{key} {name!r} is not supported")
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value = _EPERM if errno_value is None else errno_value
        if not isinstance(value, int) or not 0 <= value < 4096:
            raise ValueError(f"{value!r} is not an error number")
        return _ACTIONS[name] | value
    return _ACTIONS[name]


def _calls(rules: list[dict[str, Any]], numbers: Mapping[str, int], default: int) -> dict[int, Leaf]:
    """What happens for each number that a rule speaks of."""
    found: dict[int, list[Rule]] = {}
    for rule in rules:
        action = _action(rule, "action", rule.get("errnoRet"))
        alternatives = [Rule(conditions, action) for conditions in _conditions(rule)]
        for name in _names(rule):
            if name in numbers:
                found.setdefault(numbers[name], []).extend(alternatives)
    calls: dict[int, Leaf] = {}
    for number, entries in found.items():
        final = next((entry for entry in entries if not entry.conditions), Rule(ANY, default))
        # A conditional rule with the same outcome as the unconditional one changes nothing.
        tested = [entry for entry in entries if entry.conditions and entry.action != final.action]
        calls[number] = (*dict.fromkeys(tested), final)
    return calls


def _conditions(rule: Mapping[str, Any]) -> list[tuple[Condition, ...]]:
    parsed = []
    for item in rule.get("args") or []:
        operator = str(item.get("op", "")).removeprefix("SCMP_CMP_")
        index, value, other = item.get("index"), item.get("value", 0), item.get("valueTwo", 0)
        if operator not in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"):
            raise ValueError(f"comparison {item.get('op')!r} is not supported")
        if not isinstance(index, int) or not 0 <= index <= 5:
            raise ValueError(f"argument index {index!r} is not between 0 and 5")
        if not isinstance(value, int) or not isinstance(other, int):
            raise ValueError(f"{value!r} is not a whole number")
        parsed.append(Condition(index, operator, value, other))
    if not parsed:
        return [ANY]
    if len({condition.index for condition in parsed}) < len(parsed):
        return [(condition,) for condition in parsed]
    return [tuple(parsed)]


def main() -> None:
    """Write the shipped programs anew."""
    for machine in _GO_NAMES:
        program = compile_profile(default_profile(), DEFAULT_CAPABILITIES, machine=machine, kernel=(5, 6))
        (_HERE / f"seccomp_default.{machine}.bpf").write_bytes(program)


if __name__ == "__main__":
    main()
