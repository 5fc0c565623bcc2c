"""From a project and what exists to actions: pure, so every case is a row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.compose.project import Dependency, NetworkSpec, Project, ServiceSpec, VolumeSpec
from runtime.errors import InvalidInput, NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Mount,
    MountType,
    NetworkAttachment,
    PortBinding,
)
from runtime.model.service import UpOptions
from runtime.services import labels
from runtime.services.plan import Plan, levels, make_plan, stop_levels
from runtime.services.scale import template

IMAGE = "sha256:" + "1" * 64
OTHER_IMAGE = "sha256:" + "2" * 64


def spec(name: str = "web", *, depends_on: tuple[Dependency, ...] = (), **more: object) -> ServiceSpec:
    config = ContainerConfig(
        image="base", network_mode="p_default", networks=(NetworkAttachment("p_default", (name,)),)
    )
    return replace(ServiceSpec(name=name, config=config, depends_on=depends_on), **more)  # type: ignore[arg-type]  # fields by name


def project(*services: ServiceSpec) -> Project:
    return Project(
        name="p",
        working_dir="/w",
        files=("/w/compose.yaml",),
        services={service.name: service for service in services},
        networks={
            "default": NetworkSpec("default", "p_default"),
            "unused": NetworkSpec("unused", "p_unused"),
        },
        volumes={"data": VolumeSpec("data", "p_data")},
    )


def existing(
    number: int,
    service: ServiceSpec | None = None,
    status: ContainerStatus = ContainerStatus.RUNNING,
    image: str = IMAGE,
) -> Container:
    """A replica as ``up`` would have made it for ``service``."""
    of = service or spec()
    made = labels.container_labels(project(of), of, number)
    return Container(
        id=f"{number:x}" * 64,
        name=labels.container_name("p", of.name, number),
        image_id=image,
        created_at=number,
        config=replace(of.config, labels=made),
        layers=(),
        state=ContainerState(status=status),
    )


def planned(
    containers: list[Container],
    *services: ServiceSpec,
    images: dict[str, str] | None = None,
    options: UpOptions | None = None,
) -> Plan:
    return make_plan(
        project(*services),
        options or UpOptions(),
        containers=containers,
        images={"base": IMAGE} if images is None else images,
        networks=["p_default"],
    )


def actions(plan: Plan) -> list[str]:
    return [
        f"{action.kind} {action.name}" for level in plan.levels for item in level for action in item.actions
    ]


EXITED, CREATED, PAUSED = ContainerStatus.EXITED, ContainerStatus.CREATED, ContainerStatus.PAUSED
OLD = spec(config=replace(spec().config, env=("A=1",)))
THREE = spec(replicas=3)

ROWS: list[tuple[str, list[Container], ServiceSpec, UpOptions, list[str]]] = [
    ("nothing there", [], spec(), UpOptions(), ["create p-web-1"]),
    ("three from nothing", [], THREE, UpOptions(), ["create p-web-1", "create p-web-2", "create p-web-3"]),
    ("running", [existing(1)], spec(), UpOptions(), ["keep p-web-1"]),
    ("paused counts as running", [existing(1, status=PAUSED)], spec(), UpOptions(), ["keep p-web-1"]),
    ("restarting", [existing(1, status=ContainerStatus.RESTARTING)], spec(), UpOptions(), ["keep p-web-1"]),
    ("exited", [existing(1, status=EXITED)], spec(), UpOptions(), ["start p-web-1"]),
    ("created", [existing(1, status=CREATED)], spec(), UpOptions(), ["start p-web-1"]),
    ("dead", [existing(1, status=ContainerStatus.DEAD)], spec(), UpOptions(), ["recreate p-web-1"]),
    ("changed", [existing(1, OLD)], spec(), UpOptions(), ["recreate p-web-1"]),
    ("changed and exited", [existing(1, OLD, EXITED)], spec(), UpOptions(), ["recreate p-web-1"]),
    ("changed, kept as asked", [existing(1, OLD)], spec(), UpOptions(no_recreate=True), ["keep p-web-1"]),
    ("changed and exited, kept", [existing(1, OLD, EXITED)], spec(), UpOptions(no_recreate=True),
     ["start p-web-1"]),
    ("other image", [existing(1, image=OTHER_IMAGE)], spec(), UpOptions(), ["recreate p-web-1"]),
    ("forced", [existing(1)], spec(), UpOptions(force_recreate=True), ["recreate p-web-1"]),
    ("more", [existing(1)], THREE, UpOptions(), ["keep p-web-1", "create p-web-2", "create p-web-3"]),
    ("a gap is filled", [existing(1), existing(3)], THREE, UpOptions(),
     ["keep p-web-1", "keep p-web-3", "create p-web-2"]),
    ("fewer", [existing(1), existing(2), existing(3)], spec(), UpOptions(),
     ["remove p-web-3", "remove p-web-2", "keep p-web-1"]),
    ("none", [existing(1), existing(2)], spec(replicas=0), UpOptions(), ["remove p-web-2", "remove p-web-1"]),
    ("scaled up", [existing(1)], spec(), UpOptions(scale={"web": 2}), ["keep p-web-1", "create p-web-2"]),
    ("scaled down", [existing(1), existing(2)], THREE, UpOptions(scale={"web": 1}),
     ["remove p-web-2", "keep p-web-1"]),
    ("mixed", [existing(1), existing(2, OLD), existing(3, status=EXITED)], THREE, UpOptions(),
     ["keep p-web-1", "recreate p-web-2", "start p-web-3"]),
    ("named", [], spec(container_name="mine"), UpOptions(), ["create mine"]),
    ("numbers sort as numbers", [existing(10), existing(9), existing(2)], spec(replicas=2), UpOptions(),
     ["remove p-web-10", "keep p-web-2", "keep p-web-9"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("containers", "service", "options", "expected"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_replicas(
    containers: list[Container], service: ServiceSpec, options: UpOptions, expected: list[str]
) -> None:
    assert actions(planned(containers, service, options=options)) == expected


def test_the_number_of_replicas_does_not_recreate() -> None:
    assert labels.config_hash(spec()) == labels.config_hash(spec(replicas=7))
    assert labels.config_hash(spec()) != labels.config_hash(OLD)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "other"},
        {"cmd": ("x",)},
        {"env": ("A=1",)},
        {"labels": {"a": "b"}},
        {"ports": (PortBinding(80, host_port=4000),)},
        {"mounts": (Mount(MountType.BIND, "/a", "/b"),)},
        {"user": "1"},
        {"networks": (NetworkAttachment("p_default", ("web", "alias")),)},
    ],
)
def test_any_change_of_the_configuration_recreates(change: dict[str, object]) -> None:
    changed = spec(config=replace(spec().config, **change))  # type: ignore[arg-type]  # fields by name
    plan = planned([existing(1)], changed, images={})
    assert actions(plan) == ["recreate p-web-1"]
    assert plan.levels[0][0].actions[0].reason == "its configuration changed"


def test_a_dependency_that_is_recreated_recreates_when_it_says_so() -> None:
    db, changed_db = spec("db"), spec("db", config=replace(spec("db").config, user="7"))
    for restart, expected in ((False, "keep p-web-1"), (True, "recreate p-web-1")):
        web = spec(depends_on=(Dependency("db", restart=restart),))
        plan = planned([existing(2, db), existing(1, web)], changed_db, web)
        assert actions(plan) == ["recreate p-db-2", expected]
    web = spec(depends_on=(Dependency("db"),))
    plan = planned(
        [existing(2, db), existing(1, web)], changed_db, web, options=UpOptions(always_recreate_deps=True)
    )
    assert actions(plan)[-1] == "recreate p-web-1"


def test_who_lives_in_a_recreated_containers_namespaces_is_recreated() -> None:
    db, changed_db = spec("db"), spec("db", config=replace(spec("db").config, user="7"))
    shared = replace(spec().config, network_mode="service:db", networks=())
    for web in (
        spec(config=shared, depends_on=(Dependency("db"),)),
        spec(volumes_from=(("db", False),), depends_on=(Dependency("db"),)),
    ):
        plan = planned([existing(2, db), existing(1, web)], changed_db, web)
        assert actions(plan) == ["recreate p-db-2", "recreate p-web-1"]


def test_levels_follow_dependencies() -> None:
    db, cache = spec("db"), spec("cache")
    api = spec("api", depends_on=(Dependency("db"), Dependency("cache")))
    web = spec("web", depends_on=(Dependency("api"),))
    alone = spec("alone")
    loaded = project(web, api, db, cache, alone)
    found = [[item.name for item in level] for level in levels(loaded.selected())]
    assert found == [["db", "cache", "alone"], ["api"], ["web"]]
    assert actions(planned([], web, api, db, options=UpOptions(services=("web",), no_deps=True))) == [
        "create p-web-1"
    ]
    assert actions(planned([], web, api, db, cache, options=UpOptions(services=("api",)))) == [
        "create p-db-1", "create p-cache-1", "create p-api-1",
    ]  # fmt: skip


def test_stopping_goes_the_other_way() -> None:
    db = spec("db")
    api = spec("api", depends_on=(Dependency("db"),))
    web = spec("web", depends_on=(Dependency("api"), Dependency("gone")))
    containers = [
        existing(1, db),
        existing(1, web),
        existing(1, api),
        existing(2, web),
        existing(1, spec("x")),
    ]
    assert [[item.name for item in level] for level in stop_levels(containers)] == [
        ["p-web-1", "p-web-2"], ["p-api-1"], ["p-db-1", "p-x-1"],
    ]  # fmt: skip


def test_stopping_survives_a_circle_in_labels() -> None:
    first = spec("a", depends_on=(Dependency("b"),))
    second = spec("b", depends_on=(Dependency("a"),))
    assert sum(len(level) for level in stop_levels([existing(1, first), existing(1, second)])) == 2
    assert stop_levels([]) == []


def test_only_used_networks_and_volumes_are_made() -> None:
    with_volume = spec(config=replace(spec().config, mounts=(Mount(MountType.VOLUME, "p_data", "/d"),)))
    plan = make_plan(project(with_volume), UpOptions(), containers=[], images={})
    assert [network.name for network in plan.networks] == ["p_default"]
    assert [volume.name for volume in plan.volumes] == ["p_data"]
    again = make_plan(
        project(with_volume),
        UpOptions(),
        containers=[],
        images={},
        networks=["p_default"],
        volumes=["p_data"],
    )
    assert (again.networks, again.volumes) == ((), ())
    assert make_plan(project(spec()), UpOptions(), containers=[], images={}).volumes == ()


def test_orphans_go_only_when_asked() -> None:
    orphan = existing(1, spec("gone"))
    assert planned([orphan], spec()).orphans == ()
    (action,) = planned([orphan], spec(), options=UpOptions(remove_orphans=True)).orphans
    assert (action.name, action.container) == ("p-gone-1", orphan)


def test_a_plan_can_be_printed() -> None:
    plan = make_plan(
        project(spec(replicas=2)), UpOptions(), containers=[existing(1, OLD)], images={"base": IMAGE}
    )
    assert plan.describe() == [
        "create network p_default",
        "recreate p-web-1 (its configuration changed)",
        "create p-web-2",
    ]
    assert planned([existing(1)], spec()).describe() == []


def test_a_recreation_that_was_interrupted_is_finished() -> None:
    left = replace(existing(1), name="0123456789ab_p-web-1")
    assert actions(planned([left], spec())) == ["keep p-web-1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (UpOptions(scale={"web": -1}), "web cannot have -1 replicas"),
        (UpOptions(scale={"nope": 1}), "cannot scale nope: no such service"),
    ],
)
def test_wrong_scales(options: UpOptions, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        planned([], spec(), options=options)


def test_a_named_container_cannot_be_scaled() -> None:
    with pytest.raises(InvalidInput, match="container_name is mine"):
        planned([], spec(container_name="mine"), options=UpOptions(scale={"web": 2}))


def test_an_unknown_service_is_not_found() -> None:
    with pytest.raises(NotFound, match="no such service: nope"):
        planned([], spec(), options=UpOptions(services=("nope",)))


def test_labels_are_docker_composes() -> None:
    web = spec(depends_on=(Dependency("db", "service_healthy", restart=True),))
    made = labels.container_labels(project(web), web, 2)
    assert made["com.docker.compose.project"] == "p"
    assert made["com.docker.compose.service"] == "web"
    assert made["com.docker.compose.container-number"] == "2"
    assert made["com.docker.compose.oneoff"] == "False"
    assert made["com.docker.compose.project.working_dir"] == "/w"
    assert made["com.docker.compose.project.config_files"] == "/w/compose.yaml"
    assert made["com.docker.compose.depends_on"] == "db:service_healthy:true"
    assert len(made["com.docker.compose.config-hash"]) == 64


def test_a_template_is_what_the_container_was_made_from() -> None:
    anonymous = Mount(MountType.VOLUME, "a" * 64, "/v")
    named = Mount(MountType.VOLUME, "p_data", "/d")
    made = existing(1)
    merged = replace(
        made.config,
        hostname=made.short_id,
        cmd=("run",),
        mounts=(anonymous, named),
        networks=(NetworkAttachment("p_default", ("web",), "10.0.0.5"),),
    )
    copy = template(replace(made, config=merged))
    assert (copy.hostname, copy.entrypoint, copy.cmd) == ("", ("",), ("run",))
    assert copy.mounts == (replace(anonymous, source=""), named)
    assert copy.networks == (NetworkAttachment("p_default", ("web",)),)
    assert template(replace(made, config=replace(merged, hostname="chosen"))).hostname == "chosen"
