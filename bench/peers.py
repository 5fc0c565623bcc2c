"""tuidock, docker and podman behind one small surface, each with a root of its own that is taken away again.

The peers live in a network namespace of their own (``unshare --net``): dockerd rewrites the machine's
firewall and would leave its bridge. What they do for a container on a bridge stays the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.rootfs import busybox_tar

__all__ = ["IMAGE", "Peer", "available"]

IMAGE = "bench:latest"


@dataclass(frozen=True)
class Peer:
    """``command`` runs it; ``keepers`` are words of the command lines of what stays per container;
    ``daemons`` the pids of what is there without any container; ``run_options`` what this machine needs."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    keepers: tuple[str, ...]
    daemons: tuple[int, ...] = ()
    run_options: tuple[str, ...] = ()
    build_options: tuple[str, ...] = ()
    enter: tuple[str, ...] = ()
    """Runs a program in the peer's network namespace."""

    def __call__(self, *arguments: str, input: bytes | None = None) -> str:
        """Run one command to its end; its standard output. Raises RuntimeError with what it said."""
        done = subprocess.run(
            [*self.command, *arguments], env=self.env, input=input, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"{self.name} {' '.join(arguments)} exited with {done.returncode}: {said}")
        return done.stdout.decode(errors="replace").strip()

    def run(self, *arguments: str) -> str:
        return self("run", *self.run_options, *arguments)


@contextmanager
def available(scratch: Path, wanted: list[str]) -> Iterator[dict[str, Peer]]:
    """Those of ``wanted`` that this machine has, with the image ``bench:latest`` in each."""
    makers = {"tuidock": _tuidock, "docker": _docker, "podman": _podman}
    image = busybox_tar()
    with ExitStack() as stack:
        peers = {}
        for name in wanted:
            directory = scratch / name
            directory.mkdir()
            peer = stack.enter_context(makers[name](directory))
            if peer is not None:
                peer("import", "-", IMAGE, input=image)
                peers[name] = peer
        yield peers


@contextmanager
def _tuidock(directory: Path) -> Iterator[Peer | None]:
    program = Path(sys.executable).with_name("tuidock")
    env = {**os.environ, "TUIDOCK_ROOT": str(directory)}
    peer = Peer("tuidock", (str(program),), env, keepers=(str(directory),))
    yield peer
    from runtime.engine import Engine

    Engine(directory).system.purge()


@contextmanager
def _network_namespace() -> Iterator[int]:
    """A process that keeps a network namespace open, with loopback up; its pid."""
    keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        ours = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{keeper.pid}/ns/net").readlink() == ours:
            time.sleep(0.005)
        subprocess.run(
            ["nsenter", f"--net=/proc/{keeper.pid}/ns/net", "ip", "link", "set", "lo", "up"], check=True
        )
        yield keeper.pid
    finally:
        keeper.kill()
        keeper.wait()


@contextmanager
def _docker(directory: Path) -> Iterator[Peer | None]:
    if not shutil.which("dockerd") or not shutil.which("docker"):
        yield None
        return
    host = f"unix://{directory}/docker.sock"
    with _network_namespace() as keeper, (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                "nsenter", f"--net=/proc/{keeper}/ns/net", "dockerd", "-H", host,
                "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec",
                "--pidfile", f"{directory}/docker.pid", "--userland-proxy=false",
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip
        try:
            env = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(directory)}
            client = Peer("docker", ("docker",), env, keepers=())
            _wait_until_it_answers(client, daemon, directory / "log")
            containerd = next(iter(_children(daemon.pid)), None)
            daemons = (daemon.pid, containerd) if containerd else (daemon.pid,)
            yield Peer(
                "docker",
                ("docker",),
                env,
                keepers=("containerd-shim", str(directory)),
                daemons=daemons,
                enter=("nsenter", f"--net=/proc/{keeper}/ns/net"),
            )
        finally:
            daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()
            _unmount_below(directory)
            _remove_empty_groups("docker")


def _wait_until_it_answers(client: Peer, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        with suppress(RuntimeError):
            client("version")
            return
        if daemon.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"dockerd did not start: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def _podman(directory: Path) -> Iterator[Peer | None]:
    if not shutil.which("podman"):
        yield None
        return
    with _network_namespace() as keeper:
        command = (
            "nsenter", f"--net=/proc/{keeper}/ns/net", "podman",
            "--root", f"{directory}/root", "--runroot", f"{directory}/run", "--tmpdir", f"{directory}/tmp",
            "--network-config-dir", f"{directory}/net", "--cgroup-manager", "cgroupfs",
            "--events-backend", "file", "--runtime", "runc",
        )  # fmt: skip
        limits = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096")
        peer = Peer(
            "podman",
            command,
            dict(os.environ),
            keepers=("conmon", str(directory)),
            run_options=limits,
            build_options=limits,
            enter=("nsenter", f"--net=/proc/{keeper}/ns/net"),
        )
        try:
            yield peer
        finally:
            with suppress(RuntimeError):
                peer("rm", "-af", "-t", "0")
            _unmount_below(directory)
            _remove_empty_groups("libpod_parent")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)


def _remove_empty_groups(name: str) -> None:
    """The parent cgroup that a peer leaves; one that is in use stays, since rmdir(2) refuses it."""
    for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for group in sorted((hierarchy / name).glob("**/"), reverse=True):
            with suppress(OSError):
                group.rmdir()
