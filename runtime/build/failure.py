"""Build errors: one line that names file, line and instruction, and the excerpt that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.errors import Failed, InvalidInput, NotFound

if TYPE_CHECKING:
    from runtime.build.lexer import Source

__all__ = ["BaseNotFound", "BuildFailed", "DockerfileError", "excerpt"]

_AROUND = 3


class DockerfileError(InvalidInput):
    """The Dockerfile, or something that an instruction names, is wrong. ``details`` has several lines."""

    def __init__(
        self, message: str, *, hint: str | None = None, subject: str | None = None, details: str = ""
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.details = details

    @classmethod
    def at(
        cls, source: Source, first: int, message: str, *, last: int | None = None, hint: str | None = None
    ) -> DockerfileError:
        """``first`` and ``last`` are line numbers, from 1."""
        return cls(
            f"{source.name}:{first}: {message}",
            hint=hint,
            subject=source.name,
            details=excerpt(source, first, last or first),
        )


class BaseNotFound(NotFound):
    """FROM names an image that is not in the store."""

    def __init__(
        self, message: str, *, hint: str | None = None, subject: str | None = None, details: str = ""
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.details = details


class BuildFailed(Failed):
    """A step of the build failed. ``command_exit_code`` is a command's; ``can_debug`` tells that
    ``debug_shell`` would open a shell before it; ``reason`` is the message without its place."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        subject: str | None = None,
        details: str = "",
        command_exit_code: int = 1,
        can_debug: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.details = details
        self.command_exit_code = command_exit_code
        self.can_debug = can_debug
        self.reason = reason or message


def excerpt(source: Source, first: int, last: int, output: Sequence[str] = (), title: str = "") -> str:
    """The lines around, marked as BuildKit marks them; above them the last lines of output, if any, below
    the step's title."""
    rule = "-" * 20
    parts: list[str] = []
    if output:
        parts += ["------", *([f" > {title}:"] if title else []), *output, "------"]
    parts += [f"{source.name}:{first}", rule]
    lines = source.text.removesuffix("\n").split("\n")
    for number in range(max(1, first - _AROUND), min(len(lines), last + _AROUND) + 1):
        mark = ">>>" if first <= number <= last else "   "
        parts.append(f"{number:4d} | {mark} {lines[number - 1].rstrip()}".rstrip())
    parts.append(rule)
    return "\n".join(parts)
