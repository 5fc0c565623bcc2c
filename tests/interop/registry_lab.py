"""Debian's docker-registry (package docker-registry), open or with TLS and passwords, and images for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runtime.engine import Engine
from runtime.images.create import create_image
from runtime.images.layers import adopt_layer, temporary_directory
from runtime.model.image import Image, ImageConfig

__all__ = ["PASSWORD", "USER", "Registry", "authority", "make_image", "registry"]

USER, PASSWORD = "me", "pass word:1"


@dataclass
class Registry:
    """``host`` is "localhost:PORT". ``stop`` kills it as a crash would; ``start`` brings it back."""

    directory: Path
    port: int
    name: str
    process: subprocess.Popen[bytes] | None = None
    options: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"{self.name}:{self.port}"

    def start(self) -> None:
        program = shutil.which("docker-registry")
        assert program is not None, "needs docker-registry (Debian: docker-registry); `make test` installs it"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "serve", str(self.directory / "config.yml")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
            time.sleep(0.02)
        raise AssertionError("docker-registry does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def requests(self) -> list[str]:
        """Method and path of what it was asked, in order."""
        found = []
        for line in (self.directory / "log").read_text(errors="replace").splitlines():
            if "http.request.method=" in line and "response completed" in line:
                method = line.partition("http.request.method=")[2].split()[0]
                path = line.partition("http.request.uri=")[2].split()[0].strip('"')
                found.append(f"{method} {path}")
        return found

    def blob_path(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self.directory / f"store/docker/registry/v2/blobs/{algorithm}/{encoded[:2]}/{encoded}/data"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def authority(directory: Path, name: str = "localhost") -> None:
    """``ca.crt``, and ``server.crt`` with ``server.key`` for ``name`` that it signed, by openssl(1)."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=our own")
    for who, extra in (
        ("server", f"subjectAltName=DNS:{name},IP:127.0.0.1"),
        ("client", "keyUsage=digitalSignature"),
    ):
        openssl("req", *key, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={name}")
        (directory / "extensions").write_text(extra)
        openssl(
            "x509", "-req", "-in", f"{who}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{who}.crt", "-days", "2", "-extfile", "extensions",
        )  # fmt: skip


@contextmanager
def registry(
    directory: Path,
    *,
    tls: bool = False,
    client: bool = False,
    password: bool = False,
    name: str = "localhost",
) -> Iterator[Registry]:
    """One that listens on the loopback; everything of it is below ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    config = [
        "version: 0.1",
        "log: {level: info}",
        "storage:",
        f"  filesystem: {{rootdirectory: {directory}/store}}",
        "  delete: {enabled: true}",
        "http:",
        f"  addr: 127.0.0.1:{port}",
    ]
    if tls:
        authority(directory, name)
        config += ["  tls:", f"    certificate: {directory}/server.crt", f"    key: {directory}/server.key"]
        if client:
            config += ["    clientcas:", f"      - {directory}/ca.crt"]
    if password:
        hashed = subprocess.run(
            ["htpasswd", "-nbB", "-C", "4", USER, PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        (directory / "htpasswd").write_text(f"{hashed}\n")
        config += ["auth:", "  htpasswd:", "    realm: test", f"    path: {directory}/htpasswd"]
    (directory / "config.yml").write_text("\n".join(config) + "\n")
    made = Registry(directory, port, name)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def make_image(engine: Engine, *refs: str, layers: int = 2, size: int = 3000, salt: str = "") -> Image:
    """Layers with what file systems have: hard links, set-uid, xattrs, times, a removed file, odd names."""
    context = engine.context
    diff_ids = []
    for number in range(layers):
        root = temporary_directory(context)
        (root / "dir").mkdir(mode=0o750)
        file = root / f"dir/file{number}"
        file.write_bytes((f"{salt}{number}" * size).encode()[:size])
        os.link(file, root / "dir/hard")
        (root / "dir/link").symlink_to(f"file{number}")
        program = root / "program"
        program.write_text(f"#!{number}")
        os.chown(program, 1000 + number, 7)
        program.chmod(0o4755)
        os.setxattr(program, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        os.utime(program, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
        (root / "ünï cödé").write_text("")
        os.mkfifo(root / "fifo")
        if number:
            os.mknod(root / "gone", 0o20000, 0)
        diff_ids.append(adopt_layer(context, root).diff_id)
    config = ImageConfig(cmd=("sh", "-c", f"echo {salt}"), env=("A=1",), labels={"salt": salt})
    return create_image(context, config=config, layers=diff_ids, refs=list(refs))
