"""Substitution, row by row from the Dockerfile reference ("Environment replacement") and shell habits."""

from __future__ import annotations

import pytest

from runtime.build.substitution import SubstitutionError, expand, expand_words, unquote

VARIABLES = {
    "foo": "/bar",
    "abc": "hello",
    "def": "there",
    "empty": "",
    "path": "/usr/local/lib/libz.so.1.2",
    "file": "archive.tar.gz",
    "spaces": "a b  c",
    "A": "1",
    "B_2": "two",
    "_x": "under",
    "quote": "it's",
    "nested": "abc",
    "glob": "a*b?c",
    "slashes": "a/b/c",
    "uni": "grün",
}

ROWS = [
    # plain words
    ("", ""),
    ("hello", "hello"),
    ("a b", "a b"),
    ("  a  ", "  a  "),
    # names
    ("$foo", "/bar"),
    ("${foo}", "/bar"),
    ("$foo/x", "/bar/x"),
    ("x$foo", "x/bar"),
    ("${foo}x", "/barx"),
    ("$foox", ""),
    ("$A$B_2", "1two"),
    ("$_x", "under"),
    ("${_x}", "under"),
    ("$uni", "grün"),
    ("$unset", ""),
    ("${unset}", ""),
    ("a${unset}b", "ab"),
    ("$empty", ""),
    ("$", "$"),
    ("$ ", "$ "),
    ("a$", "a$"),
    ("$.", "$."),
    ("$/x", "$/x"),
    ("${A}${A}", "11"),
    ("$A-$A", "1-1"),
    ("$A.$B_2", "1.two"),
    ("$1", ""),
    ("${1}", ""),
    # escapes
    (r"\$foo", "$foo"),
    (r"\${foo}", "${foo}"),
    (r"\\$foo", r"\/bar"),
    (r"\\\$foo", r"\$foo"),
    (r"a\ b", "a b"),
    (r"\a", "a"),
    ("\\", ""),
    (r"a\"b", 'a"b'),
    (r"\'x\'", "'x'"),
    # single quotes
    ("'$foo'", "$foo"),
    ("'a b'", "a b"),
    ("a'b'c", "abc"),
    (r"'\'", "\\"),
    ("''", ""),
    ("'${foo:-x}'", "${foo:-x}"),
    ("'\"'", '"'),
    # double quotes
    ('"$foo"', "/bar"),
    ('"a b"', "a b"),
    ('a"b"c', "abc"),
    (r'"\$foo"', "$foo"),
    (r'"\""', '"'),
    (r'"\\"', "\\"),
    (r'"\a"', r"\a"),
    ('"\'"', "'"),
    ("\"'$foo'\"", "'/bar'"),
    ('""', ""),
    ('"${unset:-a b}"', "a b"),
    ('"$spaces"', "a b  c"),
    # :- and -
    ("${foo:-x}", "/bar"),
    ("${unset:-x}", "x"),
    ("${empty:-x}", "x"),
    ("${foo-x}", "/bar"),
    ("${unset-x}", "x"),
    ("${empty-x}", ""),
    ("${unset:-}", ""),
    ("${unset:-$abc}", "hello"),
    ("${unset:-${abc}}", "hello"),
    ("${unset:-${nope:-deep}}", "deep"),
    ("${unset:-${nope:-${abc}}}", "hello"),
    ("${unset:-a b}", "a b"),
    ('${unset:-"a b"}', "a b"),
    ("${unset:-'$abc'}", "$abc"),
    (r"${unset:-\$abc}", "$abc"),
    (r"${unset:-a\}b}", "a}b"),
    ("${unset:-:}", ":"),
    ("${unset:--}", "-"),
    ("${unset:-/a/b}", "/a/b"),
    ("x${unset:-y}z", "xyz"),
    # :+ and +
    ("${foo:+x}", "x"),
    ("${unset:+x}", ""),
    ("${empty:+x}", ""),
    ("${foo+x}", "x"),
    ("${unset+x}", ""),
    ("${empty+x}", "x"),
    ("${foo:+$abc}", "hello"),
    ("${foo:+${abc}-${def}}", "hello-there"),
    ("${abc:+}", ""),
    # :? and ?
    ("${foo:?broken}", "/bar"),
    ("${foo?broken}", "/bar"),
    ("${empty?broken}", ""),
    # # and ##
    ("${path#/}", "usr/local/lib/libz.so.1.2"),
    ("${path#*/}", "usr/local/lib/libz.so.1.2"),
    ("${path##*/}", "libz.so.1.2"),
    ("${path#nomatch}", "/usr/local/lib/libz.so.1.2"),
    ("${file#*.}", "tar.gz"),
    ("${file##*.}", "gz"),
    ("${file#archive}", ".tar.gz"),
    ("${file#?}", "rchive.tar.gz"),
    ("${file#}", "archive.tar.gz"),
    ("${unset#x}", ""),
    ("${glob#a\\*}", "b?c"),
    ("${path#$foo}", "/usr/local/lib/libz.so.1.2"),
    ("${abc#$abc}", ""),
    ("${abc##*}", ""),
    ("${abc#*}", "hello"),
    # % and %%
    ("${file%.*}", "archive.tar"),
    ("${file%%.*}", "archive"),
    ("${file%.gz}", "archive.tar"),
    ("${file%gz}", "archive.tar."),
    ("${file%nomatch}", "archive.tar.gz"),
    ("${path%/*}", "/usr/local/lib"),
    ("${path%%/*}", ""),
    ("${file%?}", "archive.tar.g"),
    ("${abc%%*}", ""),
    ("${abc%*}", "hello"),
    ("${unset%x}", ""),
    ("${file%}", "archive.tar.gz"),
    ("${glob%\\?c}", "a*b"),
    # / and //
    ("${abc/l/L}", "heLlo"),
    ("${abc//l/L}", "heLLo"),
    ("${abc/l/}", "helo"),
    ("${abc//l/}", "heo"),
    ("${abc/x/y}", "hello"),
    ("${abc/h*/x}", "x"),
    ("${abc/?/x}", "xello"),
    ("${abc//?/x}", "xxxxx"),
    ("${slashes//\\//-}", "a-b-c"),
    ("${slashes/\\//-}", "a-b/c"),
    ("${abc/l/$def}", "hetherelo"),
    ("${abc/$abc/x}", "x"),
    ("${unset/a/b}", ""),
    ("${file/./-}", "archive-tar.gz"),
    ("${file//./-}", "archive-tar-gz"),
    # mixed
    ("$foo:${abc}", "/bar:hello"),
    ("${foo}${unset:-/default}${def:+/set}", "/bar/default/set"),
    ("a'$foo'\"$foo\"$foo", "a$foo/bar/bar"),
    ("${quote}", "it's"),
    ("'${a'", "${a"),
    ("http://$abc:80/${def}?x=1", "http://hello:80/there?x=1"),
    ("#$abc", "#hello"),
    ("{$abc}", "{hello}"),
    ("}", "}"),
    ("$abc}", "hello}"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), ROWS)
