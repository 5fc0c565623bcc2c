"""Whatever a registry does: one clear line, no wrong content, no password given away, a whole store.

``TUIDOCK_FAULT_ROUNDS`` sets how many seeded rounds there are, ``TUIDOCK_FAULT_SEED`` the first seed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.images.check import verify
from runtime.images.layers import layer_path
from runtime.images.registry.pull import pull
from runtime.images.registry.transport import Timing
from tests.engine.registry_faults.images import HOSTILE, Made, good_image, hostile_image
from tests.engine.registry_faults.server import BODY_FAULTS, RANGE_FAULTS, TOKEN_FAULTS, FaultServer

pytestmark = pytest.mark.engine

ROUNDS = int(os.environ.get("TUIDOCK_FAULT_ROUNDS", "150"))
SEED = int(os.environ.get("TUIDOCK_FAULT_SEED", "0"))
PER_TEST = 25
QUICK = Timing(
    connect=2, read=0.6, document=1.5, stall=0.4, slowest=64, attempts=4, first_wait=0.001, longest_wait=0.01
)
PATIENT = Timing(connect=10, read=10, document=20, stall=20, attempts=4, first_wait=0.001, longest_wait=0.01)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[FaultServer, FaultServer]]:
    with FaultServer() as registry, FaultServer() as elsewhere:
        registry.elsewhere = elsewhere.host
        yield registry, elsewhere


@pytest.fixture(autouse=True)
def password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: tuple[FaultServer, FaultServer]
) -> None:
    """Known for the registry, and for nobody else."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {servers[0].host: {"auth": "bWU6c2VjcmV0"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def plan_of(rng: random.Random, kinds: list[str], chance: float) -> Callable[[str], str]:
    def plan(path: str) -> str:
        if rng.random() >= chance:
            return ""
        chosen = rng.choice(kinds)
        is_token = chosen in TOKEN_FAULTS
        return chosen if is_token == (path in ("token", "challenge")) else ""

    return plan


def assert_one_line(error: EngineError) -> None:
    assert error.message and "\n" not in error.message and error.message.isprintable(), repr(error.message)
    assert len(error.message) < 400, error.message
    assert "secret" not in f"{error.message}{error.hint}"


def assert_content(engine: Engine, made: Made, image_id: str) -> None:
    assert image_id == made.image_id
    image = engine.images.get(image_id)
    for diff_id, files in zip(image.layers, made.files, strict=True):
        root = layer_path(engine.context, diff_id)
        found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert found == files


def assert_whole(engine: Engine) -> None:
    """Nothing half-made, and every blob is what its name says."""
    paths = engine.context.paths
    assert not [path for path in paths.layers.iterdir() if path.name.startswith(".tmp")]
    assert not [path for path in paths.content.iterdir() if path.name.startswith(".tmp")]
    for path in paths.content.glob("blobs/sha256/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def play(
    engine: Engine,
    servers: tuple[FaultServer, FaultServer],
    made: Made,
    plan: Callable[[str], str],
    seed: int,
    *,
    password: bool,
    timing: Timing = QUICK,
) -> EngineError | None:
    """One pull; what it raised. Anything but an EngineError is a failure of the test."""
    registry, elsewhere = servers
    registry.prepare(made.content, plan, seed, password=password)
    elsewhere.prepare(made.content, lambda path: "", seed, password=False)
    try:
        [pulled] = pull(engine.context, f"{registry.host}/app:1", timing=timing)
    except EngineError as error:
        assert_one_line(error)
        assert not engine.images.list(all=True)
        result: EngineError | None = error
    else:
        assert made.image_id, "a hostile image was taken"
        assert_content(engine, made, pulled.image_id)
        engine.images.remove(pulled.image_id, force=True)
        result = None
    assert elsewhere.authorizations == [], "a password or token went to another host"
    assert_whole(engine)
    return result


