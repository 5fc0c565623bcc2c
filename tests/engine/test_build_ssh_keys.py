"""``--ssh NAME=KEY``: keys of the caller's in an agent of their own, while a step runs and no longer."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from runtime.build.failure import BuildFailed
from runtime.build.options import BuildOptions
from runtime.build.ssh_keys import KeyAgent
from runtime.engine import Engine
from runtime.errors import InvalidInput
from tests.engine.build_lab import build, fill, read

pytestmark = pytest.mark.engine

LIST = """
import os, socket, struct
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["SSH_AUTH_SOCK"])
agent.sendall(struct.pack(">IB", 1, 11))
answer = agent.recv(65536)
print(answer[4], struct.unpack(">I", answer[5:9])[0], "one" if b"key of one" in answer else "")
"""


def key(path: Path, *, passphrase: str = "") -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", f"key of {path.name}", "-f", str(path)],
        check=True,
    )
    path.chmod(0o644)  # as it comes out of a repository or a secret store
    return path


def agents(directory: Path) -> list[str]:
    """Command lines of agents that work below ``directory``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = (process / "cwd").readlink()
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if place.is_relative_to(directory) and "ssh-agent" in words:
            found.append(words)
    return found


def test_a_step_reaches_the_keys(engine: Engine, base_image: str, tmp_path: Path) -> None:
    context = fill(tmp_path / "c", {"list.py": LIST})
    text = (
        f"FROM {base_image}\nCOPY list.py /\n"
        "RUN --mount=type=ssh python3 /list.py > /all\n"
        "RUN --mount=type=ssh,id=other python3 /list.py > /other\n"
    )
    keys = key(tmp_path / "one"), key(tmp_path / "two")
    result = build(engine, context, text, ssh={"default": keys, "other": keys[1:]})
    assert read(engine, result.image_id, "all") == "12 2 one\n"
    assert read(engine, result.image_id, "other") == "12 1 \n"
    assert agents(engine.context.paths.build) == []
    assert [entry.name for entry in engine.context.paths.build.glob(".tmp-*")] == []


def test_a_passphrase_is_not_asked_for(engine: Engine, busybox: str, tmp_path: Path) -> None:
    context = fill(tmp_path / "c", {"f": "f"})
    closed = key(tmp_path / "closed", passphrase="secret")
    with pytest.raises(BuildFailed, match=f"ssh-add refuses {closed}: it has a passphrase"):
        build(engine, context, f"FROM {busybox}\nRUN --mount=type=ssh true", ssh={"default": (closed,)})
    assert agents(engine.context.paths.build) == []


def test_wrong_keys_are_refused_before_anything(engine: Engine, tmp_path: Path) -> None:
    context = fill(tmp_path / "c", {"Dockerfile": "FROM scratch\n"})
    public = key(tmp_path / "one").with_suffix(".pub")
    with pytest.raises(InvalidInput, match=r"one\.pub is not a private key"):
        engine.build(BuildOptions(context=context, ssh={"a": (public,)}))
    with pytest.raises(InvalidInput, match="--ssh a: SSH_AUTH_SOCK is not set"):
        engine.build(BuildOptions(context=context, ssh={"a": ()}))


def test_the_agent_ends_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from runtime.build.ssh_keys import KeyAgent\n"
        "with KeyAgent('a', [Path(sys.argv[1])], Path(sys.argv[2])):\n"
        "    print('ready', flush=True); os.kill(os.getpid(), 9)\n"
    )
    import sys

    place = tmp_path / ("deep" * 40) / "keys"
    place.parent.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(key(tmp_path / "one")), str(place)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-9, b"ready\n"), done.stderr
    deadline = time.monotonic() + 5
    while agents(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert agents(tmp_path) == []


def test_its_directory_goes(tmp_path: Path) -> None:
    with KeyAgent("a", [key(tmp_path / "one")], tmp_path / "keys") as agent:
        assert agent.socket.is_socket()
        assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
        assert len(agents(tmp_path)) >= 1
    assert not (tmp_path / "keys").exists()
    assert agents(tmp_path) == []
