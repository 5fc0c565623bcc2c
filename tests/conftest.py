"""What every test may use: the engine's root, small images, and the promise that nothing is left behind.

Engine tests share one root (``engine``), emptied of containers, networks and volumes after each test, so that
images are made once; a test about images or whole roots takes ``fresh_engine`` or ``new_root``.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bench import rootfs
from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.images.create import create_image
from runtime.images.layers import unpack_layer
from runtime.model.image import ImageConfig
from tests.leftovers import Root, left_in_kernel, rows_of

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
ALONE = os.environ.get("TUIDOCK_TESTS_ALONE", "") == "1"
"""Nobody else uses tuidock on this machine, so what any root leaves is ours."""
KEPT_IMAGES = ("base:latest", "busybox:latest")
SETTLE_SECONDS = 5.0
"""How long the kernel and the monitors may take to finish what they were told."""

# How long an example takes is the machine's affair, not the code's.
settings.register_profile("tuidock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tuidock")

_roots: dict[str, Root] = {}


def pytest_configure() -> None:
    """The settings of whoever runs the tests are none of the tests' business."""
    for name in ("TUIDOCK_ROOT", "TUIDOCK_CONFIG"):
        os.environ.pop(name, None)
    os.environ["XDG_CONFIG_HOME"] = "/nonexistent"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engine tests need root. Without it they skip; in CI they run and fail, since there it was promised."""
    if os.geteuid() == 0 or IN_CI:
        return
    needs_root = pytest.mark.skip(reason="needs root and the real kernel")
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(needs_root)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped engine test is a failed one."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("engine"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped ({reason}), and in CI an engine test must run"
    return report


def _open(directory: Path) -> Engine:
    engine = Engine(directory, config=Config())
    _roots[str(directory)] = Root(str(directory), engine.context.root_id)
    return engine


def _short_directory() -> Path:
    """Not pytest's tmp_path: the path of a unix socket below it must fit into 108 bytes (unix(7))."""
    return Path(tempfile.mkdtemp(prefix="td", dir="/tmp"))


def _take_away(directory: Path) -> None:
    """Everything of a root, and the root."""
    if (directory / "tuidock.db").exists():
        engine = _open(directory)
        try:
            engine.system.purge()
        finally:
            engine.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Engine]:
    """The root that most tests share. At the end it must go without a trace."""
    directory = _short_directory()
    engine = _open(directory)
    root = _roots[str(directory)]
    yield engine
    engine.close()
    _take_away(directory)
    left = _wait_until_gone(lambda: left_in_kernel([root]))
    assert not left, f"purging the shared root left behind: {', '.join(sorted(left))}"
    assert not directory.exists(), f"purging the shared root left files in {directory}"


@pytest.fixture
def engine(nothing_left_behind: None, shared_engine: Engine) -> Iterator[Engine]:
    """The shared root, holding at most the images of this module; emptied afterwards."""
    yield shared_engine
    _empty(shared_engine)


@pytest.fixture
def new_root(nothing_left_behind: None) -> Iterator[Callable[[], Path]]:
    """Makes empty root directories, for tests of the command line and of two roots; purged afterwards."""
    made: list[Path] = []

    def make() -> Path:
        directory = _short_directory()
        made.append(directory)
        _open(directory).close()
        return directory

    yield make
    for directory in made:
        _take_away(directory)


@pytest.fixture
def fresh_engine(new_root: Callable[[], Path]) -> Iterator[Engine]:
    """A root of the test's own, without images."""
    engine = _open(new_root())
    yield engine
    engine.close()


def _empty(engine: Engine) -> None:
    """No container, network, volume or image beyond those that tests share. A test's own error comes first,
    so what cannot be removed shows up as left behind."""
    for container in engine.containers.list(all=True):
        with suppress(EngineError):
            engine.containers.remove(container.id, force=True, volumes=True)
    for network in engine.networks.list():
        if network.name not in ("bridge", "host", "none"):
            with suppress(EngineError):
                engine.networks.remove(network.id)
    for volume in engine.volumes.list():
        with suppress(EngineError):
            engine.volumes.remove(volume.name, force=True)
    for image in engine.images.list():
        name = f"{image.repository}:{image.tag}"
        if name not in KEPT_IMAGES:
            with suppress(EngineError):
                engine.images.remove(image.id if image.repository == "<none>" else name, force=True)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """After an engine test the kernel holds what it held before, and the shared root's default network."""
    if request.node.get_closest_marker("engine") is None:
        yield
        return
    before = left_in_kernel(_roots.values(), everything=ALONE)
    yield
    left = _wait_until_gone(lambda: left_in_kernel(_roots.values(), everything=ALONE) - before - _standing())
    assert not left, f"left behind: {', '.join(sorted(left))}"
    for state in _roots:
        if (Path(state) / "tuidock.db").exists():
            _assert_no_leases(state)


def _wait_until_gone(look: Callable[[], set[str]]) -> set[str]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _standing() -> set[str]:
    """What a root keeps between containers, as long as it is there: default bridge, table, cgroup parents."""
    allowed: set[str] = set()
    for root in _roots.values():
        if not (Path(root.state) / "tuidock.db").exists():
            continue
        allowed.add(f"table tuidock-{root.root_id}")
        bridges = rows_of(root.state, "SELECT bridge FROM network WHERE name = 'bridge'")
        allowed |= {f"link {bridge}" for bridge in bridges}
        for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            parent = f"cgroup {hierarchy}/tuidock/{root.root_id}"
            allowed |= {parent, f"{parent}/monitors"}
    return allowed


def _assert_no_leases(state: str) -> None:
    """Addresses, ports and ranges of ids are given back with their container."""
    for table in ("endpoint", "port", "id_range"):
        holders = rows_of(state, f"SELECT container_id FROM {table}")
        assert not holders, f"left behind: {table} rows of {', '.join(holder[:12] for holder in holders)}"


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """A root file system of one static program (Debian: busybox-static) and links to it, as a tar."""
    assert rootfs.PROGRAM.exists(), "needs /bin/busybox (Debian: busybox-static); `make test` installs it"
    return rootfs.busybox_tar()


@pytest.fixture(scope="session")
def busybox(shared_engine: Engine, busybox_tar: bytes) -> str:
    """``busybox:latest`` in the shared root."""
    context = shared_engine.context
    layer = unpack_layer(context, io.BytesIO(busybox_tar))
    config = ImageConfig(cmd=("sh",), env=("PATH=/bin",))
    create_image(context, config=config, layers=[layer.diff_id], refs=["busybox:latest"])
    return "busybox:latest"


@pytest.fixture(scope="session")
def base_image(shared_engine: Engine) -> str:
    """``base:latest`` in the shared root: the machine's own shell, core utilities and Python. Where
    collecting them takes minutes (an emulated machine), ``TUIDOCK_TEST_BASE`` names an archive of it."""
    if archive := os.environ.get("TUIDOCK_TEST_BASE"):
        with Path(archive).open("rb") as file:
            shared_engine.images.load(file)
    else:
        shared_engine.images.bootstrap("base:latest")
    return "base:latest"
