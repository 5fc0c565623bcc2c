"""TLS with an authority of our own, client certificates, passwords, credential helpers: docker-registry."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import Denied, EngineError, Failed, NotFound, Unavailable
from tests.interop.registry_lab import PASSWORD, USER, Registry, make_image, registry

pytestmark = pytest.mark.engine
NAME = "registry.test"
"""Not localhost: that one would be trusted without TLS."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("guarded"), tls=True, password=True, name=NAME) as made:
        yield made


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords of this test alone; the registry's name resolves in this process alone."""
    import socket

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: object, **options: object) -> object:
        return real("127.0.0.1" if host == NAME else host, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def certificates(tmp_path: Path, server: Registry, *, client: bool = False) -> tuple[str, ...]:
    directory = tmp_path / "certs.d" / server.host
    directory.mkdir(parents=True)
    shutil.copy(server.directory / "ca.crt", directory / "ca.crt")
    if client:
        shutil.copy(server.directory / "client.crt", directory / "client.cert")
        shutil.copy(server.directory / "client.key", directory / "client.key")
    return (str(tmp_path / "certs.d"),)


def reopened(engine: Engine, **settings: tuple[str, ...]) -> Engine:
    return Engine(engine.context.paths.state, config=Config(**settings))  # type: ignore[arg-type]  # by name


def test_an_unknown_authority_is_refused_with_what_to_do(fresh_engine: Engine, guarded: Registry) -> None:
    with pytest.raises(Unavailable, match="its certificate is not trusted") as caught:
        fresh_engine.images.pull(f"{guarded.host}/app")
    assert caught.value.hint and f"certs.d/{guarded.host}/ca.crt" in caught.value.hint


def test_login_push_and_pull_over_tls(fresh_engine: Engine, guarded: Registry, tmp_path: Path) -> None:
    engine = reopened(fresh_engine, registry_certs_dirs=certificates(tmp_path, guarded))
    name = f"{guarded.host}/app:1"
    make_image(engine, name, salt="tls")
    with pytest.raises(Denied, match="push access denied") as caught:
        engine.images.push(name)
    assert caught.value.hint == f"tuidock login {guarded.host}"
    with pytest.raises(Denied, match="incorrect username or password"):
        engine.registry.login(guarded.host, username=USER, password="wrong")
    path = engine.registry.login(guarded.host, username=USER, password=PASSWORD)
    assert os.stat(path).st_mode & 0o777 == 0o600
    stored = json.loads(Path(path).read_text())["auths"][guarded.host]["auth"]
    assert base64.b64decode(stored).decode() == f"{USER}:{PASSWORD}"
    [pushed] = engine.images.push(name)
    engine.images.remove(name, force=True)
    assert engine.images.pull(name)[0].digest == pushed.digest
    assert engine.registry.known_user(guarded.host) == USER
    assert engine.registry.logout(guarded.host)
    assert not engine.registry.logout(guarded.host)
    with pytest.raises(Denied):
        engine.images.pull(name)
    engine.close()


def test_an_insecure_registry_needs_no_authority(fresh_engine: Engine, guarded: Registry) -> None:
    engine = reopened(fresh_engine, insecure_registries=(guarded.host,))
    engine.registry.login(guarded.host, username=USER, password=PASSWORD)
    with pytest.raises(NotFound):
        engine.images.pull(f"{guarded.host}/nothing")
    engine.close()


def test_plain_http_is_refused_unless_the_settings_allow_it(fresh_engine: Engine, tmp_path: Path) -> None:
    with registry(tmp_path / "plain", name=NAME) as plain:
        name = f"{plain.host}/app:1"
        with pytest.raises(Unavailable, match="speaks plain HTTP, not TLS") as caught:
            fresh_engine.images.pull(name)
        assert caught.value.hint and "insecure-registries" in caught.value.hint
        engine = reopened(fresh_engine, insecure_registries=("127.0.0.0/8",))
        make_image(engine, name, salt="plain")
        engine.images.push(name)
        engine.close()


def test_a_client_certificate_is_shown(fresh_engine: Engine, tmp_path: Path) -> None:
    with registry(tmp_path / "own", tls=True, client=True, name=NAME) as server:
        name = f"{server.host}/app:1"
        make_image(fresh_engine, name, salt="client")
        engine = reopened(fresh_engine, registry_certs_dirs=certificates(tmp_path / "a", server))
        with pytest.raises(EngineError) as caught:
            engine.images.push(name)
        assert "client certificate" in caught.value.message
        engine.close()
        engine = reopened(fresh_engine, registry_certs_dirs=certificates(tmp_path / "b", server, client=True))
        engine.images.push(name)
        engine.close()


HELPER = """#!{python}
import json, sys, pathlib
store = pathlib.Path({store!r})
known = json.loads(store.read_text()) if store.exists() else {{}}
verb, text = sys.argv[1], sys.stdin.read()
if verb == "store":
    item = json.loads(text)
    known[item["ServerURL"]] = item
elif verb == "erase":
    known.pop(text.strip(), None)
elif text.strip() not in known:
    print("credentials not found in native keychain")
    sys.exit(1)
else:
    print(json.dumps(known[text.strip()]))
store.write_text(json.dumps(known))
"""


def test_a_credential_helper_keeps_the_password(
    fresh_engine: Engine, guarded: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = reopened(fresh_engine, registry_certs_dirs=certificates(tmp_path, guarded))
    program = tmp_path / "bin/docker-credential-ours"
    program.parent.mkdir()
    program.write_text(HELPER.format(python=sys.executable, store=str(tmp_path / "store.json")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    config = tmp_path / "docker/config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"credHelpers": {guarded.host: "ours"}, "HttpHeaders": {"X": "kept"}}))
    assert engine.registry.login(guarded.host, username=USER, password=PASSWORD) == ""
    document = json.loads(config.read_text())
    assert document["HttpHeaders"] == {"X": "kept"}
    assert PASSWORD not in config.read_text() and document["auths"] == {guarded.host: {}}
    name = f"{guarded.host}/helped:1"
    make_image(engine, name, salt="helped")
    engine.images.push(name)
    assert engine.registry.logout(guarded.host)
    with pytest.raises(Denied):
        engine.images.pull(name)
    program.unlink()
    with pytest.raises(Failed, match="docker-credential-ours is not installed"):
        engine.images.pull(name)
    engine.close()


def test_what_docker_login_wrote_is_read(
    fresh_engine: Engine, guarded: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """skopeo writes the same file (docker needs its daemon to log in)."""
    config = tmp_path / "docker/config.json"
    subprocess.run(
        ["skopeo", "login", "--tls-verify=false", "--authfile", str(config), "-u", USER, "--password-stdin",
         f"localhost:{guarded.port}"],
        input=PASSWORD, text=True, check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(NotFound):
        fresh_engine.images.pull(f"localhost:{guarded.port}/nothing")
