"""Compose projects on the real kernel: up, converge, balance, scale, wait, down."""

from __future__ import annotations

import http.client
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import Conflict, EngineError, Failed, InvalidInput, NotFound
from runtime.model.container import Container, ContainerStatus
from runtime.model.event import Progress
from runtime.model.service import UpOptions
from runtime.services.project import Project

pytestmark = pytest.mark.engine

SLEEP = "command: [sleep, '1000']\n    stop_grace_period: 0s"
SERVER = """command:
      - sh
      - -c
      - 'mkdir /w; hostname > /w/index.html; exec busybox httpd -f -p 80 -h /w'
    stop_signal: SIGKILL"""


@pytest.fixture
def compose(engine: Engine, busybox: str, tmp_path: Path) -> Iterator[Compose]:
    made = Compose(engine, tmp_path)
    yield made
    engine.services.down("p", volumes=True, timeout=0)


class Compose:
    """A project ``p`` in a directory of its own, and what its verbs said."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory
        self.said: list[str] = []

    def load(self, text: str) -> Project:
        (self.directory / "compose.yaml").write_text(text)
        return self.engine.services.load(project_directory=self.directory, project_name="p")

    def up(self, text: str, options: UpOptions | None = None) -> None:
        self.said.clear()
        self.engine.services.up(self.load(text), options, progress=self.listen)

    def listen(self, progress: Progress) -> None:
        self.said.append(f"{progress.id} {progress.stage}")

    def containers(self, *services: str) -> list[Container]:
        return self.engine.services.project_containers("p", services)

    def names(self) -> list[str]:
        return [container.name for container in self.containers()]


def one(service: str, body: str, image: str = "busybox") -> str:
    return f"services:\n  {service}:\n    image: {image}\n    {body}\n"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def free_ports(count: int) -> int:
    """The first of ``count`` free ports in a row."""
    for first in range(20_000, 30_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


def ask(port: int) -> str:
    """The body that the server answers with, once it listens."""
    deadline = time.monotonic() + 5
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode().strip()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def test_up_makes_everything_and_says_so(compose: Compose) -> None:
    compose.up(one("web", f"{SLEEP}\n    scale: 2\n    volumes: [data:/d]") + "volumes:\n  data:\n")
    assert compose.names() == ["p-web-1", "p-web-2"]
    assert all(item.state.status is ContainerStatus.RUNNING for item in compose.containers())
    expected = ["Network p_default Created", "Volume p_data Created"]
    expected += [
        f"Container p-web-{n} {word}" for n in (1, 2) for word in ("Creating", "Created", "Starting")
    ]
    for words in (*expected, "Container p-web-1 Started", "Container p-web-2 Started"):
        assert words in compose.said
    network = compose.engine.networks.get("p_default")
    assert network.labels["com.docker.compose.project"] == "p"
    assert network.labels["com.docker.compose.network"] == "default"
    assert compose.engine.volumes.get("p_data").labels["com.docker.compose.volume"] == "data"
    (row,) = compose.engine.services.status("p")
    assert (row.project, row.service, row.replicas, row.running) == ("p", "web", 2, 2)


def test_a_second_up_changes_nothing(compose: Compose) -> None:
    text = one("web", f"{SLEEP}\n    scale: 2")
    compose.up(text)
    before = [item.id for item in compose.containers()]
    compose.up(text)
    assert [item.id for item in compose.containers()] == before
    assert sorted(compose.said) == ["Container p-web-1 Running", "Container p-web-2 Running"]


def test_a_changed_service_is_recreated_and_others_stay(compose: Compose) -> None:
    text = one("web", SLEEP) + f"  db:\n    image: busybox\n    {SLEEP}\n"
    compose.up(text)
    before = {item.name: item.id for item in compose.containers()}
    compose.up(
        text.replace("web:\n    image: busybox\n", "web:\n    image: busybox\n    environment: [A=1]\n")
    )
    after = {item.name: item.id for item in compose.containers()}
    assert after["p-db-1"] == before["p-db-1"]
    assert after["p-web-1"] != before["p-web-1"]
    assert "Container p-web-1 Recreated" in compose.said
    assert "A=1" in compose.containers("web")[0].config.env


def test_an_exited_replica_is_started_again(compose: Compose) -> None:
    text = one("web", SLEEP)
    compose.up(text)
    compose.engine.containers.stop("p-web-1", timeout=0)
    before = compose.containers()[0].id
    compose.up(text)
    assert compose.containers()[0].id == before
    assert compose.containers()[0].state.status is ContainerStatus.RUNNING


def test_a_published_port_is_balanced_over_the_replicas(compose: Compose) -> None:
    port = free_port()
    compose.up(one("web", f"{SERVER}\n    scale: 3\n    ports: ['127.0.0.1:{port}:80']"))
    ids = {item.short_id for item in compose.containers()}
    for _ in range(30):  # all three listen
        if {ask(port) for _ in range(6)} == ids:
            break
        time.sleep(0.05)
    answers = Counter(ask(port) for _ in range(30))
    assert answers == dict.fromkeys(ids, 10)
    (row,) = compose.engine.services.status("p")
    assert [(item.host_port, item.container_port) for item in row.ports] == [(port, 80)]


def test_services_find_each_other_by_name(compose: Compose) -> None:
    text = one("db", SERVER) + (
        "  web:\n    image: busybox\n    depends_on: [db]\n"
        "    command: [sh, -c, 'for i in $$(seq 30); do wget -qO- db && exit; sleep 0.1; done; exit 9']\n"
    )
    compose.up(text)
    assert compose.engine.containers.wait("p-web-1") == 0
    lines = [entry.line.decode().strip() for entry in compose.engine.containers.logs("p-web-1")]
    assert lines[-1] == compose.containers("db")[0].short_id


def test_scaling_up_and_down_keeps_the_others(compose: Compose) -> None:
    text = one("web", f"{SLEEP}\n    scale: 2")
    compose.up(text)
    before = {item.name: item.id for item in compose.containers()}
    compose.engine.services.scale(compose.load(text), {"web": 4}, progress=compose.listen)
    assert compose.names() == [f"p-web-{number}" for number in (1, 2, 3, 4)]
    compose.engine.services.scale(compose.load(text), {"web": 1})
    assert [(item.name, item.id) for item in compose.containers()] == [("p-web-1", before["p-web-1"])]


def test_scaling_needs_no_compose_file(compose: Compose) -> None:
    compose.up(one("web", f"{SLEEP}\n    environment: [A=1]\n    volumes: [/anonymous]"))
    services = compose.engine.services
    services.scale_service("p", "web", 3)
    assert compose.names() == ["p-web-1", "p-web-2", "p-web-3"]
    containers = compose.containers()
    assert all(item.state.status is ContainerStatus.RUNNING for item in containers)
    assert len({item.config.hostname for item in containers}) == 3
    assert len({item.config.mounts[0].source for item in containers}) == 3
    assert all("A=1" in item.config.env for item in containers)
    services.scale_service("p", "web", 1)
    assert compose.names() == ["p-web-1"]
    with pytest.raises(NotFound, match="service nope of project p has no container"):
        services.scale_service("p", "nope", 1)
    with pytest.raises(InvalidInput):
        services.scale_service("p", "web", -1)


def test_scaling_from_several_threads_takes_turns(compose: Compose) -> None:
    compose.up(one("web", SLEEP))
    wanted = (3, 2, 4, 3, 5, 2)
    with ThreadPoolExecutor(len(wanted)) as pool:
        for future in [pool.submit(compose.engine.services.scale_service, "p", "web", n) for n in wanted]:
            future.result()
    assert len(compose.names()) in wanted
    assert compose.names() == [f"p-web-{number + 1}" for number in range(len(compose.names()))]


def test_a_port_on_a_range_is_published_once_a_replica(compose: Compose) -> None:
    first = free_ports(2)
    body = f"{SERVER}\n    scale: 2\n    ports: ['127.0.0.1:{first}-{first + 1}:80']"
    compose.up(one("web", body))
    ids = [item.short_id for item in compose.containers()]
    assert [ask(first), ask(first + 1)] == ids
    with pytest.raises(Conflict, match="no port left for replica 3"):
        compose.up(one("web", body), UpOptions(scale={"web": 3}))


def test_a_healthy_dependency_is_waited_for(compose: Compose) -> None:
    text = (
        one(
            "db",
            "command: [sh, -c, 'sleep 0.5; touch /ready; exec sleep 1000']\n    stop_signal: SIGKILL\n"
            "    healthcheck: {test: [CMD, test, -e, /ready], interval: 100ms, retries: 50}",
        )
        + f"  web:\n    image: busybox\n    depends_on: {{db: {{condition: service_healthy}}}}\n    {SLEEP}\n"
    )
    compose.up(text)
    db, web = compose.containers("db")[0], compose.containers("web")[0]
    assert web.state.started_at - db.state.started_at > 400_000_000
    assert "Container p-db-1 Healthy" in compose.said


def test_an_unhealthy_dependency_is_a_failure_that_names_it(compose: Compose) -> None:
    text = (
        one("db", f"{SLEEP}\n    healthcheck: {{test: [CMD, 'false'], interval: 50ms, retries: 2}}")
        + f"  web:\n    image: busybox\n    depends_on: {{db: {{condition: service_healthy}}}}\n    {SLEEP}\n"
    )
    with pytest.raises(Failed, match="container p-db-1 is unhealthy"):
        compose.up(text)
    assert compose.containers("web") == []


def test_a_one_shot_dependency_must_end_with_zero(compose: Compose) -> None:
    def text(code: int) -> str:
        return (
            one("init", f"command: [sh, -c, 'sleep 0.2; exit {code}']")
            + "  web:\n    image: busybox\n"
            + "    depends_on: {init: {condition: service_completed_successfully}}\n"
            + f"    {SLEEP}\n"
        )

    with pytest.raises(Failed, match="service init did not complete successfully: exit 3"):
        compose.up(text(3))
    compose.up(text(0))
    assert compose.containers("web")[0].state.status is ContainerStatus.RUNNING


def test_waiting_understands_one_shot_services(compose: Compose) -> None:
    compose.up(
        one("job", "command: ['true']") + f"  web:\n    image: busybox\n    {SLEEP}\n", UpOptions(wait=True)
    )
    assert "Container p-web-1 Healthy" in compose.said
    with pytest.raises(Failed, match=r"container p-job-1 exited \(7\)"):
        compose.up(
            one(
                "job",
                "command: [sh, -c, 'sleep 0.2; exit 7']\n"
                "    healthcheck: {test: [CMD, 'false'], interval: 10s}",
            ),
            UpOptions(wait=True),
        )


def test_limits_restart_and_secrets_reach_the_container(compose: Compose) -> None:
    (compose.directory / "s.txt").write_text("from file")
    body = (
        "command: [sh, -c, 'cat /run/secrets/a /run/secrets/b /c; sleep 1000']\n    stop_signal: SIGKILL\n"
        "    deploy: {resources: {limits: {memory: 50M}}, restart_policy: {condition: on-failure}}\n"
        "    secrets: [a, b]\n    configs: [c]"
    )
    rest = (
        "secrets:\n  a: {file: s.txt}\n  b: {environment: TD_SECRET}\nconfigs:\n  c: {content: ' and text'}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TD_SECRET", " and environment")
        compose.up(one("web", body) + rest)
    container = compose.containers()[0]
    assert container.config.resources.memory == 50 << 20
    assert container.config.restart.name == "on-failure"
    deadline = time.monotonic() + 5
    text = b""
    while b"and text" not in text and time.monotonic() < deadline:
        text = b"".join(entry.line for entry in compose.engine.containers.logs("p-web-1"))
        time.sleep(0.05)
    assert text.decode() == "from file and environment and text"


def test_namespaces_of_another_service_are_shared(compose: Compose) -> None:
    compose.up(
        one("web", "command: [ip, -4, addr, show, eth0]\n    network_mode: 'service:db'")
        + f"  db:\n    image: busybox\n    {SLEEP}\n"
    )
    assert compose.engine.containers.wait("p-web-1") == 0
    db = compose.containers("db")[0]
    assert compose.containers("web")[0].config.network_mode == f"container:{db.id}"
    shown = b"".join(entry.line for entry in compose.engine.containers.logs("p-web-1")).decode()
    assert f"inet {db.endpoints[0].ipv4_address}/" in shown


def test_profiles_and_orphans(compose: Compose) -> None:
    text = one("web", SLEEP) + f"  tool:\n    image: busybox\n    profiles: [t]\n    {SLEEP}\n"
    compose.up(text)
    assert compose.names() == ["p-web-1"]
    compose.up(text, UpOptions(services=("tool",)))
    assert compose.names() == ["p-tool-1", "p-web-1"]
    compose.up(one("web", SLEEP))
    assert "p-tool-1" in compose.names()
    assert any("found orphan containers (p-tool-1)" in line for line in compose.said)
    compose.up(one("web", SLEEP), UpOptions(remove_orphans=True))
    assert compose.names() == ["p-web-1"]


def test_a_missing_image_names_the_service_and_makes_nothing(compose: Compose) -> None:
    with pytest.raises(NotFound, match="service web: no such image: localhost:1/nope"):
        compose.up(one("web", SLEEP, image="localhost:1/nope"))
    assert compose.names() == []
    assert all(network.name != "p_default" for network in compose.engine.networks.list())


def test_external_networks_and_volumes_must_exist(compose: Compose) -> None:
    text = one("web", f"{SLEEP}\n    networks: [out]") + "networks:\n  out: {external: true, name: td_out}\n"
    with pytest.raises(NotFound, match="network td_out declared as external, but could not be found"):
        compose.up(text)
    compose.engine.networks.create("td_out")
    compose.up(text)
    compose.engine.services.down("p", timeout=0)
    assert compose.engine.networks.get("td_out").name == "td_out"
    compose.engine.networks.remove("td_out")
    with pytest.raises(NotFound, match='external volume "gone" not found'):
        compose.up(one("web", f"{SLEEP}\n    volumes: [gone:/d]") + "volumes:\n  gone: {external: true}\n")


def test_a_taken_port_is_one_line_and_the_rest_can_go_on(compose: Compose) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EngineError) as caught:
            compose.up(one("web", f"{SLEEP}\n    ports: ['127.0.0.1:{port}:80']"))
        assert str(port) in caught.value.message
    assert isinstance(caught.value, Conflict)


def test_a_failed_recreation_leaves_the_old_one_alone(compose: Compose) -> None:
    compose.up(one("web", SLEEP))
    before = compose.containers()[0].id
    with pytest.raises(EngineError):
        compose.up(one("web", f"{SLEEP}\n    cap_add: [NO_SUCH]"))
    assert [(item.id, item.state.status) for item in compose.containers()] == [
        (before, ContainerStatus.RUNNING)
    ]


def test_anonymous_volumes_survive_a_recreation(compose: Compose) -> None:
    compose.up(one("web", f"{SLEEP}\n    volumes: [/v]"))
    before = compose.containers()[0].config.mounts[0].source
    compose.up(one("web", f"{SLEEP}\n    volumes: [/v]\n    hostname: x"))
    assert compose.containers()[0].config.mounts[0].source == before
    compose.up(
        one("web", f"{SLEEP}\n    volumes: [/v]\n    hostname: y"), UpOptions(renew_anonymous_volumes=True)
    )
    assert compose.containers()[0].config.mounts[0].source != before


def test_start_first_replaces_without_a_gap(compose: Compose) -> None:
    body = f"{SLEEP}\n    deploy: {{update_config: {{order: start-first}}}}"
    compose.up(one("web", body))
    old = compose.containers()[0]
    compose.up(one("web", f"{body}\n    hostname: x"))
    new = compose.containers()[0]
    died = [
        event.time
        for event in compose.engine.events.since(0, limit=100_000)
        if event.action == "die" and event.actor == old.id
    ]
    assert new.id != old.id
    assert new.state.started_at < died[0]


def test_a_dry_run_prints_and_does_nothing(compose: Compose) -> None:
    compose.up(one("web", SLEEP), UpOptions(dry_run=True))
    assert compose.said == ["DRY-RUN create network p_default", "DRY-RUN create p-web-1"]
    assert compose.names() == []


def test_down_takes_all_and_says_so(compose: Compose) -> None:
    compose.up(
        one("web", f"{SLEEP}\n    depends_on: [db]\n    volumes: [data:/d]")
        + f"  db:\n    image: busybox\n    {SLEEP}\nvolumes:\n  data:\n"
    )
    compose.said.clear()
    compose.engine.services.down("p", progress=compose.listen)
    order = compose.said
    assert order.index("Container p-web-1 Stopped") < order.index("Container p-db-1 Stopping")
    assert order[-1] == "Network p_default Removed"
    assert compose.names() == []
    assert compose.engine.volumes.get("p_data").name == "p_data"
    compose.said.clear()
    compose.engine.services.down("p", volumes=True, progress=compose.listen)
    assert "Volume p_data Removed" in compose.said
    compose.said.clear()
    compose.engine.services.down("p", progress=compose.listen)
    assert compose.said == ['p Warning: No resource found to remove for project "p".']


def test_other_projects_are_left_alone(compose: Compose) -> None:
    other = replace(compose.load(one("web", SLEEP)), name="q")
    compose.up(one("web", SLEEP))
    assert other.name == "q"
    compose.engine.services.down("q", timeout=0)
    assert compose.names() == ["p-web-1"]


def test_build_and_remove_images(compose: Compose) -> None:
    (compose.directory / "Dockerfile").write_text('FROM busybox\nENV A=built\nCMD ["sleep", "1000"]\n')
    text = "services:\n  web:\n    build: .\n    stop_grace_period: 0s\n"
    compose.up(text)
    assert "Image p-web Built" in compose.said
    assert "A=built" in compose.containers()[0].config.env
    before = compose.containers()[0].id
    compose.up(text)
    assert compose.containers()[0].id == before
    (compose.directory / "Dockerfile").write_text('FROM busybox\nENV A=again\nCMD ["sleep", "1000"]\n')
    compose.up(text, UpOptions(build=True))
    assert "A=again" in compose.containers()[0].config.env
    compose.engine.services.down("p", remove_images="local", timeout=0, progress=compose.listen)
    assert "Image p-web Removed" in compose.said
    with pytest.raises(NotFound):
        compose.engine.images.get("p-web")


def test_purge_leaves_an_empty_root(fresh_engine: Engine, busybox_tar: bytes) -> None:
    import io

    fresh_engine.images.import_(io.BytesIO(busybox_tar), "busybox:latest", changes=['CMD ["sleep", "1000"]'])
    compose = Compose(fresh_engine, fresh_engine.context.paths.state / "p")
    compose.directory.mkdir()
    compose.up(one("web", "scale: 2\n    volumes: [data:/d]") + "volumes:\n  data:\n")
    fresh_engine.system.purge()
    assert [item.name for item in fresh_engine.context.paths.state.iterdir()] == ["p"]
