"""References: the short forms, the full forms, and what is refused."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidInput
from runtime.images.reference import Reference, is_id_prefix, normalize

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("base", "docker.io/library/base:latest", "base:latest"),
        ("base:1.0", "docker.io/library/base:1.0", "base:1.0"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("docker.io/base", "docker.io/library/base:latest", "base:latest"),
        ("index.docker.io/library/base", "docker.io/library/base:latest", "base:latest"),
        ("docker.io/me/library/x", "docker.io/me/library/x:latest", "me/library/x:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:2", "localhost:5000/x:2", "localhost:5000/x:2"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io/a/b/c:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
        ("a__b.c-d--e", "docker.io/library/a__b.c-d--e:latest", "a__b.c-d--e:latest"),
        ("Host/x", "Host/x:latest", "Host/x:latest"),
    ],
)
def test_forms(text: str, full: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == full
    assert reference.familiar() == familiar
    assert normalize(full) == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:",
        "a/",
        "/a",
        "a//b",
        "-a",
        "a_",
        "a..b",
        "a:b:c",
        "a b",
        "a:" + "t" * 129,
        "a@sha256:12",
        "a" * 256,
        "ümlaut",
        "a:ü",
        "../a",
        "a\n",
        "f" * 64,
        "a@md5:" + "0" * 32,
        "x.y:99z/a",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reference.parse(text)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_capitals_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"repository name \(Base\) must be lowercase"):
        Reference.parse("Base")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abc", True), ("sha256:abc", True), ("a" * 65, False), ("xyz", False), ("", False), ("ABC", False)],
)
def test_id_prefixes(text: str, expected: bool) -> None:
    assert is_id_prefix(text) is expected
