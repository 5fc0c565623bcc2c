"""Registries through Debian's tinyproxy: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say is what is done."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import EngineError, Unavailable
from tests.interop.registry_lab import Registry, make_image, registry

pytestmark = pytest.mark.engine
NAME = "registry.behind"
"""A name that only the proxy can resolve, as behind a company's."""


class Proxy:
    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def asked(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


@contextmanager
def tinyproxy(directory: Path, *lines: str) -> Iterator[Proxy]:
    """In a mount namespace with hosts of its own."""
    program = shutil.which("tinyproxy")
    assert program is not None, "needs tinyproxy (Debian: tinyproxy-bin); `make test` installs it"
    directory.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (directory / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
    log = directory / "log"
    settings = [f"Port {port}", "Listen 127.0.0.1", f'LogFile "{log}"', "LogLevel Connect", *lines]
    (directory / "conf").write_text("\n".join(settings) + "\n")
    script = f"mount --bind {directory}/hosts /etc/hosts && exec {program} -d -c {directory}/conf"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "tinyproxy ended"
            time.sleep(0.02)
        yield Proxy(port, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("behind"), tls=True, name=NAME) as made:
        yield made


@pytest.fixture
def engine(fresh_engine: Engine, behind: Registry, tmp_path: Path) -> Iterator[Engine]:
    directory = tmp_path / "certs.d" / behind.host
    directory.mkdir(parents=True)
    shutil.copy(behind.directory / "ca.crt", directory / "ca.crt")
    config = Config(registry_certs_dirs=(str(tmp_path / "certs.d"),))
    opened = Engine(fresh_engine.context.paths.state, config=config)
    yield opened
    opened.close()


def there_and_back(engine: Engine, server: Registry) -> None:
    name = f"{server.host}/app:1"
    image = make_image(engine, name, salt="proxy")
    [pushed] = engine.images.push(name)
    engine.images.remove(name, force=True)
    assert engine.images.pull(name)[0].digest == pushed.digest
    assert engine.images.get(name).id == image.id


def test_tls_goes_through_a_tunnel(
    engine: Engine, behind: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match=NAME):
        engine.images.pull(f"{behind.host}/app:1")
    with tinyproxy(tmp_path / "proxy") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        there_and_back(engine, behind)
        assert f"CONNECT {behind.host}" in proxy.asked()


def test_plain_http_is_asked_of_the_proxy(
    fresh_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path / "plain", name=NAME) as plain, tinyproxy(tmp_path / "proxy") as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        config = Config(insecure_registries=(plain.host,))
        engine = Engine(fresh_engine.context.paths.state, config=config)
        there_and_back(engine, plain)
        assert f"GET http://{plain.host}/v2/app/manifests" in proxy.asked()
        engine.close()


def test_the_proxy_wants_a_password(
    engine: Engine, behind: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tinyproxy(tmp_path / "proxy", "BasicAuth me p4ss") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p4ss@127.0.0.1:{proxy.port}")
        there_and_back(engine, behind)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(Unavailable) as caught:
            engine.images.pull(f"{behind.host}/app:1")
        assert "proxy" in f"{caught.value.message} {caught.value.hint}"
        assert "wrong" not in f"{caught.value.message} {caught.value.hint}"


def test_a_proxy_that_is_not_there_is_named(
    engine: Engine, behind: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(Unavailable) as caught:
            engine.images.pull(f"{behind.host}/app:1")
    assert "proxy" in f"{caught.value.message} {caught.value.hint}"


def test_what_no_proxy_names_is_spoken_to_directly(
    engine: Engine, behind: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tinyproxy(tmp_path / "proxy") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", f".elsewhere,{NAME}")
        with pytest.raises(EngineError, match=NAME):  # which we cannot resolve
            engine.images.pull(f"{behind.host}/app:1")
        assert NAME not in proxy.asked()
