"""A shell in the state just before a RUN that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.engine.build_lab import fill
from tests.engine.test_build_output import tuidock
from tests.engine.test_cli_terminal import Terminal

pytestmark = pytest.mark.engine


def test_the_message_names_the_command_that_opens_one(engine: Engine, busybox: str, tmp_path: Path) -> None:
    fill(tmp_path, {"Dockerfile": f"FROM {busybox}\nRUN false\n"})
    done = tuidock(engine, "build", "-t", "ab:1", tmp_path)
    assert done.returncode == 1
    root = engine.context.paths.state
    assert done.stderr.decode().endswith(
        "hint: a shell in the state just before this command: tuidock --root"
        f" {root} build --debug-shell -t ab:1 {tmp_path}\n"
    )
    assert b"Dockerfile:2\n--------------------\n   1 |     FROM" in done.stderr


def test_the_shell_has_files_mounts_secrets_and_variables_of_the_step(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    text = (
        f"FROM {busybox}\nENV WHO=me\nWORKDIR /w\nRUN echo before > here\n"
        "RUN --mount=type=secret,id=s --mount=type=tmpfs,target=/t echo partly > half; exit 5\n"
    )
    fill(tmp_path / "c", {"Dockerfile": text})
    (tmp_path / "s").write_text("hush")
    terminal = Terminal(
        engine, "build", "--debug-shell", "--secret", f"id=s,src={tmp_path / 's'}", str(tmp_path / "c")
    )
    try:
        terminal.expect(b"a shell in the state just before this command", 60)
        terminal.type(b"echo $WHO-$(cat here)-$(cat /run/secrets/s)-$(ls half 2>&1 | wc -c)-$((40+2))\r")
        shown = terminal.expect(b"-42", 60)
        assert b"me-before-hush-" in shown
        terminal.type(b"grep -c ' /t tmpfs' /proc/mounts; exit\r")
        terminal.expect(b"1\r\n", 60)
        assert terminal.process.wait(60) == 1
    finally:
        terminal.close()
