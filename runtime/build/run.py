"""RUN: a command in an isolated container on the layers so far; what it wrote becomes a layer."""

from __future__ import annotations

import os
import stat as stat_bits
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.build.cache import CachedLayer
from runtime.build.instructions import Run
from runtime.build.options import BuildWarning
from runtime.build.prepared_mounts import PreparedMounts
from runtime.build.state import DEFAULT_PATH, PROXY_ARGUMENTS, StageState
from runtime.build.steps import Step
from runtime.build.workspace import Workspace
from runtime.errors import CommandNotFound, CommandNotRunnable
from runtime.images.layer_index import layer_paths
from runtime.images.layer_view import LayerView
from runtime.kernel.tree import remove_tree
from runtime.model.container import Mount, MountType
from runtime.model.record import record

if TYPE_CHECKING:
    from runtime.containers.session import Session

__all__ = ["run_command"]

_SCRIPTS = "/dev/pipes"
_STUBS = ("dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")
"""What a container's start may leave as empty files and directories, to mount on."""


@record
class _Command:
    """``script`` is the text of a heredoc that begins with ``#!``, for ``argv[0]`` to be."""

    argv: tuple[str, ...]
    script: str = ""


def run_command(
    work: Workspace, stage: int, state: StageState, instruction: Run, step: Step, *, cached: bool
) -> None:
    """Add the command's layer to the state. Raises BuildFailed, Cancelled and what starting it raises."""
    command = _command(state, instruction)
    network = _network(work, instruction)
    with _mounts(work, stage, state, instruction) as mounts:
        environment = state.variables()
        key = work.key(
            state.layers,
            [
                "run",
                command.argv,
                command.script,
                sorted(environment.items()),
                state.working_dir,
                state.config.user,
                network,
                work.options.extra_hosts,
                instruction.security,
                mounts.definition,
            ],
        )
        created_by = _created_by(state, command)
        found = work.cache.find(key, enabled=cached)
        if found is None:
            with work.cache.turn(key):
                found = work.cache.find(key, enabled=cached)
                if found is None:
                    made = _make(work, state, instruction, command, environment, network, mounts, step, key)
                    state.record(created_by, layer=made.layer, created_at=made.created_at)
                    return
    step.cached = True
    state.record(created_by, layer=found.layer, created_at=found.created_at)


def _mounts(
    work: Workspace, stage: int, state: StageState, instruction: Run
) -> AbstractContextManager[PreparedMounts]:
    if not instruction.mounts:
        return nullcontext(PreparedMounts())
    from runtime.build.run_mounts import prepare_mounts

    return prepare_mounts(work, stage, state, instruction.mounts)


def _command(state: StageState, instruction: Run) -> _Command:
    """The argument vector; heredocs are the command itself, or go to the shell with it."""
    command = instruction.command
    heredocs = instruction.heredocs
    if not command.shell_form:
        return _Command(command.argv)
    text = command.argv[0]
    if not heredocs:
        return _Command((*state.shell, text))
    if len(heredocs) == 1 and not any(c.isspace() for c in text):
        content = heredocs[0].content
        if content.startswith("#!"):
            return _Command((f"{_SCRIPTS}/{heredocs[0].name}",), content)
        return _Command((*state.shell, content))
    full = text
    for heredoc in heredocs:
        full += f"\n{heredoc.content}{heredoc.name}"
    return _Command((*state.shell, full))


def _network(work: Workspace, instruction: Run) -> str:
    """ "bridge", "none" or "host"."""
    chosen = instruction.network if instruction.network not in ("", "default") else work.options.network
    return "bridge" if chosen in ("", "default") else chosen


def _proxies(work: Workspace, state: StageState) -> dict[str, str]:
    """Predefined arguments, given and not declared: the command sees them, key and history do not."""
    given = work.options.build_args
    return {name: given[name] for name in given if name in PROXY_ARGUMENTS and name not in state.args}


