"""The registry client's pure parts: endpoints, proxies, challenges, platforms, what is retried."""

from __future__ import annotations

import pytest

from runtime.config import Config
from runtime.errors import InvalidInput, NotFound
from runtime.images.registry.auth import parse_challenges
from runtime.images.registry.endpoints import endpoints, is_insecure
from runtime.images.registry.login import registry_name
from runtime.images.registry.manifests import Descriptor, Index, Platform, choose
from runtime.images.registry.proxies import proxy_for
from runtime.images.registry.wording import retry_after

MIRROR = Config(registry_mirrors=("https://mirror.test/hub/", "http://10.0.0.1:5000"))


@pytest.mark.parametrize(
    ("domain", "config", "expected"),
    [
        ("docker.io", Config(), ["https://registry-1.docker.io"]),
        (
            "docker.io",
            MIRROR,
            ["https://mirror.test/hub", "http://10.0.0.1:5000", "https://registry-1.docker.io"],
        ),
        ("example.test", MIRROR, ["https://example.test"]),
        ("localhost:5000", Config(), ["https://localhost:5000", "http://localhost:5000"]),
        ("127.8.0.1", Config(), ["https://127.8.0.1", "http://127.8.0.1"]),
        ("a.test:1", Config(insecure_registries=("a.test:1",)), ["https://a.test:1", "http://a.test:1"]),
        ("a.test:2", Config(insecure_registries=("a.test:1",)), ["https://a.test:2"]),
    ],
)
def test_endpoints(domain: str, config: Config, expected: list[str]) -> None:
    assert [item.url for item in endpoints(domain, config)] == expected


@pytest.mark.parametrize("text", ["ftp://x", "https://", "https://me:pw@x", "https://x?y"])
def test_a_mirror_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="registry-mirrors"):
        endpoints("docker.io", Config(registry_mirrors=(text,)))


def test_insecure_by_address() -> None:
    assert is_insecure("r.test:5000", ("10.1.0.0/16",), lambda name: ["10.1.2.3"])
    assert not is_insecure("r.test:5000", ("10.1.0.0/16",), lambda name: ["10.2.2.3"])
    assert is_insecure("10.1.9.9:5000", ("10.1.0.0/16",))
    assert not is_insecure("r.test", (), lambda name: pytest.fail("nothing to compare with"))


PROXY = {
    "https_proxy": "http://p:1",
    "HTTP_PROXY": "q:2",
    "NO_PROXY": "no.test, .below.test,10.0.0.0/8,x.test:99",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/v2/", "http://p:1"),
        ("http://a.test/v2/", "http://q:2"),
        ("https://no.test/", ""),
        ("https://sub.no.test/", ""),
        ("https://below.test/", "http://p:1"),
        ("https://x.below.test/", ""),
        ("https://10.9.9.9:5000/", ""),
        ("https://x.test/", "http://p:1"),
        ("https://x.test:99/", ""),
        ("https://localhost:5000/", ""),
        ("http://127.0.0.1/", ""),
        ("http://[::1]:80/", ""),
    ],
)
def test_proxies(url: str, expected: str) -> None:
    assert proxy_for(url, PROXY) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
         [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"})]),
        ('Basic realm="a \\"b\\""', [("basic", {"realm": 'a "b"'})]),
        ('Negotiate, Basic realm=x', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ("", []),
        ('Bearer realm="open', [("bearer", {})]),
        ("=,=,=", []),
    ],
)  # fmt: skip
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(item.scheme, item.parameters) for item in parse_challenges([header])]
    assert found[: len(expected)] == expected


def descriptor(platform: str, name: str) -> Descriptor:
    return Descriptor("", f"sha256:{name * 64}", 1, Platform(*platform.split("/")))


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("linux/amd64", "a"), ("linux/arm64", "b"), ("linux/arm64/v8", "b"), ("linux/arm/v7", "d"),
     ("arm/v6", "c"), ("linux/arm/v5", ""), ("windows/amd64", ""), ("linux/arm", "d"),
     ("x86_64", "a"), ("aarch64", "b")],
)  # fmt: skip
def test_a_platform_is_chosen(wanted: str, chosen: str) -> None:
    index = Index(
        "",
        (
            descriptor("unknown/unknown", "e"),
            descriptor("linux/arm/v6", "c"),
            descriptor("linux/arm/v7", "d"),
            descriptor("linux/amd64", "a"),
            descriptor("linux/arm64/v8", "b"),
        ),
    )
    try:
        platform = Platform.parse(wanted if wanted != "arm/v6" else "linux/arm/v6")
        assert choose(index, platform, "x").digest == f"sha256:{chosen * 64}"
    except NotFound as error:
        assert not chosen and error.hint and "linux/amd64" in error.hint


@pytest.mark.parametrize("text", ["a/b/c/d", "linux/", "/", "linux/\x1b"])
def test_a_platform_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7", 7.0), ("", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", None)],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "docker.io"), ("https://index.docker.io/v1/", "docker.io"),
     ("http://localhost:5000/v2/", "localhost:5000"), ("r.test", "r.test")],
)  # fmt: skip
def test_registry_names(text: str, expected: str) -> None:
    assert registry_name(text) == expected
