"""Variables in compose files, and environment files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.compose import dotenv
from runtime.compose.interpolate import substitute
from runtime.errors import InvalidInput, NotFound

VARIABLES = {"V": "value", "EMPTY": "", "A": "a", "_x1": "under", "D": "$V"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$V", "value"),
        ("${V}", "value"),
        ("x$V-y", "xvalue-y"),
        ("$V$A", "valuea"),
        ("${V}${A}", "valuea"),
        ("$Vx", ""),
        ("${_x1}", "under"),
        ("$_x1", "under"),
        ("$$V", "$V"),
        ("$$$V", "$value"),
        ("$${V}", "${V}"),
        ("a$$", "a$"),
        ("$D", "$V"),
        ("${V:-d}", "value"),
        ("${EMPTY:-d}", "d"),
        ("${NONE:-d}", "d"),
        ("${V-d}", "value"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE:-}", ""),
        ("${V:+r}", "r"),
        ("${EMPTY:+r}", ""),
        ("${NONE:+r}", ""),
        ("${V+r}", "r"),
        ("${EMPTY+r}", "r"),
        ("${NONE+r}", ""),
        ("${V:?needed}", "value"),
        ("${EMPTY?needed}", ""),
        ("${NONE:-$V}", "value"),
        ("${NONE:-${V}}", "value"),
        ("${NONE:-${OTHER:-deep}}", "deep"),
        ("${NONE:-${OTHER:-${THIRD-deeper}}}", "deeper"),
        ("${NONE:-a}b", "ab"),
        ("${NONE:-http://h:80/p?q=1}", "http://h:80/p?q=1"),
        ("${NONE:-x-y:z}", "x-y:z"),
        ("${NONE:-$$V}", "$V"),
        ("${V:+${A}}", "a"),
        ("${EMPTY:-${NONE:-}}", ""),
        ("{V}", "{V}"),
        ("}$V{", "}value{"),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert substitute(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$", "invalid interpolation format"),
        ("a$ b", "invalid interpolation format"),
        ("$1", "invalid interpolation format"),
        ("${", "not closed"),
        ("${V", "not closed"),
        ("${}", "invalid interpolation format"),
        ("${1}", "invalid interpolation format"),
        ("${V!x}", "invalid interpolation format"),
        ("${V:=x}", "invalid interpolation format"),
        ("${V:}", "invalid interpolation format"),
        ("${ V }", "invalid interpolation format"),
        ("${NONE:-${}", "not closed"),
        ("${NONE:?}", "required variable NONE is missing a value"),
        ("${NONE:?set it}", "required variable NONE is missing a value: set it"),
        ("${EMPTY:?set it}", "required variable EMPTY is missing a value: set it"),
        ("${NONE?set $V}", "required variable NONE is missing a value: set value"),
        ("${N:-" * 60 + "}" * 60, "nested too deeply"),
    ],
)
def test_wrong_substitution(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        substitute(text, VARIABLES)
    assert reason in str(caught.value)


def test_unset_variables_are_told() -> None:
    told: list[str] = []
    assert substitute("$NONE ${OTHER} ${V} ${X:-d} ${EMPTY}", VARIABLES, told.append) == "  value d "
    assert told == ["NONE", "OTHER"]


def test_an_unused_word_is_not_evaluated() -> None:
    told: list[str] = []
    assert substitute("${V:-$NONE}", VARIABLES, told.append) == "value"
    assert told == []


@given(st.text(alphabet="${}VA:-+?x ", max_size=30))
def test_only_value_errors_come_out(text: str) -> None:
    try:
        substitute(text, VARIABLES)
    except ValueError:
        return


@given(st.text(max_size=30))
def test_doubled_dollars_give_the_text_back(text: str) -> None:
    assert substitute(text.replace("$", "$$"), VARIABLES) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A= x y ", {"A": "x y"}),
        ("A:  x", {"A": "x"}),
        ("export A=1", {"A": "1"}),
        ("  A = 1", {"A": "1"}),
        ("# c\n\nA=1 # c", {"A": "1"}),
        ("A=1#2", {"A": "1#2"}),
        ("A=#c", {"A": ""}),
        ("A='x # y'", {"A": "x # y"}),
        ("A='$V'", {"A": "$V"}),
        (r"A='it\'s'", {"A": "it's"}),
        ('A="x # y" # c', {"A": "x # y"}),
        ('A="$V"', {"A": "value"}),
        (r'A="a\nb\t\"c\" \\ \$V"', {"A": 'a\nb\t"c" \\ $V'}),
        ('A="two\nlines"\nB=2', {"A": "two\nlines", "B": "2"}),
        ("A='two\nlines'\nB=2", {"A": "two\nlines", "B": "2"}),
        ("A=${V}-x", {"A": "value-x"}),
        ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
        ("A=1\nV=mine\nB=$V", {"A": "1", "V": "mine", "B": "value"}),
        ("A=${NONE:-d}", {"A": "d"}),
        ("V\nNONE\nB=1", {"V": "value", "B": "1"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("a.b-c=1", {"a.b-c": "1"}),
        ("A=http://x:80/y", {"A": "http://x:80/y"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_env_files(text: str, expected: dict[str, str]) -> None:
    assert dotenv.parse_text(text, ".env", {"V": "value"}) == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("A=1\n=2", 2, "unexpected text"),
        ("A B=1", 1, "unexpected text"),
        ("A=1\n\n-x=1", 3, "unexpected text"),
        ("A='x", 1, "quote is not closed"),
        ('B=1\nA="x', 2, "quote is not closed"),
        ('A="x" y', 1, "after the closing quote"),
        ("A=${", 1, "not closed"),
        ("A=${X:?no}", 1, "required variable X is missing a value: no"),
    ],
)
def test_wrong_env_files_name_the_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        dotenv.parse_text(text, "my.env", {})
    assert caught.value.message.startswith(f"my.env:{line}: ")
    assert reason in caught.value.message


def test_env_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        dotenv.read(tmp_path / "none", {})
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="UTF-8"):
        dotenv.read(tmp_path / "bytes", {})
    with pytest.raises(InvalidInput, match="cannot read"):
        dotenv.read(tmp_path, {})


@given(st.text(alphabet="AB=:#'\"$\\ \n{}x", max_size=40))
def test_only_invalid_input_comes_out_of_env_files(text: str) -> None:
    try:
        dotenv.parse_text(text, ".env", {})
    except InvalidInput:
        return
