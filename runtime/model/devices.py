"""Devices as users write them: ``--device``, ``--device-cgroup-rule``, ``--device-read-bps`` and kin."""

from __future__ import annotations

import re

from runtime.errors import InvalidInput
from runtime.model.quantities import parse_size
from runtime.model.record import record

__all__ = ["DeviceRule", "parse_device", "parse_device_rule", "parse_iops", "parse_rate", "parse_weight"]

_RULE = r"(?a)([acb]) ([0-9]{1,7}|\*):([0-9]{1,7}|\*) ([rwm]{1,3})"
_LARGEST_RATE = (1 << 63) - 1


@record
class DeviceRule:
    """``kind`` is "a" (all), "b" or "c"; None is any number; ``access`` letters of "rwm"."""

    kind: str
    major: int | None
    minor: int | None
    access: str


def parse_device(text: str) -> tuple[str, str, str]:
    """``--device``: HOST[:CONTAINER][:ACCESS] as (host path, container path, access). Raises InvalidInput."""
    parts = text.split(":")
    source, target, access = parts[0], "", "rwm"
    if len(parts) == 2 and _is_access(parts[1]):
        access = parts[1]
    elif len(parts) == 2:
        target = parts[1]
    elif len(parts) == 3:
        target, access = parts[1], parts[2]
    if len(parts) > 3 or not _is_access(access):
        raise InvalidInput(
            f"invalid value for --device: {text!r}: "
            + ("too many colons" if len(parts) > 3 else f"bad mode specified: {access}"),
            hint="give HOST-PATH[:CONTAINER-PATH][:ACCESS], access made of r, w and m",
            subject=text,
        )
    target = target or source
    if not source.startswith("/") or not target.startswith("/"):
        wrong = target if source.startswith("/") else source
        raise InvalidInput(
            f"invalid value for --device: {text!r}: {wrong!r} is not an absolute path",
            hint="for example /dev/fuse or /dev/sda:/dev/disk:r",
            subject=text,
        )
    return source, target, access


def _is_access(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def parse_device_rule(text: str) -> DeviceRule:
    """``--device-cgroup-rule``: "c 13:* rwm". Raises InvalidInput."""
    match = re.fullmatch(_RULE, text.strip())
    if match is None:
        raise InvalidInput(
            f"invalid device cgroup format for --device-cgroup-rule: {text!r}",
            hint="give 'TYPE MAJOR:MINOR ACCESS', for example 'c 13:* rwm'",
            subject=text,
        )
    major, minor = (None if number == "*" else int(number) for number in (match[2], match[3]))
    return DeviceRule(match[1], major, minor, match[4])


def _split(option: str, text: str, form: str) -> tuple[str, str]:
    path, colon, value = text.rpartition(":")
    if not colon or not path.startswith("/dev/") or not value:
        raise InvalidInput(
            f"invalid value for {option}: {text!r}: bad format for device path or value",
            hint=f"give {form}, the path below /dev/",
            subject=text,
        )
    return path, value


def parse_rate(option: str, text: str) -> tuple[str, int]:
    """ "/dev/sda:1mb" as (path, bytes a second). Raises InvalidInput that names ``option``."""
    path, value = _split(option, text, "DEVICE-PATH:NUMBER[UNIT], unit kb, mb or gb")
    try:
        rate = parse_size(value)
    except InvalidInput:
        rate = 0
    if rate <= 0:
        raise InvalidInput(
            f"invalid rate for {option}: {text!r}",
            hint="the form is DEVICE-PATH:NUMBER[UNIT], a positive number and kb, mb or gb",
            subject=text,
        )
    return path, rate


def parse_iops(option: str, text: str) -> tuple[str, int]:
    """ "/dev/sda:100" as (path, operations a second). Raises InvalidInput that names ``option``."""
    path, value = _split(option, text, "DEVICE-PATH:NUMBER")
    rate = int(value) if value.isascii() and value.isdigit() else 0
    if not 0 < rate <= _LARGEST_RATE:
        raise InvalidInput(
            f"invalid rate for {option}: {text!r}",
            hint="the form is DEVICE-PATH:NUMBER, a positive whole number",
            subject=text,
        )
    return path, rate


def parse_weight(option: str, text: str) -> tuple[str, int]:
    """ "/dev/sda:300" as (path, weight). Raises InvalidInput that names ``option``."""
    path, value = _split(option, text, "DEVICE-PATH:WEIGHT")
    weight = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    if not 10 <= weight <= 1000:
        raise InvalidInput(
            f"invalid weight for {option}: {text!r}",
            hint="the form is DEVICE-PATH:WEIGHT, the weight between 10 and 1000",
            subject=text,
        )
    return path, weight