def test_expand(word: str, expected: str) -> None:
    assert expand(word, VARIABLES) == expected


ERRORS = [
    ("${", "missing '}'"),
    ("${foo", "missing '}'"),
    ("${foo:", "missing '}'"),
    ("${foo:-", "missing '}'"),
    ("${foo:-x", "missing '}'"),
    ("${foo#x", "missing '}'"),
    ("${foo/x", "missing '}'"),
    ("${foo/x/y", "missing '}'"),
    ("${}", "bad substitution"),
    ("${:-x}", "bad substitution"),
    ("${ }", "bad substitution"),
    ("${{foo}}", "bad substitution"),
    ("${foo:x}", "unsupported modifier (:x)"),
    ("${foo:#x}", "unsupported modifier (:#)"),
    ("${foo:%x}", "unsupported modifier (:%)"),
    ("${foo:1:2}", "unsupported modifier (:1)"),
    ("${foo=x}", "unsupported modifier (=)"),
    ("${foo^}", "unsupported modifier (^)"),
    ("${foo,}", "unsupported modifier (,)"),
    ("${foo bar}", "unsupported modifier ( )"),
    ("${unset:?}", "unset: not allowed to be empty"),
    ("${unset?}", "unset: not allowed to be unset"),
    ("${empty:?}", "empty: not allowed to be empty"),
    ("${unset:?give a value}", "unset: give a value"),
    ("${unset?give $abc}", "unset: give hello"),
    ("'abc", "matching single-quote"),
    ('"abc', "matching double-quote"),
    ("a'", "matching single-quote"),
    ('"${foo}', "matching double-quote"),
    ('${unset:-"x}', "matching double-quote"),
]


