"""A large image (800 MB, 27,000 files) loaded, pushed to and pulled from one local registry by everybody.

Each peer has a docker-registry (Debian: docker-registry) in its network namespace. Nothing is warmed up, and
there are two samples of what takes seconds, one of what takes half a minute: three minutes on two cores.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.image_archive import NAME, large_archive
from bench.measure import Row, interleave, timed
from bench.peers import Peer

__all__ = ["measure"]

PORT = 5055


def measure(peers: Mapping[str, Peer], scratch: Path, runs: int) -> list[Row]:
    program = shutil.which("docker-registry")
    if program is None:
        raise RuntimeError("needs docker-registry (Debian: apt-get install docker-registry)")
    archive = large_archive(scratch)
    rounds = min(runs, 2)
    rows = [
        Row(
            "`load`, 800 MB in 27,000 files",
            "ms",
            interleave(_each(peers, lambda peer: _load(peer, archive)), rounds, warm_up=False),
        )
    ]
    for peer in peers.values():
        peer("tag", NAME, _remote(peer))
    with _registries(program, peers, scratch):
        push = _each(peers, lambda peer: _push(peer, scratch))
        rows.append(Row("`push` it to a local registry", "ms", interleave(push, 1, warm_up=False)))
        pull = _each(peers, _pull)
        rows.append(Row("`pull` it from there", "ms", interleave(pull, rounds, warm_up=False)))
    return rows


def _each(peers: Mapping[str, Peer], sample: Callable[[Peer], float]) -> dict[str, Callable[[], float]]:
    def bound(peer: Peer) -> Callable[[], float]:
        return lambda: sample(peer)

    return {name: bound(peer) for name, peer in peers.items()}


def _remote(peer: Peer) -> str:
    return f"localhost:{PORT}/{peer.name}:1"


def _insecure(peer: Peer) -> tuple[str, ...]:
    return ("--tls-verify=false",) if peer.name == "podman" else ()


def _remove(peer: Peer, name: str) -> None:
    try:
        peer("rmi", "-f", name)
    except RuntimeError:
        return


def _load(peer: Peer, archive: Path) -> float:
    _remove(peer, NAME)
    return timed(lambda: peer("load", "-q", "-i", str(archive)))


def _push(peer: Peer, scratch: Path) -> float:
    """To a repository that the registry does not know, from an image as it was loaded."""
    shutil.rmtree(scratch / f"registry-{peer.name}/docker", ignore_errors=True)
    return timed(lambda: peer("push", *_insecure(peer), "-q", _remote(peer)))


def _pull(peer: Peer) -> float:
    _remove(peer, NAME)
    _remove(peer, _remote(peer))
    return timed(lambda: peer("pull", *_insecure(peer), "-q", _remote(peer)))


@contextmanager
def _registries(program: str, peers: Mapping[str, Peer], scratch: Path) -> Iterator[None]:
    """One for each peer, since each sees the loopback of its own network namespace."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for peer in peers.values():
            directory = scratch / f"registry-{peer.name}"
            directory.mkdir()
            config = directory / "config.yml"
            config.write_text(
                "version: 0.1\nlog: {level: error}\n"
                f"storage:\n  filesystem: {{rootdirectory: {directory}}}\n"
                f"http:\n  addr: 127.0.0.1:{PORT}\n"
            )
            command = [*peer.enter, program, "serve", str(config)]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(2)
        for process in running:
            if process.poll() is not None:
                raise RuntimeError(f"docker-registry did not start (is port {PORT} taken?)")
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
