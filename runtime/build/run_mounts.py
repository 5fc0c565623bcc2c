"""``RUN --mount``: what is bound where while one command runs, and what of it the cache key covers."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.build.context_files import digest, select
from runtime.build.layer_writer import LayerWriter
from runtime.build.mounts import MountError, RunMount, parse_mount
from runtime.build.prepared_mounts import Binding, PreparedMounts
from runtime.build.secrets import secret_bytes
from runtime.build.state import StageState
from runtime.build.substitution import expand
from runtime.build.transfer import Target, transfer
from runtime.build.workspace import Workspace
from runtime.kernel.tree import remove_tree
from runtime.model.container import Mount, MountType

__all__ = ["prepare_mounts"]

_SECRETS = "/run/secrets"


@contextmanager
def prepare_mounts(
    work: Workspace, stage: int, state: StageState, flags: Sequence[str]
) -> Iterator[PreparedMounts]:
    """Copies that were made to be bound go away at the end. Raises MountError, SourceNotFound."""
    prepared = PreparedMounts()
    made: list[Path] = []
    try:
        for text in flags:
            mount = parse_mount(expand(text, state.variables(), work.dockerfile.escape))
            _PREPARERS[mount.type](work, stage, state, mount, prepared, made)
        yield prepared
    finally:
        for path in made:
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)


def _target(state: StageState, mount: RunMount, default: str = "") -> str:
    return posixpath.normpath(posixpath.join(state.working_dir, mount.target or default))


def _bind(
    work: Workspace,
    stage: int,
    state: StageState,
    mount: RunMount,
    prepared: PreparedMounts,
    made: list[Path],
) -> None:
    """Files of the context, a stage or an image."""
    tree = work.tree(mount.from_, stage)
    given = mount.source or "."
    selections = select(tree, given)
    target = _target(state, mount)
    content = digest(selections)
    prepared.definition.append(["bind", target, mount.read_write, content])
    place = work.new_path("bind")
    made.append(place)
    prepared.bindings.append(Binding(tree, given, content, place))
    selection = selections[0] if selections else None
    source = place if selection is None or selection.is_directory else place / selection.name
    prepared.mounts.append(Mount(MountType.BIND, str(source), target, read_only=not mount.read_write))


def _cache(
    work: Workspace,
    stage: int,
    state: StageState,
    mount: RunMount,
    prepared: PreparedMounts,
    made: list[Path],
) -> None:
    """A directory that outlives the build, by its id. A private one is had by one build at a time."""
    del made
    target = _target(state, mount)
    name = mount.id or target
    prepared.definition.append(["cache", target, name, mount.sharing, mount.read_only])
    directory = work.ctx.paths.build / "caches" / hashlib.sha256(name.encode()).hexdigest()[:24]
    if not directory.exists():
        directory.parent.mkdir(mode=0o700, exist_ok=True)
        mode = 0o755 if mount.mode is None else mount.mode
        if mount.from_:
            tree = work.tree(mount.from_, stage)
            part = work.new_path("cache")
            writer = LayerWriter([], part)
            transfer(writer, select(tree, mount.source or "."), Target("/", True, None))
            writer.close()
            _adopt_cache(part, directory)
        else:
            part = work.new_path("cache")
            part.mkdir()
            part.chmod(mode)
            os.chown(part, mount.uid, mount.gid)
            _adopt_cache(part, directory)
        (directory.parent / f"{directory.name}.id").write_text(name, encoding="utf-8")
    sharing = "locked" if mount.sharing == "private" else mount.sharing
    prepared.caches.append((directory, sharing))
    prepared.mounts.append(Mount(MountType.BIND, str(directory), target, read_only=mount.read_only))


def _adopt_cache(part: Path, directory: Path) -> None:
    try:
        part.rename(directory)
    except OSError:
        remove_tree(part)
        if not directory.is_dir():
            raise


def _tmpfs(
    work: Workspace,
    stage: int,
    state: StageState,
    mount: RunMount,
    prepared: PreparedMounts,
    made: list[Path],
) -> None:
    del work, stage, made
    target = _target(state, mount)
    prepared.definition.append(["tmpfs", target, mount.size])
    prepared.mounts.append(Mount(MountType.TMPFS, "", target, tmpfs_size=mount.size))


def _secret(
    work: Workspace,
    stage: int,
    state: StageState,
    mount: RunMount,
    prepared: PreparedMounts,
    made: list[Path],
) -> None:
    """A file at /run/secrets/ID, or a variable; only whether it is asked for is in the key."""
    del stage
    name = mount.id or posixpath.basename(mount.target)
    as_file = bool(mount.target) or not mount.env
    target = posixpath.normpath(posixpath.join(state.working_dir, mount.target or f"{_SECRETS}/{name}"))
    prepared.definition.append(["secret", name, target if as_file else "", mount.env])
    secret = next((item for item in work.options.secrets if item.id == name), None)
    if secret is None:
        if mount.required:
            raise MountError(f"secret {name} is required and was not given: --secret id={name},src=FILE")
        return
    value = secret_bytes(secret)
    if mount.env:
        prepared.environment[mount.env] = value.decode("utf-8", "surrogateescape")
    if as_file:
        place = work.new_path("secret")
        made.append(place)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            os.fchown(file.fileno(), mount.uid, mount.gid)
            os.fchmod(file.fileno(), 0o400 if mount.mode is None else mount.mode)
        prepared.mounts.append(Mount(MountType.BIND, str(place), target, read_only=True))


def _ssh(
    work: Workspace,
    stage: int,
    state: StageState,
    mount: RunMount,
    prepared: PreparedMounts,
    made: list[Path],
) -> None:
    """A socket of the step's own user, behind which the caller's agent answers."""
    del stage, made
    name = mount.id or "default"
    number = sum(1 for item in prepared.definition if isinstance(item, list) and item[0] == "ssh")
    target = _target(state, mount, f"/run/buildkit/ssh_agent.{number}")
    prepared.definition.append(["ssh", name, target])
    given = work.options.ssh.get(name)
    if given is None:
        if mount.required:
            raise MountError(f"ssh agent {name} is required and was not given: --ssh {name}")
        return
    from runtime.build.ssh_agent import AgentProxy
    from runtime.build.ssh_keys import KeyAgent, is_agent

    agent = given[0]
    if not is_agent(given):
        keys = KeyAgent(name, given, work.new_path("keys"))
        prepared.agents.append(keys)
        agent = keys.socket
    place = work.new_path("agent")
    prepared.agents.append(
        AgentProxy(agent, place, 0o600 if mount.mode is None else mount.mode, mount.uid, mount.gid)
    )
    prepared.mounts.append(Mount(MountType.BIND, str(place), target))
    prepared.environment.setdefault("SSH_AUTH_SOCK", target)


_PREPARERS = {"bind": _bind, "cache": _cache, "tmpfs": _tmpfs, "secret": _secret, "ssh": _ssh}
