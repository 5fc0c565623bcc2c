"""Engine: the one facade. It binds a Context to the verbs and holds no logic.

Each method loads its verb's module when called, so that a command pays only for what it uses. All verbs
are synchronous and may be called from any thread; long ones take ``progress`` and ``cancel``.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from runtime.context import Context

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.build.options import BuildOptions, BuildResult, BuildWarning
    from runtime.build.prune import CacheRecord
    from runtime.config import Config
    from runtime.containers.diff import Change
    from runtime.containers.logs import LogEntry, LogFollower, LogWatch
    from runtime.containers.session import Session
    from runtime.errors import EngineError
    from runtime.images.registry.pull import Pulled
    from runtime.images.registry.push import Pushed
    from runtime.images.registry.search import SearchResult
    from runtime.model.container import (
        Container,
        ContainerConfig,
        NetworkAttachment,
        Resources,
        RestartPolicy,
    )
    from runtime.model.event import CancelEvent, Event, ProgressCallback
    from runtime.model.finding import Finding
    from runtime.model.image import Image, ImageSummary
    from runtime.model.network import Network
    from runtime.model.selection import Selection
    from runtime.model.stats import ContainerStats
    from runtime.model.volume import Volume
    from runtime.services.project import Project, ServiceStatus, UpOptions

__all__ = ["Engine"]


class Engine:
    """``Engine(root)`` opens the root (default: ``TUIDOCK_ROOT``, else the system's)."""

    def __init__(self, root: str | os.PathLike[str] | None = None, *, config: Config | None = None) -> None:
        self.context = Context.open(root, config)

    @cached_property
    def containers(self) -> Containers:
        from runtime.containers.reconcile import repair

        repair(self.context)
        return Containers(self.context)

    @cached_property
    def images(self) -> Images:
        from runtime.images.sweep import sweep

        if not self.context.db.read_only:
            sweep(self.context)
            if any(path.name.startswith(".tmp-") for path in self.context.paths.build.iterdir()):
                from runtime.build.sweep import sweep as sweep_builds

                sweep_builds(self.context)
        return Images(self.context)

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.context)

    @cached_property
    def networks(self) -> Networks:
        from runtime.containers.rewire import finish_dead
        from runtime.network.sweep import mend

        if not self.context.db.read_only:
            mend(self.context)
            finish_dead(self.context)
        return Networks(self.context)

    @cached_property
    def volumes(self) -> Volumes:
        from runtime.volumes.sweep import sweep

        if not self.context.db.read_only:
            sweep(self.context)
        return Volumes(self.context)

    @cached_property
    def services(self) -> Services:
        return Services(self.context)

    @cached_property
    def builder(self) -> Builder:
        return Builder(self.context)

    @cached_property
    def events(self) -> Events:
        return Events(self.context)

    @cached_property
    def system(self) -> System:
        return System(self.context)

    def build(
        self,
        options: BuildOptions,
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> BuildResult:
        """Build an image from a Dockerfile."""
        from runtime.build.build import build

        return build(self.context, options, progress=progress, cancel=cancel)

    def check_build(self, options: BuildOptions) -> tuple[BuildWarning, ...]:
        """What docker's build checks say of a Dockerfile; nothing is built."""
        from runtime.build.lint import check_build

        return check_build(self.context, options)

    def warm(self) -> None:
        """Keep a process ready that starts containers faster and lets their monitors share memory.

        For a program that will start several. It ends with :meth:`close` or with us.
        """
        from runtime.containers.launch import Starter

        root = str(self.context.paths.state)
        if root not in Starter.running:
            Starter(root)

    def close(self) -> None:
        """Close this thread's database connection and end the warm starter, if there is one."""
        self._end_starter()
        self.context.db.close()

    def leave(self) -> None:
        """The same, quicker, for a process that ends at once: see
        :meth:`runtime.store.database.Database.leave`."""
        self._end_starter()
        self.context.db.leave()

    def _end_starter(self) -> None:
        import sys

        launch = sys.modules.get("runtime.containers.launch")
        if launch is not None:
            starter = launch.Starter.running.get(str(self.context.paths.state))
            if starter is not None:
                starter.close()


class _Verbs:
    def __init__(self, context: Context) -> None:
        self._context = context


class Containers(_Verbs):
    def prepare(self) -> None:
        """A container is about to be started: begin to load its monitor meanwhile.

        For commands that start one. A monitor that gets no container ends with this process.
        """
        from runtime.containers.launch import Prepared

        Prepared(str(self._context.paths.state))

    def create(self, config: ContainerConfig, *, name: str | None = None) -> Container:
        """Raises NotFound (image), Conflict (name), InvalidInput."""
        from runtime.containers.create import create

        return create(self._context, config, name=name)

    def start(self, reference: str, *, attach: bool = False, attach_stdin: bool = False) -> Session | None:
        """Returns a Session when ``attach``; it is connected before the first instruction runs."""
        from runtime.containers.start import start

        return start(self._context, reference, attach=attach, attach_stdin=attach_stdin)

    def run(self, config: ContainerConfig, *, name: str | None = None) -> Container:
        """``create`` and ``start`` detached; a container that cannot be started is removed again when
        ``auto_remove``, else kept as docker keeps it."""
        from runtime.containers.run import run

        return run(self._context, config, name=name)

    def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        from runtime.containers.stop import stop

        stop(self._context, reference, timeout=timeout, signal=signal)

    def kill(self, reference: str, *, signal: str = "SIGKILL") -> None:
        from runtime.containers.kill import kill

        kill(self._context, reference, signal=signal)

    def restart(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        from runtime.containers.restart import restart

        restart(self._context, reference, timeout=timeout, signal=signal)

    def pause(self, reference: str) -> None:
        from runtime.containers.pause import pause

        pause(self._context, reference)

    def unpause(self, reference: str) -> None:
        from runtime.containers.pause import unpause

        unpause(self._context, reference)

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        from runtime.containers.remove import remove

        remove(self._context, reference, force=force, volumes=volumes)

    def rename(self, reference: str, name: str) -> None:
        from runtime.containers.rename import rename

        rename(self._context, reference, name)

    def list(self, *, all: bool = False) -> builtins.list[Container]:
        """Newest first; running ones only unless ``all``. Reconciles what has died unseen."""
        from runtime.containers.list import list_containers

        return list_containers(self._context, all=all)

    def get(self, reference: str) -> Container:
        """By name, id or unique prefix; reconciled."""
        from runtime.containers.list import get_container

        return get_container(self._context, reference)

    def inspect(self, reference: str) -> dict[str, Any]:
        """docker's inspect document."""
        from runtime.containers.inspect import inspect

        return inspect(self._context, reference)

    def logs(
        self,
        reference: str,
        *,
        tail: int | None = None,
        since: int | None = None,
        until: int | None = None,
        follow: bool = False,
        cancel: CancelEvent | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> Iterator[LogEntry]:
        """Lines, oldest first. ``since`` and ``until`` are times in nanoseconds. With ``follow``, ends when
        the container has ended (and will not be restarted) or ``cancel`` is set. ``warn`` hears, at the
        end, of a damaged log and of output that was lost."""
        from runtime.containers.logs import logs

        return logs(
            self._context, reference, tail=tail, since=since, until=until, follow=follow, cancel=cancel,
            warn=warn,
        )  # fmt: skip

    def log_bytes(
        self,
        reference: str,
        *,
        tail: int | None = None,
        since: int | None = None,
        follow: bool = False,
        cancel: CancelEvent | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """The same as (stream, bytes) in the order of writing, lines not looked at."""
        from runtime.containers.logs import log_bytes

        return log_bytes(self._context, reference, tail=tail, since=since, follow=follow, cancel=cancel)

    def copy_logs(
        self,
        reference: str,
        targets: Mapping[int, int],
        *,
        tail: int | None = None,
        since: int | None = None,
        follow: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """The same bytes into descriptors, by stream (1, 2), inside the kernel: the fast way through."""
        from runtime.containers.logs import copy_logs

        copy_logs(self._context, reference, targets, tail=tail, since=since, follow=follow, warn=warn)

    def log_details(self, reference: str) -> dict[str, str]:
        """The labels, variables and tag that ``--log-opt`` names, by name."""
        from runtime.model.log_options import log_details

        return log_details(self.get(reference))

    def log_follower(
        self, reference: str, *, tail: int | None = None, since: int | None = None
    ) -> LogFollower:
        """A container's log for a viewer: no thread, polled by the caller. It begins at the beginning, or
        ``tail`` lines before the end, or at the time ``since`` (nanoseconds)."""
        from runtime.containers.logs import follower

        return follower(self._context, reference, tail=tail, since=since)

    def log_watch(self) -> LogWatch:
        """Wakes who polls followers when there is something to read."""
        from runtime.containers.logs import LogWatch

        return LogWatch(self._context)

    def exec(
        self,
        reference: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        detach: bool = False,
        env: Iterable[str] = (),
        user: str = "",
        working_dir: str = "",
        privileged: bool = False,
    ) -> Session | None:
        """Raises NotFound, Conflict (not running), CommandNotFound, CommandNotRunnable."""
        from runtime.containers.exec import exec_

        return exec_(
            self._context,
            reference,
            argv,
            tty=tty,
            stdin=stdin,
            detach=detach,
            env=env,
            user=user,
            working_dir=working_dir,
            privileged=privileged,
        )

    def attach(self, reference: str, *, stdin: bool = True) -> Session:
        from runtime.containers.attach import attach

        return attach(self._context, reference, stdin=stdin)

    def wait(self, reference: str, *, cancel: CancelEvent | None = None) -> int:
        """The exit code, once the container is not running."""
        from runtime.containers.wait import wait

        return wait(self._context, reference, cancel=cancel)

    def stats(self, references: Iterable[str] | None = None) -> builtins.list[ContainerStats]:
        """One sample of each (all that run, when None). Cheap: some reads of cgroup files a container."""
        from runtime.containers.stats import stats

        return stats(self._context, references)

    def top(
        self, reference: str, options: Sequence[str] = (), *, tell: bool = False
    ) -> builtins.list[dict[str, str]]:
        """The container's processes as seen from the host: UID PID PPID C STIME TTY TIME CMD, or what ps's
        ``options`` ask for. ``tell`` makes an event of it, as docker does."""
        from runtime.containers.top import top

        return top(self._context, reference, options, tell=tell)

    def copy_from(
        self,
        reference: str,
        path: str,
        target: str | os.PathLike[str] | IO[bytes],
        *,
        archive: bool = False,
        follow_link: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> int:
        """``path`` of a container, running or not, to a path of the host (docker's rules for what exists,
        what does not and slashes at the end) or, as a tar, to a stream; the bytes of tar."""
        from runtime.containers.copy import copy_from

        return copy_from(
            self._context,
            reference,
            path,
            target,
            archive=archive,
            follow_link=follow_link,
            progress=progress,
            cancel=cancel,
        )

    def copy_to(
        self,
        reference: str,
        source: str | os.PathLike[str] | IO[bytes],
        path: str,
        *,
        archive: bool = False,
        follow_link: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> int:
        """A path of the host, or a tar out of a stream, to ``path`` of a container; the bytes of tar."""
        from runtime.containers.copy import copy_to

        return copy_to(
            self._context,
            reference,
            source,
            path,
            archive=archive,
            follow_link=follow_link,
            progress=progress,
            cancel=cancel,
        )

    def diff(self, reference: str) -> builtins.list[Change]:
        """What it changed against its image: A (added), C (changed), D (deleted)."""
        from runtime.containers.diff import diff

        return diff(self._context, reference)

    def commit(
        self,
        reference: str,
        target: str | None = None,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
        cancel: CancelEvent | None = None,
    ) -> str:
        """An image out of a container's changes, named ``target``; its id. A running container is paused
        meanwhile, unless told otherwise."""
        from runtime.containers.commit import commit

        return commit(
            self._context,
            reference,
            target,
            author=author,
            message=message,
            changes=changes,
            pause=pause,
            cancel=cancel,
        )

    def export(
        self,
        reference: str,
        target: IO[bytes],
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        """The container's own file system as a tar, without volumes and other mounts."""
        from runtime.containers.export import export

        export(self._context, reference, target, progress=progress, cancel=cancel)

    def prune(
        self, *, labels: Sequence[str] = (), without: Sequence[str] = (), until: int | None = None
    ) -> tuple[builtins.list[str], int]:
        """Remove what does not run: (ids, bytes freed). ``labels`` ("NAME" or "NAME=VALUE") must be there,
        ``without`` must not; ``until`` (nanoseconds) keeps what was created later."""
        from runtime.containers.prune import prune

        return prune(self._context, labels=labels, without=without, until=until)

    def update(
        self, reference: str, *, resources: Resources | None = None, restart: RestartPolicy | None = None
    ) -> builtins.list[str]:
        """Change limits (those that are not None) and the restart policy, at once when it runs; what this
        machine cannot enforce, in words."""
        from runtime.containers.update import update

        return update(self._context, reference, resources=resources, restart=restart)


class Images(_Verbs):
    def list(self, *, all: bool = False) -> builtins.list[ImageSummary]:
        from runtime.images.list import list_images

        return list_images(self._context, all=all)

    def get(self, reference: str) -> Image:
        """By reference, id or unique id prefix. Raises NotFound, InvalidInput."""
        from runtime.images.list import get_image

        return get_image(self._context, reference)

    def inspect(self, reference: str) -> dict[str, Any]:
        """docker's image inspect document."""
        from runtime.images.inspect import inspect

        return inspect(self._context, reference)

    def tag(self, source: str, target: str) -> None:
        from runtime.images.tag import tag

        tag(self._context, source, target)

    def remove(
        self, reference: str, *, force: bool = False, prune: bool = True
    ) -> builtins.list[dict[str, str]]:
        """docker's rows, in order: {"Untagged": ref} and {"Deleted": id}."""
        from runtime.images.remove import remove

        return remove(self._context, reference, force=force, prune=prune)

    def layer_sizes(self) -> dict[str, dict[str, int]]:
        """Image id to {diff id: bytes} of its layers, lowest first."""
        from runtime.images.list import layer_sizes

        return layer_sizes(self._context)

    def history(self, reference: str) -> Image:
        """The image with its ``history`` sizes filled in."""
        from runtime.images.list import get_image

        return get_image(self._context, reference, history_sizes=True)

    def load(
        self,
        source: IO[bytes],
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> builtins.list[str]:
        """docker's and OCI's archives (plain, gzip or zstd); returns the references or ids loaded."""
        from runtime.images.load import load

        return load(self._context, source, progress=progress, cancel=cancel)

    def save(
        self,
        references: Sequence[str],
        target: IO[bytes],
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        """One tar with both ``manifest.json`` (docker) and ``index.json`` (OCI)."""
        from runtime.images.save import save

        save(self._context, references, target, progress=progress, cancel=cancel)

    def import_(
        self,
        source: IO[bytes],
        reference: str | None = None,
        *,
        message: str = "",
        changes: Sequence[str] = (),
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> str:
        """A root file system tar becomes an image; returns its id."""
        from runtime.images.import_ import import_

        return import_(
            self._context,
            source,
            reference,
            message=message,
            changes=changes,
            progress=progress,
            cancel=cancel,
        )

    def bootstrap(
        self,
        name: str = "base:latest",
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> str:
        """Assemble the base image out of the machine's own files; returns its id."""
        from runtime.images.bootstrap import bootstrap

        return bootstrap(self._context, name, progress=progress, cancel=cancel)

    def pull(
        self,
        reference: str,
        *,
        platform: str = "",
        all_tags: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> builtins.list[Pulled]:
        """Bring an image (or every tag of its repository) from its registry or a mirror."""
        from runtime.images.registry.pull import pull

        return pull(
            self._context, reference, platform=platform, all_tags=all_tags, progress=progress, cancel=cancel
        )

    def push(
        self,
        reference: str,
        *,
        all_tags: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> builtins.list[Pushed]:
        """Send an image (or every tag of its repository) to its registry."""
        from runtime.images.registry.push import push

        return push(self._context, reference, all_tags=all_tags, progress=progress, cancel=cancel)

    def ensure(
        self,
        reference: str,
        *,
        platform: str = "",
        policy: str = "missing",
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> Image:
        """The image, pulled when the policy (always, missing, never) says so."""
        from runtime.images.ensure import ensure_image

        return ensure_image(
            self._context, reference, platform=platform, policy=policy, progress=progress, cancel=cancel
        )

    def prune(
        self, *, all: bool = False, selection: Selection | None = None
    ) -> tuple[builtins.list[str], int]:
        """Remove dangling (or all unused) images; (ids, bytes reclaimed)."""
        from runtime.images.remove import prune

        return prune(self._context, all=all, selection=selection)


class Registry(_Verbs):
    """Logins and searching; passwords are kept where docker keeps them."""

    def login(
        self, server: str = "", *, username: str = "", password: str = "", cancel: CancelEvent | None = None
    ) -> str:
        """Try a password (without a user: the one that is kept) and keep it; the file that it went to."""
        from runtime.images.registry.login import login

        return login(self._context, server, username=username, password=password, cancel=cancel)

    def logout(self, server: str = "") -> bool:
        """False when nobody was logged in."""
        from runtime.images.registry.login import logout

        return logout(server)

    def known_user(self, server: str = "") -> str:
        """Who is logged in; "" for nobody."""
        from runtime.images.registry.login import known_user

        return known_user(server)

    def search(self, term: str, *, limit: int = 25, cancel: CancelEvent | None = None) -> list[SearchResult]:
        """Raises Unavailable where the registry does not offer it."""
        from runtime.images.registry.search import search

        return search(self._context, term, limit=limit, cancel=cancel)


class Networks(_Verbs):
    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnet: str | None = None,
        gateway: str | None = None,
        internal: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Network:
        from runtime.network.create import create

        return create(
            self._context,
            name,
            driver=driver,
            subnet=subnet,
            gateway=gateway,
            internal=internal,
            labels=labels,
            options=options,
        )

    def list(self) -> builtins.list[Network]:
        """With docker's three built-in ones: bridge, host, none."""
        from runtime.network.list import list_networks

        return list_networks(self._context)

    def get(self, reference: str) -> Network:
        from runtime.network.list import get_network

        return get_network(self._context, reference)

    def inspect(self, reference: str) -> dict[str, Any]:
        from runtime.network.list import inspect

        return inspect(self._context, reference)

    def remove(self, reference: str) -> None:
        """Raises Conflict while it has endpoints."""
        from runtime.network.remove import remove

        remove(self._context, reference)

    def connect(self, reference: str, attachment: NetworkAttachment) -> None:
        """Put a container on one more network, at once where it runs."""
        from runtime.containers.rewire import connect

        connect(self._context, reference, attachment)

    def disconnect(self, network: str, reference: str, *, force: bool = False) -> None:
        from runtime.containers.rewire import disconnect

        disconnect(self._context, network, reference, force=force)

    def prune(self, *, selection: Selection | None = None) -> builtins.list[str]:
        from runtime.network.remove import prune

        return prune(self._context, selection=selection)


class Volumes(_Verbs):
    def create(
        self,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """``options`` are docker's local driver's: type, device and o. Raises InvalidInput."""
        from runtime.volumes.volumes import create

        return create(self._context, name, labels=labels, options=options)

    def list(self) -> builtins.list[Volume]:
        from runtime.volumes.volumes import list_volumes

        return list_volumes(self._context)

    def get(self, name: str) -> Volume:
        from runtime.volumes.volumes import get

        return get(self._context, name)

    def remove(self, name: str, *, force: bool = False) -> None:
        from runtime.volumes.volumes import remove

        remove(self._context, name, force=force)

    def prune(
        self, *, all: bool = False, selection: Selection | None = None
    ) -> tuple[builtins.list[str], int]:
        from runtime.volumes.volumes import prune

        return prune(self._context, all=all, selection=selection)


class Services(_Verbs):
    """Compose projects. A Project is loaded from files or, for what runs, from container labels."""

    def load(
        self,
        files: Sequence[Path] = (),
        *,
        project_name: str | None = None,
        project_directory: Path | None = None,
        env_files: Sequence[Path] = (),
        profiles: Sequence[str] = (),
        on_warning: Callable[[str], None] | None = None,
    ) -> Project:
        """Find, interpolate, merge and check the compose files. Raises InvalidInput with file and line."""
        from runtime.services.project import load

        return load(
            files,
            project_name=project_name,
            project_directory=project_directory,
            env_files=env_files,
            profiles=profiles,
            on_warning=on_warning,
        )

    def up(
        self,
        project: Project,
        options: UpOptions | None = None,
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        from runtime.services.up import up

        up(self._context, project, options, progress=progress, cancel=cancel)

    def build(
        self,
        project: Project,
        services: Sequence[str] = (),
        *,
        build_args: Mapping[str, str] | None = None,
        no_cache: bool = False,
        pull: bool = False,
        push: bool = False,
        dependencies: bool = False,
        memory: int | None = None,
        ssh: Mapping[str, tuple[Path, ...]] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> dict[str, str]:
        """Build the images of the named services (all, when none is) that have a ``build``; name to id.
        ``memory`` limits their RUN instructions, in bytes; ``ssh`` maps names to agents' sockets."""
        from runtime.services.build import build

        return build(
            self._context,
            project,
            services,
            build_args=build_args or {},
            no_cache=no_cache,
            pull=pull,
            push=push,
            dependencies=dependencies,
            memory=memory,
            ssh=ssh,
            progress=progress,
            cancel=cancel,
        )

    def pull(
        self,
        project: Project,
        services: Sequence[str] = (),
        *,
        dependencies: bool = False,
        policy: str = "",
        ignore_failures: bool = False,
        ignore_buildable: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        """The images of the services (all, when none is named) out of their registries."""
        from runtime.services.pull import pull

        pull(
            self._context,
            project,
            services,
            dependencies=dependencies,
            policy=policy,
            ignore_failures=ignore_failures,
            ignore_buildable=ignore_buildable,
            progress=progress,
            cancel=cancel,
        )

    def push(
        self,
        project: Project,
        services: Sequence[str] = (),
        *,
        dependencies: bool = False,
        ignore_failures: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        """The images that the project builds, to their registries."""
        from runtime.services.pull import push

        push(
            self._context,
            project,
            services,
            dependencies=dependencies,
            ignore_failures=ignore_failures,
            progress=progress,
            cancel=cancel,
        )

    def create_oneoff(
        self,
        project: Project,
        service: str,
        change: Callable[[ContainerConfig], ContainerConfig],
        *,
        name: str | None = None,
        no_deps: bool = False,
        build: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> Container:
        """``compose run``'s container, with ``change`` applied to the service's configuration, created and
        not started; what the service depends on is up."""
        from runtime.services.oneoff import create_oneoff

        return create_oneoff(
            self._context,
            project,
            service,
            change,
            name=name,
            no_deps=no_deps,
            build=build,
            progress=progress,
            cancel=cancel,
        )

    def down(
        self,
        project_name: str,
        *,
        volumes: bool = False,
        remove_images: str | None = None,
        timeout: int | None = None,
        remove_orphans: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        from runtime.services.down import down

        down(
            self._context,
            project_name,
            volumes=volumes,
            remove_images=remove_images,
            timeout=timeout,
            remove_orphans=remove_orphans,
            progress=progress,
            cancel=cancel,
        )

    def scale(
        self,
        project: Project,
        replicas: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        from runtime.services.scale import scale

        scale(self._context, project, replicas, progress=progress, cancel=cancel)

    def status(self, project_name: str | None = None) -> list[ServiceStatus]:
        """One row a service of one project or of all, from the containers' labels."""
        from runtime.services.status import status

        return status(self._context, project_name)

    def project_containers(self, project_name: str, services: Sequence[str] = ()) -> list[Container]:
        """All containers of a project, running or not, by service and number."""
        from runtime.services.status import project_containers

        return project_containers(self._context, project_name, services)

    def scale_service(
        self,
        project_name: str,
        service: str,
        replicas: int,
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelEvent | None = None,
    ) -> None:
        """Scale a running service by copying what its containers were made from; needs no compose file."""
        from runtime.services.scale import scale_service

        scale_service(self._context, project_name, service, replicas, progress=progress, cancel=cancel)


class Builder(_Verbs):
    """The build cache."""

    def disk_usage(self) -> builtins.list[CacheRecord]:
        """Least recently used first."""
        from runtime.build.prune import disk_usage

        return disk_usage(self._context)

    def prune(
        self,
        records: Sequence[CacheRecord] | None = None,
        *,
        all: bool = False,
        unused_for: int = 0,
        keep: int | None = None,
        free: int | None = None,
    ) -> builtins.list[CacheRecord]:
        """Remove records, the least recently used first; see :func:`runtime.build.prune.prune`."""
        from runtime.build.prune import prune

        return prune(self._context, records, all=all, unused_for=unused_for, keep=keep, free=free)


class Events(_Verbs):
    def since(self, seq: int, *, limit: int = 1000) -> list[Event]:
        """Events after ``seq``, oldest first."""
        from runtime.store.events import since

        return since(self._context.db, seq, limit=limit)

    def last_seq(self) -> int:
        from runtime.store.events import last_seq

        return last_seq(self._context.db)

    @property
    def data_version(self) -> int:
        """Changes when another process (or thread) has committed; costs microseconds to ask."""
        return self._context.db.data_version


class System(_Verbs):
    def info(self) -> dict[str, Any]:
        """docker's info document, with what this kernel lacks under "Warnings"."""
        from runtime.containers.system import info

        return info(self._context)

    def check(self, *, repair: bool = False) -> builtins.list[Finding]:
        """Everything that is not as the database says: statuses, directories, images, links, rules, groups.
        With ``repair`` it is mended. Reads every layer, so it takes its time."""
        from runtime.services.check import check

        return check(self._context, repair=repair)

    def boot(self) -> tuple[builtins.list[Container], builtins.list[tuple[Container, EngineError]]]:
        """After the machine has come up: start what its restart policy wants running. (started, failed)."""
        from runtime.services.boot import boot

        return boot(self._context)

    def release(self) -> bool:
        """Give back what this root holds of the kernel (bridges, firewall rules, cgroups) when no container
        runs; False while one does. What is on the disk stays."""
        from runtime.services.release import release

        return release(self._context)

    def purge(self) -> None:
        """Remove everything of this root from the kernel and the disk: containers, networks, images."""
        from runtime.services.purge import purge

        purge(self._context)
