"""Version 2's device filter: a BPF program on the group (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE).

The kernel asks it with ``struct bpf_cgroup_dev_ctx``: access << 16 | type, major, minor (linux/bpf.h).
"""

from __future__ import annotations

import os
import struct

from runtime.kernel import libc, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["assemble", "attach"]

_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
_BPF_PROG_TYPE_CGROUP_DEVICE = 15
_BPF_CGROUP_DEVICE = 6
_BPF_F_ALLOW_MULTI = 2

_TYPES = {"b": 1, "c": 2, "u": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}

# Opcodes (Documentation/bpf/standardization/instruction-set.rst).
_LOAD_WORD, _MOVE, _MOVE_REGISTER, _AND, _SHIFT_RIGHT = 0x61, 0xB7, 0xBF, 0x57, 0x77
_JUMP_EQUAL, _JUMP_NOT_EQUAL, _EXIT = 0x15, 0x55, 0x95
_R0, _CONTEXT, _WANTED, _TYPE, _MAJOR, _MINOR, _SCRATCH = 0, 1, 2, 3, 4, 5, 6


def _instruction(code: int, destination: int, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, destination | source << 4, offset, immediate)


def assemble(rules: Sequence[Mapping[str, object]]) -> bytes:
    """The program of OCI device rules. Each kind of access (mknod, read, write) is decided by the last rule
    that speaks of it for the device; what none speaks of is denied. So the rules are looked at from the last
    to the first, and an access that a rule allows is struck off until nothing is left to ask for."""
    answer = [_instruction(_MOVE, _R0), _instruction(_EXIT, 0)]
    program = [
        _instruction(_LOAD_WORD, _TYPE, _CONTEXT, 0),
        _instruction(_MOVE_REGISTER, _WANTED, _TYPE),
        _instruction(_AND, _TYPE, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, _WANTED, immediate=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in reversed(rules):
        program += _rule(rule)
    return b"".join(program + answer)


def _rule(rule: Mapping[str, object]) -> list[bytes]:
    access = 0
    for letter in str(rule.get("access") or "rwm"):
        access |= _ACCESS[letter]
    conditions: list[tuple[int, int]] = []
    kind = str(rule.get("type") or "a")
    if kind != "a":
        conditions.append((_TYPE, _TYPES[kind]))
        for register, key in ((_MAJOR, "major"), (_MINOR, "minor")):
            value = rule.get(key)
            if isinstance(value, int) and value != -1:
                conditions.append((register, value))
    if rule.get("allow"):
        body = [
            _instruction(_AND, _WANTED, immediate=~access),
            _instruction(_JUMP_NOT_EQUAL, _WANTED, offset=2),
            _instruction(_MOVE, _R0, immediate=1),
            _instruction(_EXIT, 0),
        ]
    else:
        body = [
            _instruction(_MOVE_REGISTER, _SCRATCH, _WANTED),
            _instruction(_AND, _SCRATCH, immediate=access),
            _instruction(_JUMP_EQUAL, _SCRATCH, offset=2),
            _instruction(_MOVE, _R0),
            _instruction(_EXIT, 0),
        ]
    checks = []
    for index, (register, value) in enumerate(conditions):
        skip = len(conditions) - index - 1 + len(body)
        checks.append(_instruction(_JUMP_NOT_EQUAL, register, offset=skip, immediate=value))
    return checks + body


def attach(directory: str, rules: Sequence[Mapping[str, object]]) -> None:
    """Load the program and put it on the group, where it stays as long as the group. Raises SyscallError."""
    program = load(assemble(rules))
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            attributes = struct.pack("=IIII", group, program, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI)
            syscalls.bpf(_BPF_PROG_ATTACH, attributes)
        finally:
            os.close(group)
    finally:
        os.close(program)


def load(program: bytes) -> int:
    """BPF_PROG_LOAD: the descriptor of the verified program."""
    instructions = libc.buffer(program)
    licence = libc.buffer(b"Apache-2.0\0")
    attributes = struct.pack(
        "=IIQQIIQII16sI",
        _BPF_PROG_TYPE_CGROUP_DEVICE,
        len(program) // 8,
        libc.address(instructions),
        libc.address(licence),
        *(0, 0, 0),  # no log
        *(0, 0),  # kern_version, prog_flags
        b"tuidock_devices",
        0,
    )
    fd = syscalls.bpf(_BPF_PROG_LOAD, attributes)
    os.set_inheritable(fd, False)
    return fd
