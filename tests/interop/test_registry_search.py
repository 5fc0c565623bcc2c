"""Searching: docker's first interface where a registry has it, else the catalog of docker-registry; and
identity tokens, which a small server of ours stands for, since Debian has no registry that gives them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from runtime.engine import Engine
from runtime.errors import Denied, EngineError, InvalidInput, Unavailable
from tests.interop.registry_lab import Registry, make_image, registry

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def test_the_catalog_is_searched(fresh_engine: Engine, server: Registry) -> None:
    for name in ("team/web", "team/webhook", "other"):
        reference = f"{server.host}/{name}:1"
        make_image(fresh_engine, reference, layers=1, salt=name)
        fresh_engine.images.push(reference)
    found = fresh_engine.registry.search(f"{server.host}/web")
    assert [item.name for item in found] == [f"{server.host}/team/web", f"{server.host}/team/webhook"]
    assert [item.name for item in fresh_engine.registry.search(f"{server.host}/web", limit=1)] == [
        f"{server.host}/team/web"
    ]
    assert fresh_engine.registry.search(f"{server.host}/nothing-like-it") == []


def test_what_cannot_be_searched_for(fresh_engine: Engine, server: Registry) -> None:
    with pytest.raises(InvalidInput, match="nothing to search for"):
        fresh_engine.registry.search(f"{server.host}/")
    with pytest.raises(InvalidInput, match="limit 101"):
        fresh_engine.registry.search("x", limit=101)


class _Old(BaseHTTPRequestHandler):
    """/v1/search; and a registry whose token server takes identity tokens alone."""

    results: ClassVar[object] = []
    asked: ClassVar[list[str]] = []
    offers_search = True

    def _answer(self, status: int, document: object, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append(self.path)
        if parts.path == "/v1/search" and self.offers_search:
            self._answer(200, {"results": self.results})
        elif parts.path.startswith("/v2/private/"):
            if self.headers.get("Authorization") == "Bearer good":
                self._answer(404, {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})
                return
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="here",scope="repository:private/app:pull"'
            self._answer(401, {}, WWW_Authenticate=realm)
        elif parts.path == "/v2/":
            self._answer(200, {})
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.asked.append(f"POST {self.path} {sorted(form)}")
        good = form["grant_type"] == ["refresh_token"] and form["refresh_token"] == ["identity"]
        self._answer(200, {"access_token": "good"}) if good else self._answer(401, {})

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Old, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Old)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_dockers_first_interface_is_preferred(
    fresh_engine: Engine, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        {
            "name": "web",
            "description": "two\nlines",
            "star_count": 7,
            "is_official": True,
            "is_automated": False,
        },
        {"name": "me/web", "description": None},
    ]
    monkeypatch.setattr(_Old, "results", results)
    first, second = fresh_engine.registry.search(f"{old}/web", limit=5)
    assert (first.name, first.description, first.stars, first.official) == ("web", "two lines", 7, True)
    assert (second.name, second.description, second.stars, second.official) == ("me/web", "", 0, False)
    assert "/v1/search?q=web&n=5" in _Old.asked


@pytest.mark.parametrize("results", [None, [1], [{"description": "no name"}], {"a": 1}, "text"])
def test_results_that_are_none_are_refused(
    fresh_engine: Engine, old: str, results: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Old, "results", results)
    with pytest.raises(EngineError, match="cannot be read"):
        fresh_engine.registry.search(f"{old}/web")


def test_a_registry_without_a_search_says_so(
    fresh_engine: Engine, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Old, "offers_search", False)
    with pytest.raises(Unavailable, match="does not offer a search"):
        fresh_engine.registry.search(f"{old}/web")


def test_an_identity_token_is_traded_for_a_token(
    fresh_engine: Engine, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `docker login` leaves one in config.json."""
    (tmp_path / "docker").mkdir()
    config = tmp_path / "docker/config.json"
    config.write_text(json.dumps({"auths": {old: {"auth": "bWU6", "identitytoken": "identity"}}}))
    with pytest.raises(EngineError, match="private/app"):  # it is let in, and there is nothing
        fresh_engine.images.pull(f"{old}/private/app:1")
    told = "POST /token ['client_id', 'grant_type', 'refresh_token', 'scope', 'service']"
    assert told in _Old.asked
    config.write_text(json.dumps({"auths": {old: {"auth": "bWU6", "identitytoken": "revoked"}}}))
    with pytest.raises(Denied, match="refused the login"):
        fresh_engine.images.pull(f"{old}/private/app:1")
