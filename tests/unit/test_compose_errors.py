"""Whatever is wrong in a compose file is named with file, line, path and, where one is near, a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.compose.load import load_project
from runtime.compose.nodes import parse
from runtime.compose.project import Project
from runtime.compose.schema import SECTIONS, SERVICE, SUPPORTED, TOP_LEVEL, UNSUPPORTED
from runtime.errors import EngineError, InvalidInput, NotFound


def load(directory: Path, text: str, **more: str) -> Project:
    (directory / "compose.yaml").write_text(text)
    for name, content in more.items():
        (directory / name).write_text(content)
    return load_project(start=directory, environ={}, project_name="p")


def failure(directory: Path, text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(directory, text)
    return caught.value


def web(line: str) -> str:
    """A file whose line 4 is the one in question."""
    return f"services:\n  web:\n    image: base\n    {line}\n"


def test_the_example_of_the_brief(tmp_path: Path) -> None:
    text = "\n" * 7 + 'services:\n  web:\n    image: base\n    deploy:\n      replicas: "three"\n'
    error = failure(tmp_path, text)
    assert error.message.endswith(
        'compose.yaml:12: services.web.deploy.replicas: must be a whole number, not "three"'
    )


SERVICE_ERRORS = [
    # structure
    ("nope: 1", 'services.web: unknown key "nope"'),
    ("enviroment: {}", 'services.web: unknown key "enviroment"'),
    ("environment: 3", "services.web.environment: must be a mapping, not 3"),
    ("environment: {A: [1]}", "services.web.environment.A: must be a string, not a list"),
    ("labels: {com.docker.compose.project: x}", "are reserved"),
    ("command: {a: b}", "services.web.command: must be a string or a list, not a mapping"),
    ("command: 'echo \"x'", "cannot be split into words"),
    ("image: [a]", "services.web.image: must be a string, not a list"),
    ("tty: 3", "services.web.tty: must be true or false, not 3"),
    ("tty: maybe", 'services.web.tty: must be true or false, not "maybe"'),
    ("container_name: -x", "is not a container's name"),
    ("pull_policy: often", "services.web.pull_policy: must be always, never"),
    ("stop_signal: SIGNOPE", "invalid signal: 'SIGNOPE'"),
    ("stop_grace_period: 10", "invalid duration: '10'"),
    ("restart: sometimes", "invalid restart policy 'sometimes'"),
    ("profiles: {a: b}", "services.web.profiles: must be a list, not a mapping"),
    ("scale: -1", "services.web.scale: must be at least 0, not -1"),
    ("scale: 1.5", "services.web.scale: must be a whole number, not 1.5"),
    ("oom_score_adj: 2000", "must be at most 1000, not 2000"),
    ("pid: hosts", 'services.web.pid: must be one of host, service:NAME, container:NAME, not "hosts"'),
    ("ipc: x", "services.web.ipc: must be one of"),
    ("uts: x", "services.web.uts: must be one of host"),
    ("network_mode: webnet", "services.web.network_mode: must be bridge, host, none"),
    ("ulimits: {nofile: {soft: 1}}", "soft and hard must both be given"),
    ("ulimits: {nofile: x}", "services.web.ulimits.nofile: must be a whole number"),
    ("sysctls: 1", "services.web.sysctls: must be a mapping, not 1"),
    ("devices: [{target: /dev/x}]", "services.web.devices[0]: a device needs a source"),
    ("logging: {drivr: x}", 'services.web.logging: unknown key "drivr"'),
    # sizes, durations, numbers
    ("mem_limit: lots", "services.web.mem_limit: invalid size: 'lots'"),
    ("shm_size: -1", "services.web.shm_size: invalid size: '-1'"),
    ("cpus: many", "services.web.cpus: invalid number of CPUs: 'many'"),
    ("pids_limit: x", 'services.web.pids_limit: must be a whole number, not "x"'),
    # deploy
    ("deploy: {replica: 1}", 'services.web.deploy: unknown key "replica"'),
    ("deploy: {mode: many}", 'must be replicated, global, replicated-job or global-job, not "many"'),
    (
        "deploy: {resources: {limits: {memory: x}}}",
        "services.web.deploy.resources.limits.memory: invalid size",
    ),
    ("deploy: {resources: {limit: {}}}", 'services.web.deploy.resources: unknown key "limit"'),
    ("deploy: {restart_policy: {condition: always}}", 'must be none, on-failure or any, not "always"'),
    ("deploy: {update_config: {order: x}}", 'must be stop-first or start-first, not "x"'),
    ("deploy: {update_config: {delay: 5}}", "invalid duration: '5'"),
    # ports
    ('ports: ["http"]', "services.web.ports[0]: invalid port 'http'"),
    ('ports: ["80", "70000"]', "services.web.ports[1]: invalid port '70000'"),
    ("ports: [{published: 80}]", "services.web.ports[0]: a port needs a target"),
    ("ports: [{target: 0}]", "services.web.ports[0].target: must be at least 1, not 0"),
    ("ports: [{target: 80, protocol: http}]", 'must be tcp, udp or sctp, not "http"'),
    ("ports: [{target: 80, host_ip: x}]", "'x' is not an IP address"),
    ("ports: [{targt: 80}]", 'services.web.ports[0]: unknown key "targt"'),
    ("ports: 80", "services.web.ports: must be a list, not 80"),
    ('expose: ["80:80"]', "must be a port of the container"),
    # volumes
    ("volumes: [data:/x]", 'services.web.volumes[0].source: the volume "data" is not declared'),
    ('volumes: ["data"]', "services.web.volumes[0]: invalid volume 'data'"),
    ("volumes: [{target: /x}]", "services.web.volumes[0]: a volume needs a type"),
    ("volumes: [{type: bind, target: /x}]", "a bind mount needs a source"),
    ("volumes: [{type: bind, source: /a}]", "a volume needs a target"),
    ("volumes: [{type: nfs, source: /a, target: /x}]", 'must be bind, volume, tmpfs or image, not "nfs"'),
    ("volumes: [{type: bind, source: /a, target: x}]", 'must be an absolute path below /, not "x"'),
    ("volumes: [{type: tmpfs, target: /x, bind: {selinux: z}}]", "does not go with type: tmpfs"),
    ("volumes: [{type: tmpfs, target: /x, tmpfs: {size: x}}]", "invalid size: 'x'"),
    ('volumes: ["/a", "/b:/a/"]', "two mounts have the target"),
    ("tmpfs: run", 'must be an absolute path below /, not "run"'),
    ('tmpfs: ["/run:sze=1"]', 'unknown option "sze=1"'),
    ('tmpfs: ["/run:mode=9"]', 'mode must be octal, not "9"'),
    ("secrets: [key]", 'services.web.secrets[0].source: the secret "key" is not declared'),
    ("configs: [{target: /x}]", "services.web.configs[0]: source must be given"),
    # networks
    ("networks: [back]", 'services.web.networks.back: the network "back" is not declared'),
    ("networks: {default: {alias: [x]}}", 'services.web.networks.default: unknown key "alias"'),
    ("networks: {default: {ipv4_address: x}}", 'must be an IPv4 address, not "x"'),
    # dependencies and files
    ("depends_on: [wbe]", 'services.web.depends_on: depends on "wbe", which is not defined'),
    ("depends_on: {web: {condition: ready}}", "must be service_started, service_healthy or"),
    ("depends_on: [web]", "services.web: dependency cycle: web -> web"),
    ("env_file: none.env", "services.web.env_file[0].path: env file"),
    ("env_file: [{path: x, format: yaml}]", "services.web.env_file[0].path"),
    ("extends: {service: other}", 'there is no service "other"'),
    ("extends: {file: none.yaml, service: web}", "does not exist"),
    ("extends: {file: none.yaml}", "service must be given"),
    ("extends: web", "services extend each other in a circle: web -> web"),
    # health
    ("healthcheck: {test: []}", "a list starts with NONE, CMD or CMD-SHELL"),
    ("build: {secrets: [none]}", 'services.web.build.secrets[0].source: the secret "none" is not declared'),
    ("ports: ['8005-8000:80']", 'the range "8005-8000" ends before it starts'),
    ("ports: ['8000-70000:80']", "70000 is not between 1 and 65535"),
    ("healthcheck: {test: [curl, x]}", "a list starts with NONE, CMD or CMD-SHELL"),
    ("healthcheck: {test: [CMD]}", "the command is missing"),
    ("healthcheck: {test: x, interval: 5}", "services.web.healthcheck.interval: invalid duration: '5'"),
    ("healthcheck: {test: x, retries: x}", 'must be a whole number, not "x"'),
    # build
    ("build: {contxt: .}", 'services.web.build: unknown key "contxt"'),
    ("build: {dockerfile: a, dockerfile_inline: b}", "cannot both be given"),
    ("build: ftp://example.org/x", "is not a directory of this machine"),
    ("build: {context: ., cache_from: ['type=tape,src=x']}", "the cache type 'tape' is not supported"),
    ("volumes_from: [container:x]", "outside of the project are not supported"),
    ("image: ${NONE:?choose one}", "required variable NONE is missing a value: choose one"),
    ("hostname: $", "services.web.hostname: invalid interpolation format"),
]


@pytest.mark.parametrize(("line", "message"), SERVICE_ERRORS)
def test_errors_of_services(tmp_path: Path, line: str, message: str) -> None:
    text = web(line) if not line.startswith("image") else f"services:\n  web:\n\n    {line}\n"
    error = failure(tmp_path, text)
    assert message in error.message
    assert error.message.startswith(f"{tmp_path}/compose.yaml:"), error.message
    number = int(error.message.removeprefix(f"{tmp_path}/compose.yaml:").partition(":")[0])
    assert number == (2 if message.startswith("services.web: dependency") else 4) or "two mounts" in message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("enviroment: {}", "did you mean environment?"),
        ("port: []", "did you mean ports?"),
        ("deploy: {replica: 1}", "did you mean replicas?"),
        ("pull_policy: alway", "did you mean always?"),
    ],
)
def test_the_nearest_name_is_suggested(tmp_path: Path, line: str, hint: str) -> None:
    assert failure(tmp_path, web(line)).hint == hint


FILE_ERRORS = [
    ("", 0, "the file is empty"),
    ("# nothing\n", 0, "the file is empty"),
    ("- a\n", 1, "the top level must be a mapping, not a list"),
    ("text\n", 1, 'the top level must be a mapping, not "text"'),
    ("service: {}\n", 1, 'the top level: unknown key "service"'),
    ("services: {}\n", 1, "no service is defined"),
    ("services: [web]\n", 1, "services: must be a mapping, not a list"),
    ("services:\n  web:\n", 2, "services.web: must be a mapping, not nothing"),
    ("services:\n  web: {}\n", 2, "services.web: neither an image nor a build context is given"),
    ("services:\n  we b: {image: a}\n", 2, "a service's name has letters"),
    ("services:\n  web: {image: a}\n  web: {image: b}\n", 3, 'key "web" is given twice (first in line 2)'),
    ("services:\n  web: {image: a\n", 3, "not valid YAML"),
    ("services:\n\tweb: {image: a}\n", 2, "a tab indents a line"),
    ("services:\n  web: {image: *x}\n", 2, "not valid YAML"),
    ("services:\n  web: {image: !!python/name:os.system x}\n", 2, "unknown tag"),
    ("services:\n  web: {image: !env x}\n", 2, "unknown tag !env"),
    ("x: &a [*a]\n", 1, "an anchor refers to itself"),
    ("services:\n  ? [a]\n  : b\n", 2, "a key is a list or a mapping"),
    ("name: Hello World\nservices: {web: {image: a}}\n", 0, ""),
    ("services: {web: {image: a}}\nnetworks:\n  n: {driver: x}\n", 3, "networks.n.driver: must be bridge"),
    ("services: {web: {image: a}}\nnetworks:\n  n: {ipam: {config: [{subnet: x}]}}\n", 3, "is not a subnet"),
    ("services: {web: {image: a}}\nvolumes:\n  v: {drivr: x}\n", 3, 'volumes.v: unknown key "drivr"'),
    ("services: {web: {image: a}}\nvolumes:\n  v: {driver: nfs}\n", 3, "there is no volume driver"),
    ("services: {web: {image: a}}\nsecrets:\n  s: {}\n", 3, "exactly one of file, environment and content"),
    ("services: {web: {image: a}}\nsecrets:\n  s: {environment: NONE}\n", 3, "variable NONE is not set"),
    ("services: {web: {image: a}}\nsecrets:\n  s: {external: true}\n", 3, "need a swarm's store"),
    ("services: {web: {image: a}}\ninclude: [none.yaml]\n", 2, "include[0]: the file"),
    ("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n", 2,
     "dependency cycle: a -> b -> a"),
    ("services:\n  web:\n    image: a\n    scale: 2\n    deploy: {replicas: 3}\n", 5, "scale says 2"),
    ("services:\n  web:\n    image: a\n    cpus: 1\n    deploy: {resources: {limits: {cpus: 2}}}\n", 4,
     "services.web.deploy.resources.limits.cpus says 2"),
    ("services:\n  web:\n    image: a\n    container_name: x\n    scale: 2\n", 4, "names are unique"),
    ("services:\n  web:\n    image: a\n    network_mode: host\n    networks: [default]\n", 4,
     "network_mode and networks cannot both be given"),
    ("services:\n  web:\n    image: a\n    network_mode: none\n    ports: ['80:80']\n", 2,
     "ports cannot be published with network_mode: none"),
    ("services:\n  web: {extends: b, image: x}\n  b: {extends: web, image: x}\n", 2,
     "in a circle: web -> b -> web"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), FILE_ERRORS)
def test_errors_of_files(tmp_path: Path, text: str, line: int, message: str) -> None:
    if not message:
        assert load(tmp_path, text).name == "p"  # the name given with -p wins, whatever the file says
        return
    error = failure(tmp_path, text)
    assert message in error.message
    assert error.message.startswith(f"{tmp_path}/compose.yaml:{line or ''}".rstrip(":")), error.message


def test_a_small_file_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    lines = ["x-a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefgh", "bcdefghi"):
        lines.append(f"x-{name}: &{name} [{','.join(['*' + before] * 10)}]")
    assert "expands to more than" in failure(tmp_path, "\n".join(lines)).message


def test_deep_files_are_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in failure(tmp_path, "x-a: " + "[" * 500 + "]" * 500).message
    assert "maximum nesting" in failure(tmp_path, "x-a: " + "[" * 100_000).message


def test_the_93_attributes_are_known() -> None:
    assert len(SERVICE) == len(set(SERVICE)) == 93
    assert not set(SUPPORTED) & set(UNSUPPORTED)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_said_by_name(tmp_path: Path, name: str) -> None:
    warnings: list[str] = []
    (tmp_path / "compose.yaml").write_text(web(f"{name}: {{a: b}}"))
    load_project(start=tmp_path, environ={}, on_warning=warnings.append)
    assert f"services.web.{name} is not supported and ignored" in warnings


def test_missing_files_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no compose file found") as caught:
        load_project(start=tmp_path, environ={})
    assert caught.value.hint
    with pytest.raises(NotFound, match=r"other\.yaml does not exist"):
        load_project([Path("other.yaml")], start=tmp_path, environ={})


@pytest.mark.parametrize("name", ["Hello", "-x", "a b", "ü", ""])
def test_project_names_are_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"name: '{name}'\nservices: {{web: {{image: a}}}}\n")
    with pytest.raises(InvalidInput, match=r"compose\.yaml:1: name: invalid project name"):
        load_project(start=tmp_path, environ={})
    if name:
        with pytest.raises(InvalidInput, match="given with -p"):
            load_project(start=tmp_path, environ={}, project_name=name)


ATOMS = st.sampled_from(
    ["services", "web", "image", "ports", "volumes", "deploy", "networks", "a", "80:80", "1"]
)
TREES = st.recursive(
    ATOMS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SERVICE), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(service=st.dictionaries(st.sampled_from(SERVICE), TREES, max_size=5))
def test_only_engine_errors_come_out(
    tmp_path_factory: pytest.TempPathFactory, service: dict[str, object]
) -> None:
    import json

    directory = tmp_path_factory.getbasetemp() / "fuzz"
    directory.mkdir(exist_ok=True)
    (directory / "compose.yaml").write_text(json.dumps({"services": {"web": {"image": "a", **service}}}))
    try:
        load_project(start=directory, environ={}, project_name="p")
    except EngineError as error:
        assert "compose.yaml" in error.message


TOP_TREES = st.recursive(
    st.integers()
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
    | st.sampled_from(["compose.yaml", "web", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted({key for keys in SECTIONS.values() for key in keys} | {"web", "a"})),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(top=st.dictionaries(st.sampled_from(TOP_LEVEL), TOP_TREES, max_size=4))
def test_only_engine_errors_come_out_of_whole_files(
    tmp_path_factory: pytest.TempPathFactory, top: dict[str, object]
) -> None:
    import json

    directory = tmp_path_factory.getbasetemp() / "fuzz-top"
    directory.mkdir(exist_ok=True)
    (directory / "compose.yaml").write_text(json.dumps({"services": {"web": {"image": "a"}}, **top}))
    try:
        load_project(start=directory, environ={}, project_name="p")
    except EngineError as error:
        assert "compose.yaml" in error.message


@given(st.text(alphabet="abc:-[]{}&*!#|>'\" \n\t?,~1", max_size=60))
def test_only_invalid_input_comes_out_of_yaml(text: str) -> None:
    try:
        parse(text, "compose.yaml")
    except InvalidInput as error:
        assert error.message.startswith("compose.yaml")