@pytest.mark.parametrize(("word", "message"), ERRORS)
def test_expand_refuses(word: str, message: str) -> None:
    with pytest.raises(SubstitutionError) as caught:
        expand(word, VARIABLES)
    assert message in str(caught.value)


WORDS = [
    ("", []),
    ("   ", []),
    ("a", ["a"]),
    ("a b", ["a", "b"]),
    (" a   b ", ["a", "b"]),
    ("a\tb", ["a", "b"]),
    ("'a b' c", ["a b", "c"]),
    ('"a b" c', ["a b", "c"]),
    (r"a\ b c", ["a b", "c"]),
    ("$spaces", ["a", "b", "c"]),
    ('"$spaces"', ["a b  c"]),
    ("x$spaces", ["xa", "b", "c"]),
    ("${unset:-1 2}", ["1", "2"]),
    ("$unset", []),
    ('"$unset"', [""]),
    ("''", [""]),
    ("80/tcp $A", ["80/tcp", "1"]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_expand_words(text: str, expected: list[str]) -> None:
    assert expand_words(text, VARIABLES) == expected


RAW = [
    ("$foo", "/bar"),
    ("'$foo'", "'$foo'"),
    ('"$foo"', '"/bar"'),
    (r"\$foo", r"\$foo"),
    (r'"\""', r'"\""'),
    (r"a\b", r"a\b"),
    ("a b", "a b"),
]


@pytest.mark.parametrize(("text", "expected"), RAW)
def test_raw_keeps_quotes_and_escapes(text: str, expected: str) -> None:
    assert expand(text, VARIABLES, raw=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF", ["RUN", "<<EOF"]),
        ("RUN <<'EOF' cat", ["RUN", "<<'EOF'", "cat"]),
        ('RUN echo "<<EOF x"', ["RUN", "echo", '"<<EOF x"']),
        ("RUN echo $x", ["RUN", "echo", "$x"]),
    ],
)
def test_raw_words(text: str, expected: list[str]) -> None:
    assert expand_words(text, {}, raw=True) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("`$foo", "$foo"),
        (r"\$foo", r"\/bar"),
        ("C:\\$abc", "C:\\hello"),
        ("``", "`"),
        ("${unset:-`}}", "}"),
        (r"${unset:-a\b}", r"a\b"),
    ],
)
def test_other_escape_character(word: str, expected: str) -> None:
    assert expand(word, VARIABLES, "`") == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("EOF", "EOF"), ("'EOF'", "EOF"), ('"EOF"', "EOF"), ('E"O"F', "EOF"), ("'a b'", "a b"), ("'x", "'x")],
)
def test_unquote(word: str, expected: str) -> None:
    assert unquote(word) == expected


def test_unset_names_are_told() -> None:
    told: list[str] = []
    expand("$foo $nope ${gone} ${later:-x} ${cut#a}", VARIABLES, on_unset=told.append)
    assert told == ["nope", "gone", "cut"]