@pytest.mark.parametrize("first", range(SEED, SEED + ROUNDS, PER_TEST))
@pytest.mark.timeout(600)
def test_seeded_faults(fresh_engine: Engine, servers: tuple[FaultServer, FaultServer], first: int) -> None:
    came_through = 0
    for seed in range(first, min(first + PER_TEST, SEED + ROUNDS)):
        rng = random.Random(seed)
        made = hostile_image(rng, rng.choice(sorted(HOSTILE))) if rng.random() < 0.2 else good_image(rng)
        kinds = rng.sample([*BODY_FAULTS, *RANGE_FAULTS, *RANGE_FAULTS, *TOKEN_FAULTS], rng.randint(1, 4))
        chance = rng.choice([0.1, 0.3, 0.6, 1.0])
        error = play(
            fresh_engine, servers, made, plan_of(rng, kinds, chance), seed, password=rng.random() < 0.5
        )
        came_through += error is None
    assert came_through, "some of the rounds have faults that a client gets over"
    assert verify(fresh_engine.context) == []
    assert fresh_engine.system.check() == []


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_image_is_refused(
    fresh_engine: Engine, servers: tuple[FaultServer, FaultServer], kind: str
) -> None:
    made = hostile_image(random.Random(kind), kind)
    error = play(fresh_engine, servers, made, lambda path: "", 1, password=False, timing=PATIENT)
    assert error is not None
    assert not list((fresh_engine.context.paths.content / "ingest").glob("*")) or "sha256" in error.message
    assert verify(fresh_engine.context) == []


def once(fault: str, kind: str) -> Callable[[str], str]:
    """The fault meets the first request of a blob or manifest, and no other."""
    met: list[str] = []

    def plan(path: str) -> str:
        if path.startswith(kind) and not met:
            met.append(path)
            return fault
        return ""

    return plan


GOT_OVER = (
    "drop-before-head", "drop-in-head", "drop-in-body", "drop-every-tenth", "reset", "status-500",
    "status-503", "status-429", "status-429-date", "status-429-garbage", "redirect-elsewhere", "wrong-type",
    "no-length", "length-garbage", "no-length-cut", "chunked", "chunked-cut", "says-gzip",
    "trickle", "truncated", "not-http",
)  # fmt: skip


@pytest.mark.parametrize("fault", GOT_OVER)
def test_what_passes_is_got_over(
    fresh_engine: Engine, servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    made = good_image(random.Random(fault))
    assert play(fresh_engine, servers, made, once(fault, "blobs/"), 1, password=True, timing=PATIENT) is None


@pytest.mark.parametrize(
    "fault", sorted(set(BODY_FAULTS) - {"chunked", "length-garbage", "no-length", "says-gzip", "wrong-type"})
)
def test_what_stays_is_told_in_one_line(
    fresh_engine: Engine, servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    made = good_image(random.Random(fault))

    def always(path: str) -> str:
        return fault if path.startswith("blobs/") else ""

    error = play(fresh_engine, servers, made, always, 1, password=False)
    if fault == "redirect-elsewhere":
        assert error is None
    else:
        assert error is not None
    if fault == "drop-every-tenth":
        assert len(servers[0].asked) < 40, "it is not tried for ever"


@pytest.mark.parametrize("fault", RANGE_FAULTS)
def test_a_resumed_blob_that_comes_wrong(
    fresh_engine: Engine, servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    """The first answer is cut; what the second does with Range is wrong. Only what is verified counts."""
    made = good_image(random.Random(7))
    met: list[str] = []

    def plan(path: str) -> str:
        if not path.startswith("blobs/"):
            return ""
        met.append(path)
        return "drop-every-tenth" if met.count(path) == 1 else fault if met.count(path) == 2 else ""

    error = play(fresh_engine, servers, made, plan, 1, password=False, timing=PATIENT)
    assert error is None or "Content-Range" in error.message or "shorter" in error.message


def test_a_wrong_password_is_said_so(fresh_engine: Engine, servers: tuple[FaultServer, FaultServer]) -> None:

    def always(path: str) -> str:
        return "token-denied" if path == "token" else ""

    error = play(
        fresh_engine, servers, good_image(random.Random(3)), always, 1, password=True, timing=PATIENT
    )
    assert error is not None and "incorrect username or password" in error.message
    assert error.hint == f"tuidock login {servers[0].host}"


def test_a_layer_that_does_not_fit(
    new_root: Callable[[], Path], servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    """A bomb: some kilobytes that become more than the disk (a tmpfs here) has room for."""
    import subprocess

    from tests.engine.registry_faults.images import Builder

    directory = new_root()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(directory)], check=True)
    try:
        made = Builder(random.Random(5))
        layer, diff_id = made.layer(_zeros(300 << 20), "gzip")
        made.publish(made.manifest(made.config([diff_id]), [layer]))
        engine = Engine(directory, config=Config())
        error = play(engine, servers, Made(made.content), lambda path: "", 1, password=False, timing=PATIENT)
        assert error is not None and "no space left" in error.message
        assert verify(engine.context) == []
        engine.close()
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def _zeros(size: int) -> bytes:
    import tarfile

    entry = tarfile.TarInfo("zeros")
    entry.size = size
    return entry.tobuf() + bytes(size) + bytes(1024)
