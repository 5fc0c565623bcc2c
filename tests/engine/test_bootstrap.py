"""The base image: complete, small, the same each time, and with nothing private in it."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import Cancelled, InvalidInput
from runtime.images.elf import read_elf
from runtime.images.layers import layer_path
from runtime.model.container import ContainerConfig
from runtime.model.event import Progress

pytestmark = pytest.mark.engine


@pytest.fixture
def root(shared_engine: Engine, base_image: str) -> Path:
    (layer,) = shared_engine.images.get(base_image).layers
    return layer_path(shared_engine.context, layer)


def run(engine: Engine, *argv: str, network: str = "none") -> tuple[int, str]:
    config = ContainerConfig(
        image="base",
        cmd=argv,
        env=engine.images.get("base").config.env,
        auto_remove=True,
        network_mode=network,
    )
    container = engine.containers.create(config)
    session = engine.containers.start(container.id, attach=True)
    assert session is not None
    output = b""
    while (chunk := session.read()) is not None:
        output += chunk[1]
    return session.wait(), output.decode()


def test_small_quick_and_told_of(fresh_engine: Engine) -> None:
    steps: list[Progress] = []
    started = time.monotonic()
    image_id = fresh_engine.images.bootstrap("mine:1", progress=steps.append)
    assert time.monotonic() - started < 15
    image = fresh_engine.images.get("mine:1")
    assert image.id == image_id
    assert image.size < 150_000_000
    assert image.config.cmd in (("bash",), ("sh",))
    assert steps[-1].done
    assert any(step.current == step.total and step.total for step in steps)
    seq = fresh_engine.events.last_seq()
    assert fresh_engine.images.bootstrap("mine:1") == image_id
    assert fresh_engine.events.last_seq() == seq, "the same inputs: nothing to do"


def test_the_same_inputs_give_the_same_image(
    fresh_engine: Engine, shared_engine: Engine, base_image: str
) -> None:
    assert fresh_engine.images.bootstrap() == shared_engine.images.get(base_image).id


def test_bad_names_and_cancelling(fresh_engine: Engine) -> None:
    class Set:
        def is_set(self) -> bool:
            return True

    with pytest.raises(InvalidInput):
        fresh_engine.images.bootstrap("Base")
    with pytest.raises(Cancelled):
        fresh_engine.images.bootstrap(cancel=Set())
    assert fresh_engine.images.list() == []


def programs(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and (path.suffix == ".so" or os.access(path, os.X_OK)):
            yield path


def resolved(root: Path, path: str) -> Path:
    """Follow symlinks as a process inside would."""
    current, todo, hops = Path("/"), path.strip("/").split("/"), 0
    while todo:
        part = todo.pop(0)
        step = root / str(current / part).lstrip("/")
        if step.is_symlink() and hops < 40:
            hops += 1
            target = os.readlink(step)
            if target.startswith("/"):
                current = Path("/")
            todo = [item for item in target.split("/") if item] + todo
        elif part == "..":
            current = current.parent
        else:
            current = current / part
    return root / str(current).lstrip("/")


def test_every_library_is_there(root: Path) -> None:
    """By the files alone: what an ELF file names is in a directory where the loader looks."""
    directories = [f"/usr/lib/{os.uname().machine}-linux-gnu", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
    checked = 0
    for path in programs(root):
        elf = read_elf(path)
        if elf is None:
            continue
        checked += 1
        for name in elf.needed:
            assert any(resolved(root, f"{item}/{name}").is_file() for item in directories), (
                f"{path} needs {name}"
            )
        if elf.interpreter:
            assert resolved(root, elf.interpreter).is_file()
    assert checked > 100


def test_nothing_private(root: Path) -> None:
    for name in ("etc/shadow", "etc/gshadow", "etc/ssh", "etc/ssl/private", "etc/machine-id"):
        assert not (root / name).exists(), name
    assert list((root / "root").iterdir()) == []
    assert list((root / "home").iterdir()) == []
    assert [line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()][:2] == [
        "root",
        "daemon",
    ]
    for path in root.rglob("*"):
        info = path.lstat()
        assert (info.st_uid, info.st_gid) == (0, 0), path
        assert path.suffix != ".key", path
        if stat.S_ISREG(info.st_mode) and path.suffix in (".crt", ".pem"):
            assert b"PRIVATE KEY" not in path.read_bytes(), path
        if (
            sys.base_prefix.startswith(("/root/", "/home/"))
            and stat.S_ISREG(info.st_mode)
            and "__pycache__" not in str(path)
        ):
            assert sys.base_prefix.encode() not in path.read_bytes(), path


def test_modes_of_a_debian_skeleton(root: Path) -> None:
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "root").stat().st_mode) == 0o700
    assert os.readlink(root / "bin") == "usr/bin"
    assert {"proc", "sys", "dev", "run", "etc", "var"} <= set(os.listdir(root))


SCRIPT = """
set -e
id -u; echo $PATH; awk 'BEGIN { print 6*7 }' ; echo abc | sed s/b/x/ | grep axc; seq 3 | sort -r | tail -1
find /etc -name passwd; tar --version | head -1 | cut -c1-3; echo hi | gzip | gunzip; hostname >/dev/null
ls / >/dev/null; mount >/dev/null; ps >/dev/null 2>&1 || true; python3 --version >/dev/null
python --version >/dev/null; pip --version | cut -c1-3
"""


def test_the_tools_run(engine: Engine, base_image: str) -> None:
    code, text = run(engine, "sh", "-c", SCRIPT)
    assert (code, text.split()) == (
        0,
        [
            "0",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "42",
            "axc",
            "1",
            "/etc/passwd",
            "tar",
            "hi",
            "pip",
        ],
    )


IMPORTS = """
import ssl, sqlite3, ctypes, hashlib, zlib, lzma, bz2, json, asyncio, decimal, uuid, readline, curses
import venv, unittest, sys, sysconfig, pip, ensurepip, tomllib, xml.etree.ElementTree, encodings.idna
import zoneinfo, multiprocessing
assert sys.prefix in ("/usr", "/usr/local"), sys.prefix
assert sysconfig.get_config_var("prefix") == sys.prefix
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 10
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
assert ctypes.CDLL(None).getpid() > 0
import platform; print(platform.python_version())
print(json.__cached__.endswith(".pyc"), json.dumps.__code__.co_filename.startswith(sys.prefix))
import os; assert os.path.exists(json.__cached__)
"""


def test_python_is_whole(engine: Engine, base_image: str) -> None:
    code, text = run(engine, "python3", "-c", IMPORTS)
    assert (code, text.split()) == (0, [sys.version.split()[0], "True", "True"])


def test_byte_code_is_used_as_it_is(engine: Engine, base_image: str) -> None:
    """Nothing is compiled anew when a container starts Python."""
    script = (
        "touch /tmp/now; python3 -c 'import json, asyncio, pip'; find / -xdev -name '*.pyc' -newer /tmp/now"
    )
    assert run(engine, "sh", "-c", script) == (0, "")


def test_virtual_environments(engine: Engine, base_image: str) -> None:
    code, text = run(engine, "sh", "-c", "python3 -m venv /v && /v/bin/pip --version")
    assert code == 0, text
    assert "/v/lib" in text
