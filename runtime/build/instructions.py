"""The instructions of a Dockerfile as values; nothing here is expanded yet."""

from __future__ import annotations

from runtime.build.lexer import Heredoc, Source
from runtime.model.record import record

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


@record
class Instruction:
    """``text`` is the instruction on one line, as written; ``first`` and ``last`` are line numbers."""

    text: str
    first: int
    last: int

    @property
    def keyword(self) -> str:
        return self.text.split(None, 1)[0].upper()


@record
class Command:
    """The exec form (``argv``), or the shell form (``argv`` is one text that the shell gets)."""

    argv: tuple[str, ...]
    shell_form: bool


@record
class From(Instruction):
    image: str
    alias: str = ""
    platform: str = ""


@record
class Arg(Instruction):
    """A default of None: none was given."""

    pairs: tuple[tuple[str, str | None], ...]


@record
class Env(Instruction):
    pairs: Pairs
    legacy: bool = False


@record
class Label(Instruction):
    pairs: Pairs
    legacy: bool = False


@record
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


@record
class Add(Copy):
    """``unpack`` None: archives of the context are unpacked, fetched ones are not."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@record
class Run(Instruction):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""


@record
class Cmd(Instruction):
    command: Command


@record
class Entrypoint(Instruction):
    command: Command


@record
class Expose(Instruction):
    ports: tuple[str, ...]


@record
class User(Instruction):
    user: str


@record
class Workdir(Instruction):
    path: str


@record
class Volume(Instruction):
    paths: tuple[str, ...]


@record
class StopSignal(Instruction):
    signal: str


@record
class HealthCheckInstruction(Instruction):
    """``command`` None is ``HEALTHCHECK NONE``. Durations are nanoseconds; 0 leaves the default."""

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@record
class Shell(Instruction):
    argv: tuple[str, ...]


@record
class OnBuild(Instruction):
    """``trigger`` is an instruction's text, heredocs included, for the child's build to parse."""

    trigger: str


@record
class Maintainer(Instruction):
    name: str


@record
class Stage:
    """``index`` counts from 0; ``name`` is lower case, "" without ``AS``."""

    index: int
    name: str
    base: From
    instructions: tuple[Instruction, ...]


@record
class Dockerfile:
    source: Source
    escape: str
    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    directives: dict[str, str]