def _created_by(state: StageState, command: _Command) -> str:
    given = [f"{name}={value}" for name, value in sorted(state.args.items()) if value is not None]
    counted = f"|{len(given)} {' '.join(given)} " if given else ""
    return f"RUN {counted}{' '.join(command.argv)} # buildkit"


def _make(
    work: Workspace,
    state: StageState,
    instruction: Run,
    command: _Command,
    environment: dict[str, str],
    network: str,
    mounts: PreparedMounts,
    step: Step,
    key: str,
) -> CachedLayer:
    from runtime.containers.ephemeral import run_ephemeral

    upper = work.new_path("run")
    options = work.options
    all_mounts = list(mounts.mounts)
    if command.script:
        script = work.new_path("script")
        script.write_text(command.script, encoding="utf-8", errors="surrogateescape")
        script.chmod(0o755)
        all_mounts.append(Mount(MountType.BIND, str(script), command.argv[0], read_only=True))
    variables = {"PATH": DEFAULT_PATH, **environment, **_proxies(work, state)}
    execute = partial(
        run_ephemeral,
        work.ctx,
        layers=state.layers,
        secret_env=[f"{name}={value}" for name, value in mounts.environment.items()],
        working_dir=state.working_dir,
        user=state.config.user,
        network=network,
        mounts=all_mounts,
        extra_hosts=options.extra_hosts,
        shm_size=options.shm_size,
        resources=options.resources,
        ulimits=options.ulimits,
        cgroup_parent=options.cgroup_parent,
    )
    env = [f"{name}={value}" for name, value in variables.items()]
    with mounts.held():
        exit_code = execute(
            argv=command.argv, env=env, on_output=step.output, cancel=work.cancel, upperdir_to=upper
        )
        step.flush()
        if exit_code != 0:
            remove_tree(upper)
            failure = work.command_failure(instruction, command.argv, exit_code, step)
            if options.debug_shell is not None:
                _open_shell(state, env, execute, partial(options.debug_shell, failure), upper)
            raise failure
    lower = LayerView(layer_paths(work.ctx, state.layers))
    remove_stubs(upper, lower, [mount.target for mount in all_mounts])
    layer = work.adopt(upper)
    if mounts.changed is not None:
        work.report.warn(BuildWarning(f"{mounts.changed} changed while it was copied: RUN is not cached"))
        return CachedLayer(layer.diff_id, work.now())
    return work.cache.store(
        key,
        layer.diff_id,
        parent=state.layers[-1] if state.layers else "",
        description=" ".join(instruction.text.split()),
        size=layer.size,
        created_at=work.now(),
    )


def _open_shell(
    state: StageState,
    env: Sequence[str],
    execute: Callable[..., int],
    interact: Callable[[Session], object],
    upper: Path,
) -> None:
    """The stage's shell (else ``/bin/sh``) with the same mounts and secrets, on the layers below the step."""
    terminal = f"TERM={os.environ.get('TERM', 'xterm')}"
    shells = list(dict.fromkeys((state.shell[0], "/bin/sh")))
    for shell in shells:
        try:
            execute(argv=(shell,), env=[terminal, *env], interact=interact, upperdir_to=upper)
            return
        except (CommandNotFound, CommandNotRunnable):
            if shell == shells[-1]:
                raise


def remove_stubs(upper: Path, lower: LayerView, targets: Sequence[str]) -> None:
    """Take out of the upper directory what was made only to be mounted on: empty, and not there below."""
    stubs = [*_STUBS, *(target.strip("/") for target in targets)]
    for stub in sorted(set(stubs), key=lambda path: -path.count("/")):
        path = stub
        while path and lower.lookup(path, follow=False) is None and _remove_empty(upper / path):
            path = path.rpartition("/")[0]


def _remove_empty(path: Path) -> bool:
    """True when it was an empty file or directory and is gone."""
    try:
        stat = os.lstat(path)
        if stat_bits.S_ISDIR(stat.st_mode):
            path.rmdir()
        elif stat_bits.S_ISREG(stat.st_mode) and stat.st_size == 0:
            path.unlink()
        else:
            return False
    except OSError:
        return False
    return True
