"""docker's build checks by name, and their silence about what is fine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.build.check import RULES, check, findings_are_errors
from runtime.build.dockerignore import read_rules
from runtime.build.failure import DockerfileError
from runtime.build.lexer import Source
from runtime.build.parser import KEYWORDS, parse
from runtime.build.substitution import SubstitutionError, expand, expand_words

ROWS = [
    ("FROM scratch AS Build", ["StageNameCasing:1"]),
    ("FROM scratch as build", ["FromAsCasing:1"]),
    ("from scratch AS build", ["FromAsCasing:1"]),
    ("FROM scratch AS build", []),
    ("FROM scratch\nENV a=1 \\\n\n  b=2", ["NoEmptyContinuation:4"]),
    ("FROM scratch\nENV a=1 \\\n # fine\n  b=2", []),
    ("FROM scratch\nenv a=1\nENV b=1", ["ConsistentInstructionCasing:2"]),
    ("from scratch\nenv a=1\nEnv b=1", ["ConsistentInstructionCasing:3"]),
    ("from scratch\nenv a=1", []),
    ("FROM scratch AS a\nFROM scratch AS a", ["DuplicateStageName:2"]),
    ("FROM scratch\nCMD a b", ["JSONArgsRecommended:2"]),
    ("FROM scratch\nENTRYPOINT a b", ["JSONArgsRecommended:2"]),
    ('FROM scratch\nCMD ["a"]', []),
    ('FROM scratch\nSHELL ["/bin/bash", "-c"]\nCMD a b', []),
    ("FROM scratch\nMAINTAINER me", ["MaintainerDeprecated:2"]),
    ("FROM base:$V", ["InvalidDefaultArgInFrom:1", "UndefinedArgInFrom:1"]),
    ("ARG V=1\nFROM base:$V", []),
    ("ARG V\nFROM base:$V", ["InvalidDefaultArgInFrom:2"]),
    ("ARG V\nFROM base:${V:-1}", []),
    ("FROM --platform=$BUILDPLATFORM base", []),
    ("FROM --platform=$TARGETPLATFORM base", ["RedundantTargetPlatform:1"]),
    ("FROM --platform=linux/amd64 base", ["FromPlatformFlagConstDisallowed:1"]),
    ("FROM base\nWORKDIR a", ["WorkdirRelativePath:2"]),
    ("FROM base\nWORKDIR /a\nWORKDIR b", []),
    ("FROM base\nWORKDIR $A", []),
    ("FROM scratch\nCOPY $nope /", ["UndefinedVar:2"]),
    ("FROM scratch\nCOPY ${nope:-x} /", []),
    ("FROM scratch\nENV a=1\nCOPY $a /", []),
    ("FROM scratch\nARG a\nCOPY $a /", []),
    ("FROM scratch\nCOPY $a /\nARG a", ["UndefinedVar:2"]),
    ("FROM scratch AS x\nARG a\nFROM x\nCOPY $a /", []),
    ("FROM base\nCOPY $unknown /", []),
    ("FROM known\nCOPY $SET $unset /", ["UndefinedVar:2"]),
    ("FROM scratch\nENV PATH=/x:$PATH", []),
    ('FROM scratch\nCMD ["a"]\nCMD ["b"]', ["MultipleInstructionsDisallowed:2"]),
    ('FROM scratch\nCMD ["a"]\nFROM scratch\nCMD ["b"]', []),
    ("FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK CMD x", ["MultipleInstructionsDisallowed:2"]),
    ("FROM scratch\nENV a b", ["LegacyKeyValueFormat:2"]),
    ("FROM scratch\nLABEL a b", ["LegacyKeyValueFormat:2"]),
    ("FROM scratch\nARG API_TOKEN", ["SecretsUsedInArgOrEnv:2"]),
    ("FROM scratch\nENV DB_PASSWORD=x", ["SecretsUsedInArgOrEnv:2"]),
    ("FROM scratch\nENV PUBLIC_KEY=x KEYBOARD=y PASSWORD_FILE=z", []),
    ("FROM scratch\nCOPY secret.txt /", ["CopyIgnoredFile:2"]),
    ("FROM scratch\nADD ./secret.txt kept.txt /", ["CopyIgnoredFile:2"]),
    ("FROM scratch\nCOPY kept.txt *.txt /", []),
    ("FROM scratch\nEXPOSE 127.0.0.1:80:80", ["ExposeInvalidFormat:2"]),
    ("FROM scratch\nEXPOSE 80 443/tcp 1-2/UDP $P", ["UndefinedVar:2"]),
    ("# check=skip=MaintainerDeprecated\nFROM scratch\nMAINTAINER me\nCMD a", ["JSONArgsRecommended:4"]),
    ("# check=skip=all\nFROM scratch\nMAINTAINER me", []),
    ("# check=skip=CMD,JSONArgsRecommended;error=true\nFROM scratch\nCMD a", []),
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_check(text: str, expected: list[str]) -> None:
    known = {"known": ["PATH", "SET"]}
    found = check(parse(Source("Dockerfile", text)), read_rules("secret.txt"), known.get)
    assert [f"{finding.rule}:{finding.line}" for finding in found] == expected


def test_every_rule_of_the_reference_is_there() -> None:
    assert len(RULES) == len(set(RULES)) == 19


def test_findings_can_be_errors() -> None:
    assert findings_are_errors(parse(Source("Dockerfile", "# check=error=true\nFROM a")))
    assert not findings_are_errors(parse(Source("Dockerfile", "FROM a")))


WORDS = st.sampled_from(
    [*KEYWORDS, *map(str.lower, KEYWORDS), "base", "AS", "a=b", "$v", "${v:-", "}", "<<EOF", "<<-'E'", "EOF",
     "E", "\\",
     "\\\n", "\n", "\n\n", "#", "# escape=`\n", '["a",', '"b"]', "[", "]", "'", '"', "--from=0",
     "--mount=type=cache",
     "--chown", "--", "=", "`", "\t", "\r\n", "\ufeff", "ü", "1-2/tcp", "NONE", "--interval=5s"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_any_text_is_parsed_or_refused_with_its_line(text: str) -> None:
    source = Source("Dockerfile", text)
    try:
        dockerfile = parse(source)
    except DockerfileError as error:
        assert "\n" not in error.message
        assert error.message.startswith("Dockerfile")
    else:
        check(dockerfile)


@given(st.text(alphabet="$={}:-+?#%/\\'\"` ab*\n", max_size=40))
def test_any_word_is_expanded_or_refused(text: str) -> None:
    for escape in ("\\", "`"):
        for function in (expand, expand_words):
            try:
                function(text, {"a": "*x*", "b": ""}, escape)
            except SubstitutionError as error:
                assert str(error)
