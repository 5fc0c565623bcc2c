"""``--change``: instructions that alter an image's config."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidInput
from runtime.images.changes import apply_changes
from runtime.images.oci import config_bytes, format_time, parse_config, parse_time
from runtime.model.container import HealthCheck
from runtime.model.image import HistoryEntry, ImageConfig


def test_every_instruction() -> None:
    config = apply_changes(
        ImageConfig(env=("A=1", "B=2")),
        [
            'CMD ["a", "b"]',
            "ENTRYPOINT run it",
            "ENV A=3 C='x y'",
            "env D e f",
            "EXPOSE 80 90-91/UDP",
            "LABEL k=v",
            "USER 5:6",
            'VOLUME ["/a", "/b"]',
            "VOLUME /c /a",
            "WORKDIR /x",
            "WORKDIR y/./z",
            "STOPSIGNAL SIGINT",
            "HEALTHCHECK CMD true",
            "ONBUILD RUN x",
            'SHELL ["/bin/bash", "-c"]',
        ],
    )
    assert config == ImageConfig(
        cmd=("a", "b"),
        entrypoint=("/bin/sh", "-c", "run it"),
        env=("A=3", "B=2", "C=x y", "D=e f"),
        exposed_ports=("80/tcp", "90/udp", "91/udp"),
        labels={"k": "v"},
        user="5:6",
        volumes=("/a", "/b", "/c"),
        working_dir="/x/y/z",
        stop_signal="SIGINT",
        healthcheck=HealthCheck(("CMD-SHELL", "true")),
        on_build=("RUN x",),
        shell=("/bin/bash", "-c"),
    )


@pytest.mark.parametrize(
    "change",
    ["", "RUN x", "CMD", "EXPOSE x", "EXPOSE 0", "EXPOSE 70000", "ENV A=1 B", "ENV A='", "HEALTHCHECK x"],
)
def test_refused(change: str) -> None:
    with pytest.raises(InvalidInput):
        apply_changes(ImageConfig(), [change])


def test_a_config_survives_its_json() -> None:
    config = ImageConfig(
        user="u",
        exposed_ports=("1/tcp",),
        env=("A=ü",),
        entrypoint=(),
        cmd=None,
        volumes=("/v",),
        working_dir="/w",
        labels={"a": "b"},
        stop_signal="9",
        healthcheck=HealthCheck(("NONE",), retries=5),
        shell=("sh",),
        on_build=("x",),
    )
    history = (
        HistoryEntry(created_at=5, created_by="x", comment="c", author="a"),
        HistoryEntry(empty_layer=True),
    )
    data = config_bytes(
        config=config,
        diff_ids=["sha256:1"],
        history=history,
        created_at=1_500_000_001,
        author="me",
        architecture="amd64",
        os="linux",
    )
    document = parse_config(data)
    assert (document.config, document.history) == (config, history)
    assert (document.created_at, document.diff_ids, document.author) == (1_500_000_001, ("sha256:1",), "me")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"rootfs": [1]}', b'{"config": {"Cmd": 5}}', b'{"history": [1]}']
)
def test_other_documents_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_config(data)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.5+01:00", 5 * 10**8),
        ("2024-05-01T10:00:00.123456789Z", 1714557600123456789),
        ("0001-01-01T00:00:00Z", 0),
        ("nonsense", 0),
        (None, 0),
    ],
)
def test_times(text: str | None, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds
    assert parse_time(format_time(nanoseconds)) == nanoseconds
