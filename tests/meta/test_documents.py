"""What README and docs/ say exists: commands, settings, links; and every command explains itself."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from runtime.config import Config

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
VERBS = (
    *("run", "create", "start", "stop", "kill", "restart", "pause", "unpause", "rm", "ps", "logs", "exec"),
    *("attach", "inspect", "stats", "top", "wait"),
)
COMMANDS = [
    *([verb] for verb in VERBS),
    *(["container", verb] for verb in VERBS if verb != "ps"),
    *(["image", verb] for verb in ("bootstrap", "ls", "inspect", "tag", "rm", "history")),
    *(["compose", verb] for verb in ("up", "ps", "logs", "scale", "down")),
    ["build"], ["load"], ["import"], ["version"], ["info"], ["demo"],
]  # fmt: skip


def tuidock(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tuidock", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_has_help(command: list[str]) -> None:
    done = tuidock(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith("usage:")
    assert command[-1] in done.stdout


def test_an_unknown_command_is_named() -> None:
    done = tuidock("frobnicate")
    assert done.returncode != 0
    assert "frobnicate" in done.stderr
    assert "Traceback" not in done.stderr


def commands_in(document: Path) -> set[tuple[str, ...]]:
    """``tuidock a b`` in code blocks and code spans, without options and arguments."""
    found = set()
    text = document.read_text(encoding="utf-8")
    code = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.S | re.M) + re.findall(r"`([^`\n]+)`", text)
    for block in code:
        for line in block.splitlines():
            match = re.match(r"\s*(?:[$#] )?(?:sudo )?(?:\.venv/bin/)?tuidock((?: [a-z][a-z-]*)*)", line)
            words = match[1].split() if match else []
            if words and not words[0].startswith("-"):
                grouped = words[0] in {"container", "image", "compose", "network", "volume", "system"}
                found.add(tuple(words[: 2 if grouped else 1]))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_a_document_shows_exist(document: Path) -> None:
    missing = [
        " ".join(words) for words in sorted(commands_in(document)) if tuidock(*words, "--help").returncode
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    broken = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not broken


def test_every_setting_is_documented() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    for field in fields(Config):
        assert f"`{field.name.replace('_', '-')}`" in page


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\.PHONY: (\S+)$", makefile, re.M):
        assert re.search(rf"^{target}:.* ## \S", makefile, re.M), target
