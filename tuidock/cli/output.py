"""Where values become text, as docker writes them: tables, durations, sizes, ports, statuses."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.model.container import Container, PortBinding

__all__ = [
    "ago",
    "binary_size",
    "command_text",
    "decimal_size",
    "duration",
    "ellipsis",
    "emit",
    "familiar",
    "ports_text",
    "short_id",
    "status_text",
    "table",
    "timestamp",
    "timestamp_rfc3339",
]

_SECOND = 1_000_000_000
_PADDING = 3
_NARROWEST = 10


def emit(text: str) -> None:
    """One line on standard output; bytes that are not UTF-8 (file names) go out as they came."""
    sys.stdout.write(text + "\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, narrowest: int = _NARROWEST) -> str:
    """Columns as docker's tabwriter aligns them: at least 10 wide, 3 spaces apart, the last one unpadded."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [
        max(narrowest, *(display_width(line[column]) + _PADDING for line in lines))
        for column in range(len(header))
    ]
    out = []
    for line in lines:
        cells = [text + " " * (width - display_width(text)) for text, width in zip(line, widths)]
        cells[-1] = line[-1]
        out.append("".join(cells))
    return "\n".join(out)


def display_width(text: str) -> int:
    """Columns that a terminal gives to ``text``; wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def duration(nanoseconds: int) -> str:
    """docker's wording (go-units, HumanDuration): "About a minute", "2 hours"."""
    seconds = nanoseconds // _SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for name, length, limit in (
        ("days", 24, 24 * 14),
        ("weeks", 24 * 7, 24 * 60),
        ("months", 24 * 30, 24 * 730),
    ):
        if hours < limit:
            return f"{hours // length} {name}"
    return f"{seconds // (3600 * 24 * 365)} years"


def ago(moment: int, now: int | None = None) -> str:
    """``moment`` in nanoseconds since the epoch; "N/A" for none."""
    if moment <= 0:
        return "N/A"
    return f"{duration((time.time_ns() if now is None else now) - moment)} ago"


def timestamp(moment: int) -> str:
    """As docker's CreatedAt: "2024-05-31 12:00:00 +0200 CEST"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment // _SECOND))


def timestamp_rfc3339(moment: int) -> str:
    """UTC with nanoseconds, trailing zeros kept, as in the logs: "2024-05-31T12:00:00.123456789Z"."""
    seconds, rest = divmod(moment, _SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def decimal_size(size: float, digits: int = 3) -> str:
    """ "12.3MB": powers of 1000, ``digits`` significant ones."""
    return _scaled(size, 1000.0, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), digits)


def binary_size(size: float, digits: int = 4) -> str:
    """ "1.234MiB": powers of 1024."""
    return _scaled(size, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), digits)


def _scaled(size: float, base: float, units: Sequence[str], digits: int) -> str:
    place = 0
    while size >= base and place < len(units) - 1:
        size /= base
        place += 1
    text = f"{size:.{digits}g}"
    if "e" in text:  # 999.9 with three digits, or 1010 of a 1024 base
        text = f"{size:.0f}"
        if base == 1000.0 and place < len(units) - 1:
            text, place = "1", place + 1
    return f"{text}{units[place]}"


def short_id(identifier: str) -> str:
    return identifier.removeprefix("sha256:")[:12]


def ellipsis(text: str, width: int) -> str:
    """At most ``width`` characters, the last one "…" when some are left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


def familiar(reference: str) -> str:
    """An image reference as people write it: without docker.io and library."""
    return reference.removeprefix("docker.io/").removeprefix("library/")


def command_text(argv: Sequence[str], *, truncate: bool = True) -> str:
    """The COMMAND column: in quotes, 20 characters at most; arguments with spaces in quotes of their own."""
    text = " ".join([*argv[:1], *(f"'{word}'" if " " in word else word for word in argv[1:])])
    text = ellipsis(text, 20) if truncate else text
    return '"' + re.sub(r"[\x00-\x1f\x7f\\\"]", _escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}.get(
        character, f"\\x{ord(character):02x}"
    )


def status_text(container: Container, now: int | None = None) -> str:
    """The STATUS column: "Up 2 minutes (healthy)", "Exited (137) 3 seconds ago"."""
    state = container.state
    now = time.time_ns() if now is None else now
    status = state.status.value
    if status == "running":
        text = f"Up {duration(now - state.started_at)}"
        if state.health is not None:
            health = state.health.status
            text += f" (health: {health})" if health == "starting" else f" ({health})"
        return text
    if status == "paused":
        return f"Up {duration(now - state.started_at)} (Paused)"
    if status == "restarting":
        return f"Restarting ({state.exit_code}) {ago(state.finished_at, now)}"
    if status == "created":
        return "Created"
    if status == "removing":
        return "Removal In Progress"
    if status == "dead":
        return "Dead"
    return f"Exited ({state.exit_code}) {ago(state.finished_at, now)}"


def host_address(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def ports_text(bindings: Iterable[PortBinding], exposed: Iterable[str] = ()) -> str:
    """The PORTS column: "0.0.0.0:4000->80/tcp"; neighbours are joined: "0.0.0.0:8000-8002->8000-8002/tcp"."""
    published: dict[tuple[str, str], list[tuple[int, int]]] = {}
    bound: set[str] = set()
    for binding in bindings:
        bound.add(f"{binding.container_port}/{binding.protocol}")
        if binding.host_port:
            key = (binding.host_ip or "0.0.0.0", binding.protocol)
            published.setdefault(key, []).append((binding.host_port, binding.container_port))
    texts: list[tuple[int, str]] = []
    for (address, protocol), pairs in published.items():
        for host, container, length in _runs(sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))):
            left = _range(host, length)
            text = f"{host_address(address)}:{left}->{_range(container, length)}/{protocol}"
            texts.append((container, text))
    for item in exposed:
        port, _, protocol = item.partition("/")
        name = f"{port}/{protocol or 'tcp'}"
        if name not in bound:
            texts.append((int(port) if port.isdigit() else 0, name))
    texts.sort()
    return ", ".join(text for _, text in texts)


def _runs(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(host, container, length) of pairs that follow each other."""
    runs: list[tuple[int, int, int]] = []
    for host, container in pairs:
        if runs:
            first_host, first_container, length = runs[-1]
            if host == first_host + length and container == first_container + length:
                runs[-1] = (first_host, first_container, length + 1)
                continue
        runs.append((host, container, 1))
    return runs


def _range(first: int, length: int) -> str:
    return str(first) if length == 1 else f"{first}-{first + length - 1}"
