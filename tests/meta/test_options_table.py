"""docs/options.md against the real command line: what it calls supported exists, and nothing is left out."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest

from tuidock.cli.commands import CONTAINER
from tuidock.cli.container_options import REFUSED

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "options.md"
ALIASES = {
    *("--no-sig-proxy", "--no-pause"),  # the other half of a switch
    *("--time", "--dns-opt", "--net", "--net-alias"),  # docker's hidden older names
}
NOT_OF_CREATE = {"--detach", "--detach-keys", "--sig-proxy"}
LIKE_ANOTHER = {"list": "ls"}


def tables() -> dict[str, dict[str, tuple[str, str]]]:
    """Verb to option to (state, remark)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for section in re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.M)[1:]:
        rows = re.findall(r"^\| `(--[a-z0-9-]+)` \| ([a-z]+) \| (.*?) ?\|$", section, re.M)
        found[section.split()[0]] = {option: (state, remark) for option, state, remark in rows}
    found["create"] = {name: row for name, row in found["run"].items() if name not in NOT_OF_CREATE}
    return found


TABLES = tables()


def options_of(verb: str) -> set[str]:
    module, _, attribute = CONTAINER[verb][0].partition(":")
    command = getattr(importlib.import_module(module), attribute or "command")
    names: set[str] = set()
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            names.update(
                name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")
            )
    return names


def test_every_verb_is_described() -> None:
    assert set(TABLES) == set(CONTAINER) - set(LIKE_ANOTHER)


@pytest.mark.parametrize("verb", sorted(TABLES))
def test_the_table_is_the_command_line(verb: str) -> None:
    rows = TABLES[verb]
    assert {state for state, _ in rows.values()} <= {"supported", "refused"}
    supported = {name for name, (state, _) in rows.items() if state == "supported"}
    assert options_of(verb) - ALIASES == supported


def test_what_is_refused_says_why() -> None:
    for verb, rows in TABLES.items():
        for name, (state, remark) in rows.items():
            if state == "refused":
                assert remark, f"{verb} {name}"
    assert {name for name, (state, _) in TABLES["run"].items() if state == "refused"} == set(REFUSED)


def test_nearly_everything_is_supported() -> None:
    states = [state for rows in TABLES.values() for state, _ in rows.values()]
    assert states.count("supported") / len(states) >= 0.9
