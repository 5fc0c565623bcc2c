"""The instructions of a Dockerfile as values; nothing here is expanded yet."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.build.lexer import Heredoc, Source

__all__ = [
    "Add",
    "Arg",
    "Cmd",
    "Command",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "HealthCheckInstruction",
    "Instruction",
    "Label",
    "Maintainer",
    "OnBuild",
    "Run",
    "Shell",
    "Stage",
    "StopSignal",
    "User",
    "Volume",
    "Workdir",
]

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Instruction:
    """``text`` is the instruction on one line, as written; ``first`` and ``last`` are line numbers."""

    text: str
    first: int
    last: int

    @property
    def keyword(self) -> str:
        return self.text.split(None, 1)[0].upper()


@dataclass(frozen=True)
class Command:
    """The exec form (``argv``), or the shell form (``argv`` is one text that the shell gets)."""

    argv: tuple[str, ...]
    shell_form: bool


@dataclass(frozen=True)
class From(Instruction):
    image: str
    alias: str = ""
    platform: str = ""


@dataclass(frozen=True)
class Arg(Instruction):
    """A default of None: none was given."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Env(Instruction):
    pairs: Pairs
    legacy: bool = False


@dataclass(frozen=True)
class Label(Instruction):
    pairs: Pairs
    legacy: bool = False


@dataclass(frozen=True)
class Copy(Instruction):
    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()
    parents: bool = False


@dataclass(frozen=True)
class Add(Copy):
    """``unpack`` None: archives of the context are unpacked, fetched ones are not."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True)
class Run(Instruction):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""


@dataclass(frozen=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True)
class Expose(Instruction):
    ports: tuple[str, ...]


@dataclass(frozen=True)
class User(Instruction):
    user: str


@dataclass(frozen=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True)
class StopSignal(Instruction):
    signal: str


@dataclass(frozen=True)
class HealthCheckInstruction(Instruction):
    """``command`` None is ``HEALTHCHECK NONE``. Durations are nanoseconds; 0 leaves the default."""

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Shell(Instruction):
    argv: tuple[str, ...]


@dataclass(frozen=True)
class OnBuild(Instruction):
    """``trigger`` is an instruction's text, heredocs included, for the child's build to parse."""

    trigger: str


@dataclass(frozen=True)
class Maintainer(Instruction):
    name: str


@dataclass(frozen=True)
class Stage:
    """``index`` counts from 0; ``name`` is lower case, "" without ``AS``."""

    index: int
    name: str
    base: From
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Dockerfile:
    source: Source
    escape: str
    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    directives: dict[str, str]
