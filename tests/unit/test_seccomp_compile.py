"""Compiled seccomp programs, run by a small BPF machine: what happens to which call."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from runtime.kernel import seccomp
from runtime.kernel.seccomp_compile import DEFAULT_CAPABILITIES, compile_profile, default_profile

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
X86_64, X86, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALL = (*DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_SYS_MODULE", "CAP_SYS_NICE")


def run(program: bytes, number: int, *arguments: int, arch: int = X86_64) -> int:
    """The program's verdict (linux/filter.h, the instructions that seccomp programs use)."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    position = accumulator = 0
    while True:
        code, true, false, k = instructions[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == 0x54:
            accumulator &= k
        elif code == 0x05:
            position += k
        elif code in (0x15, 0x25, 0x35):
            holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[code]
            position += true if holds else false
        elif code == 0x06:
            return int(k)
        else:
            raise AssertionError(f"instruction {code:#x}")


@pytest.fixture(scope="module")
def default() -> bytes:
    return compile_profile(default_profile(), DEFAULT_CAPABILITIES, machine="x86_64", kernel=(6, 1))


NUMBERS = {
    "read": 0, "write": 1, "socket": 41, "clone": 56, "execve": 59, "ptrace": 101, "personality": 135,
    "mount": 165, "reboot": 169, "init_module": 175, "keyctl": 250, "add_key": 248, "unshare": 272,
    "perf_event_open": 298, "setns": 308, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    "clone3": 435, "openat2": 437, "fchmodat2": 452, "chroot": 161, "mbind": 237,
    "open_by_handle_at": 304, "kexec_load": 246, "arch_prctl": 158,
}  # fmt: skip
OPEN = ("read", "write", "execve", "openat2", "fchmodat2", "chroot", "ptrace", "arch_prctl")
CLOSED = (
    "mount", "reboot", "init_module", "keyctl", "add_key", "unshare", "setns", "perf_event_open", "bpf",
    "userfaultfd", "io_uring_setup", "mbind", "open_by_handle_at", "kexec_load",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        *((name, (), ALLOW) for name in OPEN),
        *((name, (), EPERM) for name in CLOSED),
        ("clone3", (), ENOSYS),
        ("clone", (0x01200011,), ALLOW),
        ("clone", (0x10000000,), EPERM),  # CLONE_NEWUSER
        ("clone", (0x00020000,), EPERM),  # CLONE_NEWNS
        ("socket", (2,), ALLOW),
        ("socket", (16, 3, 0), ALLOW),
        ("socket", (38,), EPERM),  # AF_ALG
        ("socket", (40,), EPERM),  # AF_VSOCK
        ("socket", (39,), ALLOW),
        ("socket", (41,), ALLOW),
        ("personality", (0,), ALLOW),
        ("personality", (0x20008,), ALLOW),
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x0400000,), EPERM),  # ADDR_NO_RANDOMIZE is not in the list
    ],
)  # fmt: skip
def test_default(default: bytes, name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert run(default, NUMBERS[name], *arguments) == expected


def test_newer_calls_are_unknown_and_foreign_programs_are_killed(default: bytes) -> None:
    assert run(default, 600) == ENOSYS
    assert run(default, 0x40000000) == ENOSYS  # x32
    assert run(default, 0, arch=AARCH64) == KILL


def test_the_32_bit_sibling_has_its_own_numbers(default: bytes) -> None:
    assert run(default, 3, arch=X86) == ALLOW  # read
    assert run(default, 21, arch=X86) == EPERM  # mount
    assert run(default, 102, arch=X86) == ALLOW  # socketcall


def test_high_word_of_an_argument_counts(default: bytes) -> None:
    assert run(default, NUMBERS["personality"], 1 << 32) == EPERM


@pytest.mark.parametrize("name", ["mount", "unshare", "setns", "clone3", "bpf", "init_module", "mbind"])
def test_capabilities_open_calls(name: str) -> None:
    program = compile_profile(default_profile(), ALL, machine="x86_64", kernel=(6, 1))
    assert run(program, NUMBERS[name]) == ALLOW
    assert run(program, NUMBERS["clone"], 0x10000000) == ALLOW
    assert run(program, NUMBERS["io_uring_setup"]) == EPERM


def test_minimal_kernel() -> None:
    program = compile_profile(default_profile(), DEFAULT_CAPABILITIES, machine="x86_64", kernel=(4, 7))
    assert run(program, NUMBERS["ptrace"]) == EPERM


def test_other_architecture() -> None:
    program = compile_profile(default_profile(), DEFAULT_CAPABILITIES, machine="aarch64", kernel=(6, 1))
    assert run(program, 63, arch=AARCH64) == ALLOW  # read
    assert run(program, 40, arch=AARCH64) == EPERM  # mount
    assert run(program, 198, 38, arch=AARCH64) == EPERM  # socket(AF_ALG)


@pytest.mark.parametrize(
    ("operator", "value", "other", "yes", "no"),
    [
        ("EQ", 7, 0, [7], [6, 8, 7 | 1 << 32]),
        ("NE", 7, 0, [6, 8, 7 | 1 << 32], [7]),
        ("LT", 7 | 1 << 32, 0, [0, 7, 6 | 1 << 32], [7 | 1 << 32, 8 | 1 << 32, 1 << 33]),
        ("LE", 7 | 1 << 32, 0, [0, 6 | 1 << 32, 7 | 1 << 32], [8 | 1 << 32, 1 << 33]),
        ("GT", 7 | 1 << 32, 0, [8 | 1 << 32, 1 << 33], [0, 8, 7 | 1 << 32]),
        ("GE", 7 | 1 << 32, 0, [7 | 1 << 32, 8 | 1 << 32, 1 << 33], [0, 8, 6 | 1 << 32]),
        ("MASKED_EQ", 0xF0, 0x30, [0x3F, 0x30 | 1 << 40], [0x40, 0x70]),
    ],
)
def test_comparisons(operator: str, value: int, other: int, yes: list[int], no: list[int]) -> None:
    rule = {"index": 1, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": other}
    program = compile_profile(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [rule]}],
        },
        [],
        machine="x86_64",
    )
    assert [run(program, 0, 0, argument) for argument in yes] == [ALLOW] * len(yes)
    assert [run(program, 0, 0, argument) for argument in no] == [EPERM] * len(no)


