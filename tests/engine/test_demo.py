"""The demo, as a newcomer meets it: from an empty root to a balanced application and back to nothing."""

from __future__ import annotations

import collections
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.slow]

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tuidock(root: Path, *arguments: str) -> str:
    """Run it as the demo's reader would, without a terminal; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "tuidock", "--root", root, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        content: bytes = answer.read()
        return content


def test_three_replicas_answer_in_turn_and_go_without_a_trace(new_root: Callable[[], Path]) -> None:
    root, port = new_root(), free_port()
    said = tuidock(root, "demo", "--port", str(port))
    assert f"http://127.0.0.1:{port}/" in said

    rows = [json.loads(line) for line in tuidock(root, "ps", "--format", "json").splitlines()]
    names = {row["ID"].encode(): row["Names"] for row in rows}
    assert sorted(names.values()) == ["demo-web-1", "demo-web-2", "demo-web-3"]

    answers = collections.Counter(
        next(host for host in names if host in content) for content in (page(port) for _ in range(30))
    )
    assert sorted(answers.values()) == [10, 10, 10]

    limits = json.loads(tuidock(root, "inspect", "demo-web-1"))[0]["HostConfig"]
    assert (limits["NanoCpus"], limits["Memory"]) == (500_000_000, 50 << 20)

    tuidock(root, "demo", "--down")
    assert tuidock(root, "ps", "-aq") == ""
    with pytest.raises(OSError, match="refused"):
        page(port)
