""".dockerignore: patterns against paths, from the Dockerfile reference and moby's pattern matcher."""

from __future__ import annotations

import re

import pytest

from runtime.build.dockerignore import PatternError, pattern_regex, read_rules

EXCLUDED = [
    # (patterns, path, excluded)
    ("", "a", False),
    ("# a", "a", False),
    ("\n\n", "a", False),
    ("a", "a", True),
    ("a", "b", False),
    ("a", "a/b", True),
    ("a", "a/b/c", True),
    ("a", "b/a", False),
    ("a", "ab", False),
    ("/a", "a", True),
    ("/a", "a/b", True),
    ("a/", "a", True),
    ("a/", "a/b", True),
    ("./a", "a", True),
    ("a/./b", "a/b", True),
    ("a/../b", "b", True),
    ("  a  ", "a", True),
    (" # a", "# a", True),
    ("a/b", "a", False),
    ("a/b", "a/b", True),
    ("a/b", "a/b/c", True),
    # one star
    ("*", "a", True),
    ("*", "a/b", True),
    ("*.txt", "a.txt", True),
    ("*.txt", "a.md", False),
    ("*.txt", "d/a.txt", False),
    ("*.txt", ".txt", True),
    ("*.txt", "a.txtx", False),
    ("a*", "abc", True),
    ("a*", "a", True),
    ("a*", "ba", False),
    ("*/a", "b/a", True),
    ("*/a", "a", False),
    ("*/a", "b/c/a", False),
    ("*/*/a", "b/c/a", True),
    ("*/temp*", "somedir/temporary.txt", True),
    ("*/temp*", "somedir/temp", True),
    ("*/*/temp*", "somedir/subdir/temporary.txt", True),
    ("a*b", "a/b", False),
    ("a*b", "axxb", True),
    # question mark
    ("temp?", "tempa", True),
    ("temp?", "temp", False),
    ("temp?", "tempab", False),
    ("temp?", "temp/", False),
    ("?", "a", True),
    ("?", "ab", False),
    ("a?c", "a/c", False),
    # classes
    ("[ab]", "a", True),
    ("[ab]", "c", False),
    ("[a-c]x", "bx", True),
    ("[a-c]x", "dx", False),
    ("[^a-c]x", "dx", True),
    ("[^a-c]x", "ax", False),
    ("[^a]x", "/x", False),
    ("[\\]]", "]", True),
    ("[a\\-z]", "-", True),
    ("[a\\-z]", "b", False),
    # two stars
    ("**", "a", True),
    ("**", "a/b/c", True),
    ("**/a", "a", True),
    ("**/a", "b/a", True),
    ("**/a", "b/c/a", True),
    ("**/a", "b/a/c", True),
    ("**/a", "ba", False),
    ("**/*.go", "x.go", True),
    ("**/*.go", "a/b/x.go", True),
    ("**/*.go", "x.c", False),
    ("a/**", "a/b", True),
    ("a/**", "a/b/c", True),
    ("a/**", "a", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "b", False),
    ("**/a/**", "x/a/y", True),
    ("**/a/**", "x/a", False),
    ("**a", "xa", True),
    ("**a", "x/ya", True),
    ("a**", "abc", True),
    ("a**", "a/b", True),
    ("**.txt", "a/b.txt", True),
    ("***", "a/b", True),
    # regular expression characters are nothing special
    ("a.b", "axb", False),
    ("a+b", "aab", False),
    ("a+b", "a+b", True),
    ("a(b)", "a(b)", True),
    ("a|b", "a", False),
    ("a$", "a$", True),
    ("^a", "^a", True),
    ("{a}", "{a}", True),
    # escapes
    ("\\*", "*", True),
    ("\\*", "a", False),
    ("\\!a", "!a", True),
    ("\\#a", "#a", True),
    ("a\\?", "a?", True),
    ("a\\?", "ab", False),
    # taking back; the last match wins
    ("*.md\n!README.md", "README.md", False),
    ("*.md\n!README.md", "x.md", True),
    ("!README.md\n*.md", "README.md", True),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("*.md\n!README*.md\nREADME-secret.md", "README-public.md", False),
    ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
    ("*\n!a", "a", False),
    ("*\n!a", "a/b", False),
    ("*\n!a/b", "a/b", False),
    ("*\n!a/b", "a/c", True),
    ("*\n!a/b", "a", True),
    ("*\n!**/*.py", "x/y/z.py", False),
    ("*\n!**/*.py", "x/y/z.c", True),
    ("a\n!a/b\na/b/c", "a/b/c", True),
    ("a\n!a/b\na/b/c", "a/b/d", False),
    ("! a\na", "a", True),
    ("a\n! a", "a", False),
    ("a\n!/a", "a", False),
    ("docs\n!docs/keep", "docs/keep/x", False),
    ("**/*\n!src", "src/main.c", False),
    ("**/.git", ".git/config", True),
    ("**/node_modules", "web/node_modules/x/y", True),
    # files with odd names
    ("ü", "ü", True),
    ("a b", "a b", True),
    ("a\r", "a", True),
    ("\ufeffa", "a", True),
]  # fmt: skip


@pytest.mark.parametrize(("patterns", "path", "expected"), EXCLUDED)
def test_excluded(patterns: str, path: str, expected: bool) -> None:
    assert read_rules(patterns).excluded(path) is expected


def test_the_root_is_never_excluded() -> None:
    assert not read_rules("*\n**\n.").excluded("")


DESCEND = [
    ("a", "a", False),
    ("a\n!a/b", "a", True),
    ("a\n!a/b/c", "a/b", True),
    ("a\n!a/b", "a/c", False),
    ("a\n!b", "a", False),
    ("*\n!**/x", "a", True),
    ("*\n!a*/x", "abc", True),
    ("*\n!a*/x", "b", False),
]


@pytest.mark.parametrize(("patterns", "directory", "expected"), DESCEND)
def test_descend(patterns: str, directory: str, expected: bool) -> None:
    assert read_rules(patterns).descend(directory) is expected


@pytest.mark.parametrize("patterns", ["!", "a\n!", "[", "[a", "a[]", "a\\", "[a-"])
def test_wrong_patterns(patterns: str) -> None:
    with pytest.raises(PatternError):
        read_rules(patterns)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "a/b.txt", False),
        ("**/b.txt", "a/b.txt", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_pattern_regex(pattern: str, name: str, expected: bool) -> None:
    assert bool(re.fullmatch(pattern_regex(pattern), name, re.S)) is expected