def test_first_matching_rule_decides_and_several_arguments_must_all_hold() -> None:
    both = [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 1, "op": "SCMP_CMP_EQ", "value": 2}]
    either = [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 0, "op": "SCMP_CMP_EQ", "value": 2}]
    program = compile_profile(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": both},
                {"names": ["write"], "action": "SCMP_ACT_ERRNO", "args": either},
                {"names": ["getpid", "no_such_call"], "action": "SCMP_ACT_KILL_PROCESS"},
            ],
        },
        [],
        machine="x86_64",
    )
    assert run(program, 0, 1, 2) == 0x00050005
    assert run(program, 0, 1, 3) == ALLOW
    assert [run(program, 1, first) for first in (1, 2, 3)] == [EPERM, EPERM, ALLOW]
    assert run(program, 39) == KILL
    assert run(program, 9999) == ALLOW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        ({"defaultAction": None}, "defaultAction"),
        ({"syscalls": [{"action": "SCMP_ACT_ALLOW"}]}, "names"),
        ({"syscalls": "all"}, "syscalls"),
        (
            {
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 9, "op": "SCMP_CMP_EQ"}],
                    }
                ]
            },
            "argument index 9",
        ),
        (
            {
                "syscalls": [
                    {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "LIKE"}]}
                ]
            },
            "LIKE",
        ),
    ],
)
def test_wrong_profiles_are_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_profile({"defaultAction": "SCMP_ACT_ERRNO", **change}, [], machine="x86_64")


def test_shipped_programs_are_current() -> None:
    expected = compile_profile(default_profile(), DEFAULT_CAPABILITIES, kernel=(5, 6))
    assert seccomp.default_program() == expected


def test_bisection_keeps_every_call_near(default: bytes) -> None:
    """No call takes more than 20 instructions: a chain of 360 would slow every one of them."""
    instructions = list(struct.iter_unpack("=HBBI", default))
    assert len(instructions) < 1000
    for number in range(470):
        position = accumulator = steps = 0
        while True:
            code, true, false, k = instructions[position]
            position, steps = position + 1, steps + 1
            if code == 0x20:
                accumulator = X86_64 if k == 4 else number if k == 0 else 0
            elif code == 0x05:
                position += k
            elif code == 0x06:
                break
            elif code != 0x54:
                holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[code]
                position += true if holds else false
        assert steps <= 30, number
