"""Whatever the bytes are: a Dockerfile, or one clear error; a set of rules, or the pattern that is wrong."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.build.arguments import global_arguments
from runtime.build.check import check
from runtime.build.dockerignore import PatternError, read_rules
from runtime.build.git import parse_git
from runtime.build.instructions import Dockerfile
from runtime.build.lexer import Source
from runtime.build.mounts import MountError, parse_mount
from runtime.build.options import BuildOptions
from runtime.build.parser import parse
from runtime.build.stages import plan
from runtime.build.substitution import SubstitutionError, expand, expand_words
from runtime.errors import InvalidInput

quickly = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

WORDS = st.sampled_from(
    [
        "FROM",
        "from",
        "scratch",
        "AS",
        "a",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "LABEL",
        "CMD",
        "ENTRYPOINT",
        "EXPOSE",
        "USER",
        "WORKDIR",
        "VOLUME",
        "STOPSIGNAL",
        "SHELL",
        "HEALTHCHECK",
        "NONE",
        "ONBUILD",
        "MAINTAINER",
        "--from=a",
        "--mount=type=cache,target=/x",
        "--mount",
        "--chown=1:2",
        "--",
        "--x",
        "<<EOF",
        "<<-'E'",
        "EOF",
        "E",
        "[",
        "]",
        '["a",',
        '"b"]',
        '"',
        "'",
        "\\",
        "`",
        "#",
        "$",
        "${",
        "${a:-$b}",
        "${a%%*}",
        "${a//b/c}",
        "}",
        "=",
        "a=b",
        "80/tcp",
        "/",
        ".",
        "http://h/x",
        "git@h:r",
        "--interval=1s",
        "--retries=x",
        "--network=host",
        "--checksum=sha256:0",
        "é",
        "# escape=`",
        "# syntax=x",
        "# check=skip=all;error=true",
        "\t",
        " ",
        "\r",
        "\ufeff",
        "\x00",
        "\ud800",
    ]
)
LINES = st.lists(WORDS, max_size=7).map(" ".join)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(LINES, max_size=9).map("\n".join),
    st.lists(LINES, max_size=9).map(lambda lines: "FROM scratch\n" + "\n".join(lines)),
)


def parsed(text: str) -> Dockerfile | None:
    try:
        return parse(Source("Dockerfile", text))
    except InvalidInput as error:
        assert error.message and "\n" not in error.message.strip("\n")
        return None


MOUNT_PARTS = [
    "type=cache",
    "type=",
    "target=/x",
    "id=",
    ",",
    "=",
    "mode=9",
    "size=1z",
    "ro",
    "from=$a",
    "type=secret",
    "uid=-1",
    "sharing=x",
    "\x00",
]


@quickly
@given(TEXTS)
def test_a_dockerfile_or_an_error(text: str) -> None:
    dockerfile = parsed(text)
    if dockerfile is None:
        return
    assert dockerfile.stages
    count = len(dockerfile.source.lines)
    for stage in dockerfile.stages:
        for item in (stage.base, *stage.instructions):
            assert 1 <= item.first <= item.last <= count
    for finding in check(dockerfile):
        assert 1 <= finding.line <= count
    with suppress(InvalidInput):
        assert plan(dockerfile, global_arguments(dockerfile, BuildOptions(context=Path())))


@quickly
@given(st.binary(max_size=200))
def test_bytes_that_are_no_text(data: bytes) -> None:
    parsed(data.decode("utf-8", "surrogateescape"))


@quickly
@given(st.one_of(st.text(max_size=80), LINES), st.sampled_from(["\\", "`"]))
def test_substitution_is_a_text_or_an_error(text: str, escape: str) -> None:
    for function in (expand, expand_words):
        with suppress(SubstitutionError):
            assert function(text, {"a": "1", "b": "x*y"}, escape) is not None


@quickly
@given(st.lists(st.sampled_from(MOUNT_PARTS), max_size=6))
def test_mounts(parts: list[str]) -> None:
    with suppress(MountError):
        assert parse_mount(",".join(parts)).type


@quickly
@given(st.text(max_size=80))
def test_git_urls(text: str) -> None:
    with suppress(InvalidInput, ValueError):
        parse_git(f"https://h/{text}.git#{text}")


def fits(pattern: str, text: str) -> bool:
    """Character by character, without expressions: Go's filepath.Match and moby's ``**``."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        rest = pattern.lstrip("*")
        if rest.startswith("/"):
            inner = [text[place + 1 :] for place, character in enumerate(text) if character == "/"]
            return any(fits(rest[1:], item) for item in (text, *inner))
        return any(fits(rest, text[place:]) for place in range(len(text) + 1))
    if pattern[0] == "*":
        end = text.find("/")
        places = range((len(text) if end < 0 else end) + 1)
        return any(fits(pattern[1:], text[place:]) for place in places)
    if not text:
        return False
    if pattern[0] == "?":
        return text[0] != "/" and fits(pattern[1:], text[1:])
    if pattern.startswith("[ab]"):
        return text[0] in "ab" and fits(pattern[4:], text[1:])
    if pattern.startswith("[^a]"):
        return text[0] not in "a/" and fits(pattern[4:], text[1:])
    literal = pattern[1] if pattern[0] == "\\" else pattern[0]
    return text[0] == literal and fits(pattern[2 if pattern[0] == "\\" else 1 :], text[1:])


def matches(rules: str, path: str) -> bool:
    """The last rule that fits the path, or a directory above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    excluded = False
    for line in rules.splitlines():
        rule = line.strip()
        if not rule or line.startswith("#"):
            continue
        keeps = rule.startswith("!")
        cleaned = posixpath.normpath(rule[keeps:].strip()).lstrip("/") or "."
        if any(fits(cleaned, item) for item in above):
            excluded = not keeps
    return excluded


PATTERN_PARTS = ["a", "b", "/", "*", "**", "?", "[ab]", "[^a]", "\\*", "\\", ".", "..", " ", "!"]
PATTERN = st.lists(st.sampled_from(PATTERN_PARTS), max_size=6).map("".join)
PATTERNS = st.lists(PATTERN, max_size=5).map("\n".join)
PATHS = st.lists(st.text("ab*.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@quickly
@given(PATTERNS, PATHS)
def test_ignored_or_not_as_another_reading_of_the_rules_has_it(text: str, path: str) -> None:
    try:
        rules = read_rules(text)
    except PatternError as error:
        assert str(error)
        return
    excluded = rules.excluded(path)
    assert excluded == matches(text, path)
    parent = path.rpartition("/")[0]
    if parent and rules.excluded(parent) and not excluded:
        assert rules.descend(parent), "a walk must not pass over what was taken back"
