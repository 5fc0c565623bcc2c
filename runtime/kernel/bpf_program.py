"""Classic BPF for seccomp: from "number -> what happens" to a program (seccomp(2), linux/bpf_common.h).

The program finds a system call's number by bisection: a filter of 400 calls answers after nine comparisons,
where a chain would need up to 400.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ANY", "Condition", "Leaf", "Rule", "assemble"]

_LOAD, _JUMP, _JEQ, _JGT, _JGE, _AND, _RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06
_FAIL = -1
_LOW_WORD = 0xFFFFFFFF
_LONGEST = 4096

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, k), as ``struct sock_filter``."""


@dataclass(frozen=True)
class Condition:
    """An argument compared by ``operator``: EQ NE LT LE GT GE or MASKED_EQ (argument & value == other)."""

    index: int
    operator: str
    value: int
    other: int = 0


@dataclass(frozen=True)
class Rule:
    """``action`` (a SECCOMP_RET_* value) when every condition holds."""

    conditions: tuple[Condition, ...]
    action: int


Leaf = tuple[Rule, ...]
"""Tried in order; the last one has no conditions."""

ANY: tuple[Condition, ...] = ()


def assemble(sections: Sequence[tuple[int, dict[int, Leaf], Leaf, Leaf]], foreign: int) -> bytes:
    """The program. A section is (AUDIT_ARCH_* value, calls, what happens to an unlisted call, what happens to
    a number above every listed one); ``foreign`` is the action for any other architecture.

    Raises ValueError when it is longer than the kernel takes.
    """
    program: list[Instruction] = [(_LOAD, 0, 0, 4)]
    for audit_arch, calls, unlisted, beyond in sections:
        body = [(_LOAD, 0, 0, 0), *_bisect(_ranges(calls, unlisted, beyond))]
        program += [(_JEQ, 1, 0, audit_arch), (_JUMP, 0, 0, len(body)), *body]
    program.append((_RETURN, 0, 0, foreign))
    if len(program) > _LONGEST:
        raise ValueError(f"the program has {len(program)} instructions, more than {_LONGEST}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _ranges(calls: dict[int, Leaf], unlisted: Leaf, beyond: Leaf) -> list[tuple[int, Leaf]]:
    """(first number, leaf) in ascending order from 0, neighbours with the same leaf joined."""
    out: list[tuple[int, Leaf]] = []

    def add(start: int, leaf: Leaf) -> None:
        if out and out[-1][0] == start:
            out.pop()
        if not out or out[-1][1] != leaf:
            out.append((start, leaf))

    add(0, unlisted)
    for number in sorted(calls):
        add(number, calls[number])
        add(number + 1, unlisted)
    add(max(calls, default=-1) + 1, beyond)
    return out


def _bisect(ranges: list[tuple[int, Leaf]]) -> list[Instruction]:
    if len(ranges) == 1:
        return _leaf(ranges[0][1])
    middle = len(ranges) // 2
    left, right = _bisect(ranges[:middle]), _bisect(ranges[middle:])
    pivot = ranges[middle][0]
    if len(left) <= 255:
        return [(_JGE, len(left), 0, pivot), *left, *right]
    # A conditional jump reaches 255 instructions, an unconditional one any.
    return [(_JGE, 0, 1, pivot), (_JUMP, 0, 0, len(left)), *left, *right]


def _leaf(leaf: Leaf) -> list[Instruction]:
    out: list[Instruction] = []
    for rule in leaf:
        block: list[Instruction] = []
        for condition in rule.conditions:
            block += _test(condition)
        block.append((_RETURN, 0, 0, rule.action))
        for position, (code, true, false, k) in enumerate(block):
            over = len(block) - position - 1
            block[position] = (code, over if true == _FAIL else true, over if false == _FAIL else false, k)
        out += block
    return out


def _test(condition: Condition) -> list[Instruction]:
    """Falls through when it holds, else jumps to _FAIL. Arguments are 64 bit, BPF compares 32: the high word
    decides first. Both architectures are little-endian."""
    low_offset = 16 + 8 * condition.index
    low, high = (_LOAD, 0, 0, low_offset), (_LOAD, 0, 0, low_offset + 4)
    low_value, high_value = condition.value & _LOW_WORD, condition.value >> 32 & _LOW_WORD
    match condition.operator:
        case "EQ":
            return [high, (_JEQ, 0, _FAIL, high_value), low, (_JEQ, 0, _FAIL, low_value)]
        case "NE":
            return [high, (_JEQ, 0, 2, high_value), low, (_JEQ, _FAIL, 0, low_value)]
        case "MASKED_EQ":
            other_low, other_high = condition.other & _LOW_WORD, condition.other >> 32 & _LOW_WORD
            return [
                high, (_AND, 0, 0, high_value), (_JEQ, 0, _FAIL, other_high),
                low, (_AND, 0, 0, low_value), (_JEQ, 0, _FAIL, other_low),
            ]  # fmt: skip
        case "GT" | "GE":
            last = _JGT if condition.operator == "GT" else _JGE
            return [
                high,
                (_JGT, 3, 0, high_value),
                (_JEQ, 0, _FAIL, high_value),
                low,
                (last, 0, _FAIL, low_value),
            ]
        case "LT" | "LE":
            last = _JGE if condition.operator == "LT" else _JGT
            return [
                high,
                (_JGT, _FAIL, 0, high_value),
                (_JEQ, 0, 2, high_value),
                low,
                (last, _FAIL, 0, low_value),
            ]
    raise ValueError(f"unknown comparison {condition.operator!r}")
