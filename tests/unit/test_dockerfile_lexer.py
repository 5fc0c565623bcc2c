"""From physical to logical lines: directives, comments, continuations, heredocs."""

from __future__ import annotations

import pytest

from runtime.build.failure import DockerfileError
from runtime.build.lexer import LogicalLine, Source, heredoc_of, lex


def lines(text: str) -> list[LogicalLine]:
    return list(lex(Source("Dockerfile", text)).lines)


def texts(text: str) -> list[str]:
    return [line.text for line in lines(text)]


TEXTS = [
    ("", []),
    ("\n\n", []),
    ("# only\n# comments\n", []),
    ("FROM a", ["FROM a"]),
    ("FROM a\n", ["FROM a"]),
    ("FROM a\r\nRUN b\r\n", ["FROM a", "RUN b"]),
    ("\ufeffFROM a\n", ["FROM a"]),
    ("  FROM a  \n", ["FROM a"]),
    ("\tFROM a\n", ["FROM a"]),
    ("FROM a\n# c\nRUN b", ["FROM a", "RUN b"]),
    ("FROM a\n  # indented\nRUN b", ["FROM a", "RUN b"]),
    ("RUN echo # no comment", ["RUN echo # no comment"]),
    ("RUN a \\\n b", ["RUN a  b"]),
    ("RUN a\\\nb", ["RUN ab"]),
    ("RUN a \\  \n b", ["RUN a  b"]),
    ("RUN a \\\t\n b", ["RUN a  b"]),
    ("RUN a \\\n b \\\n c", ["RUN a  b  c"]),
    ("RUN a \\\n# comment\n b", ["RUN a  b"]),
    ("RUN a \\\n  # comment\n b", ["RUN a  b"]),
    ("RUN a \\\n# one\n# two\n b", ["RUN a  b"]),
    ("RUN a \\\n\n b", ["RUN a  b"]),
    ("RUN a \\\n\n\n b\nRUN c", ["RUN a  b", "RUN c"]),
    ("RUN a \\\n# comment \\\n b", ["RUN a  b"]),
    ("RUN a \\", ["RUN a"]),
    ("RUN a \\\n", ["RUN a"]),
    ("RUN a\\\\", ["RUN a\\\\"]),
    ("RUN a\\\\\nRUN b", ["RUN a\\\\", "RUN b"]),
    ("RUN a \\ b", ["RUN a \\ b"]),
    ("\\\nFROM a", ["FROM a"]),
    ("RUN \\\n  a", ["RUN   a"]),
    ("RUN a \\\n b # x", ["RUN a  b # x"]),
    ("RUN a \\\r\n b\r\n", ["RUN a  b"]),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_logical_lines(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


NUMBERS = [
    ("FROM a\nRUN b", [(1, 1), (2, 2)]),
    ("\n\nFROM a\n\nRUN b", [(3, 3), (5, 5)]),
    ("FROM a\nRUN b \\\n  c \\\n  d\nRUN e", [(1, 1), (2, 4), (5, 5)]),
    ("# c\nFROM a\n# c\nRUN <<E\nx\nE\nRUN z", [(2, 2), (4, 6), (7, 7)]),
]


@pytest.mark.parametrize(("text", "expected"), NUMBERS)
def test_line_numbers(text: str, expected: list[tuple[int, int]]) -> None:
    assert [(line.first, line.last) for line in lines(text)] == expected


def test_empty_line_inside_an_instruction_is_noted() -> None:
    assert [line.empty_continuation for line in lines("RUN a \\\n\n b\nRUN c \\\n d")] == [True, False]


DIRECTIVES = [
    ("# syntax=docker/dockerfile:1\nFROM a", {"syntax": "docker/dockerfile:1"}),
    ("#syntax=x\nFROM a", {"syntax": "x"}),
    ("#  SYNTAX = x \nFROM a", {"syntax": "x"}),
    ("# escape=`\nFROM a", {"escape": "`"}),
    ("# escape=\\\nFROM a", {"escape": "\\"}),
    ("# check=skip=all;error=true\nFROM a", {"check": "skip=all;error=true"}),
    ("# syntax=x\n# escape=`\nFROM a", {"syntax": "x", "escape": "`"}),
    ("# hello\n# escape=`\nFROM a", {}),
    ("\n# escape=`\nFROM a", {}),
    ("FROM a\n# escape=`", {}),
    ("# unknown=1\n# escape=`\nFROM a", {}),
    ("# syntax=x\n# hello\n# escape=`\nFROM a", {"syntax": "x"}),
]


@pytest.mark.parametrize(("text", "expected"), DIRECTIVES)
def test_directives(text: str, expected: dict[str, str]) -> None:
    assert lex(Source("Dockerfile", text)).directives == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# escape=x\nFROM a", "Dockerfile:1: invalid ESCAPE 'x'"),
        ("# escape=`\n# escape=\\\nFROM a", "Dockerfile:2: only one escape parser directive"),
        ("FROM a\nRUN <<EOF\nx\n", "Dockerfile:2: unterminated heredoc EOF"),
        ("FROM a\nCOPY <<A <<B /x/\n1\nA\n2\n", "Dockerfile:2: unterminated heredoc B"),
        ("FROM a\nRUN <<EOF\nEOF x", "unterminated heredoc EOF"),
        ("FROM a\nRUN <<EOF\n EOF", "unterminated heredoc EOF"),
        ("FROM a\nRUN <<EOF\n\tEOF", "unterminated heredoc EOF"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        lex(Source("Dockerfile", text))
    assert message in caught.value.message
    assert ">>>" in caught.value.details


def test_backtick_escape_joins_lines() -> None:
    assert texts("# escape=`\nFROM a\nRUN dir c:\\\nRUN a `\n b") == ["FROM a", "RUN dir c:\\", "RUN a  b"]


HEREDOCS = [
    ("RUN <<EOF\nEOF", [("EOF", "", True)]),
    ("RUN <<EOF\na\nb\nEOF\n", [("EOF", "a\nb\n", True)]),
    ("RUN <<'EOF'\n$a\nEOF", [("EOF", "$a\n", False)]),
    ('RUN <<"EOF"\n$a\nEOF', [("EOF", "$a\n", False)]),
    ("RUN <<E\n# kept\n\n  kept \\\nE", [("E", "# kept\n\n  kept \\\n", True)]),
    ("RUN <<-E\n\t\ta\n\tE", [("E", "a\n", True)]),
    ("RUN <<-E\n\t  a\n\tE", [("E", "  a\n", True)]),
    ("RUN <<-'E'\n\ta\nE", [("E", "a\n", False)]),
    ("RUN cat <<E > /x\na\nE", [("E", "a\n", True)]),
    ("RUN 3<<E cat\na\nE", [("E", "a\n", True)]),
    ("COPY <<a.txt <<b.txt /x/\n1\na.txt\n2\nb.txt", [("a.txt", "1\n", True), ("b.txt", "2\n", True)]),
    ("ADD <<E /x\na\nE", [("E", "a\n", True)]),
    ("ONBUILD COPY <<E /x\na\nE", [("E", "a\n", True)]),
    ("run <<E\na\nE", [("E", "a\n", True)]),
    ("RUN <<E\r\na\r\nE\r\n", [("E", "a\r\n", True)]),
    ("RUN a \\\n <<E\nb\nE", [("E", "b\n", True)]),
]


@pytest.mark.parametrize(("text", "expected"), HEREDOCS)
def test_heredocs(text: str, expected: list[tuple[str, str, bool]]) -> None:
    (line,) = lines(text)
    assert [(item.name, item.content, item.expand) for item in line.heredocs] == expected


@pytest.mark.parametrize(
    "text",
    [
        "RUN echo '<<EOF'",
        'RUN echo "<<EOF"',
        "RUN cat <<<EOF",
        "RUN echo a<<EOF",
        "RUN echo $((1 << 2))",
        "ENV a=<<EOF",
        "LABEL a <<EOF",
        "CMD <<EOF",
        "RUN echo \\<<EOF",
        "RUN echo << EOF",
    ],
)
def test_no_heredoc(text: str) -> None:
    assert [line.heredocs for line in lines(text)] == [()]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("<<EOF", ("EOF", 0, True, False)),
        ("5<<EOF", ("EOF", 5, True, False)),
        ("<<-EOF", ("EOF", 0, True, True)),
        ("<<'EOF'", ("EOF", 0, False, False)),
        ('<<-"EOF"', ("EOF", 0, False, True)),
        ("<<E'O'F", ("EOF", 0, False, False)),
        ("<<a/b.txt", ("a/b.txt", 0, True, False)),
        ("<<", None),
        ("<<-", None),
        ("<<'a b'", None),
        ("<<<x", None),
        ("x<<EOF", None),
        ("EOF", None),
        ("<EOF", None),
    ],
)
def test_heredoc_words(word: str, expected: tuple[str, int, bool, bool] | None) -> None:
    found = heredoc_of(word)
    assert (found and (found.name, found.file_descriptor, found.expand, found.chomp)) == expected
