"""Which subnet a new network gets and which address a new endpoint gets. Pure, on plain integers: the
standard library's ``ipaddress`` costs some milliseconds to load."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from runtime.errors import InvalidInput

__all__ = [
    "address_text", "address_value", "free_address", "free_subnet", "mac_of", "overlaps", "parse_subnet",
]  # fmt: skip


def address_value(text: str) -> int:
    """Dotted quad to integer. Raises InvalidInput."""
    parts = text.split(".")
    if len(parts) != 4 or any(
        not (p.isascii() and p.isdigit() and len(p) < 4 and int(p) < 256) for p in parts
    ):
        raise InvalidInput(f"invalid IPv4 address {text!r}", subject=text)
    value = 0
    for part in parts:
        value = value << 8 | int(part)
    return value


def address_text(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def parse_subnet(text: str) -> tuple[int, int]:
    """ "a.b.c.d/n" to (first address, prefix length); host bits are cleared. Raises InvalidInput."""
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit() or int(length) > 32:
        raise InvalidInput(
            f"invalid subnet {text!r}", hint="a subnet is written like 172.30.0.0/16", subject=text
        )
    bits = int(length)
    return address_value(address) & _mask(bits), bits


def _mask(bits: int) -> int:
    return (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF


def overlaps(one: tuple[int, int], other: tuple[int, int]) -> bool:
    mask = _mask(min(one[1], other[1]))
    return one[0] & mask == other[0] & mask


def free_subnet(pools: Iterable[tuple[str, int]], used: Sequence[tuple[int, int]]) -> str | None:
    """The first subnet, cut from the pools (base, size) in order, that overlaps nothing used; None when
    every one is taken. docker's rule (libnetwork, ipams/defaultipam)."""
    for base_text, size in pools:
        base, bits = parse_subnet(base_text)
        step = 1 << (32 - size)
        for number in range(1 << max(0, size - bits)):
            candidate = (base + number * step, size)
            if not any(overlaps(candidate, other) for other in used):
                return f"{address_text(candidate[0])}/{size}"
    return None


def free_address(subnet: str, taken: Collection[str]) -> str | None:
    """The lowest host address that is not taken (the gateway belongs into ``taken``); None when full."""
    base, bits = parse_subnet(subnet)
    for value in range(base + 1, base + (1 << (32 - bits)) - 1):
        text = address_text(value)
        if text not in taken:
            return text
    return None


def mac_of(address: str) -> str:
    """docker's: locally administered, made of the address, so that a neighbour's cache stays right when an
    address goes to another container."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))
