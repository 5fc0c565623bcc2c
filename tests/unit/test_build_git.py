"""Which texts are git repositories, and what they name (docs.docker.com, "Git repositories")."""

from __future__ import annotations

import pytest

from runtime.build.git import GitRepository, parse_git
from runtime.build.remote import is_remote_context
from runtime.errors import InvalidInput

FORMS = [
    ("https://github.com/u/r.git", GitRepository("https://github.com/u/r.git")),
    ("https://github.com/u/r.git#b", GitRepository("https://github.com/u/r.git", "b")),
    ("https://github.com/u/r.git#b:d/e", GitRepository("https://github.com/u/r.git", "b", "d/e")),
    ("https://github.com/u/r.git#:d", GitRepository("https://github.com/u/r.git", "", "d")),
    ("https://github.com/u/r", GitRepository("https://github.com/u/r")),
    ("github.com/u/r", GitRepository("https://github.com/u/r")),
    ("github.com/u/r#v1", GitRepository("https://github.com/u/r", "v1")),
    ("http://h/r.git", GitRepository("http://h/r.git")),
    ("git://h/r", GitRepository("git://h/r")),
    ("ssh://git@h:22/r.git#b", GitRepository("ssh://git@h:22/r.git", "b")),
    ("git@github.com:u/r.git", GitRepository("git@github.com:u/r.git")),
    ("git@github.com:u/r#b:d", GitRepository("git@github.com:u/r", "b", "d")),
    ("https://h/r.git?ref=b", GitRepository("https://h/r.git", "b")),
    ("https://h/r.git?branch=b", GitRepository("https://h/r.git", "refs/heads/b")),
    ("https://h/r.git?tag=v1&subdir=d", GitRepository("https://h/r.git", "refs/tags/v1", "d")),
    ("https://h/r.git?keep-git-dir=1", GitRepository("https://h/r.git", keep_git_dir=True)),
    ("https://h/r.git?commit=abc", GitRepository("https://h/r.git", commit="abc")),
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_forms(text: str, expected: GitRepository) -> None:
    assert parse_git(text) == expected


@pytest.mark.parametrize(
    "text",
    [".", "/path/r.git", "r.git", "https://h/file.tar.gz", "https://github.com/u/r/archive/x.zip", "file:///r.git",
     "ext::sh -c touch", "http://", "git:", "user@host", "a:b"],
)  # fmt: skip
def test_other_texts(text: str) -> None:
    assert parse_git(text) is None


@pytest.mark.parametrize(
    "text",
    ["https://h/r.git#-x", "https://h/r.git#a b", "https://h/r.git#b:../x", "https://h/r.git#b:a/../../x",
     "https://h/r.git?x=y", "https://h/r.git?ref=--upload-pack=x"],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_git(text)


def test_remote_contexts() -> None:
    assert is_remote_context("https://h/c.tar") and is_remote_context("git@h:r")
    assert not is_remote_context("./dir") and not is_remote_context("-")
