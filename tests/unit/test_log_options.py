"""--log-driver and --log-opt: what is taken, what is refused and in which words, what they come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.errors import InvalidInput
from runtime.model.container import Container, ContainerConfig, ContainerState
from runtime.model.log_options import check_log_options, log_details, log_files


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (0, 1, False, False, 0)),
        ({"max-size": "-1"}, (0, 1, False, False, 0)),
        ({"max-size": "10m", "max-file": "3"}, (10 << 20, 3, False, False, 0)),
        ({"max-size": "1.5k"}, (1536, 1, False, False, 0)),
        ({"max-size": "10m", "max-file": "3", "compress": "true"}, (10 << 20, 3, True, False, 0)),
        ({"max-size": "10m", "max-file": "3", "compress": "T"}, (10 << 20, 3, True, False, 0)),
        ({"driver": "local"}, (20 << 20, 5, True, False, 0)),
        ({"driver": "local", "compress": "false"}, (20 << 20, 5, False, False, 0)),
        ({"driver": "local", "max-file": "1"}, (20 << 20, 1, False, False, 0)),
        ({"driver": "local", "max-size": "-1"}, (0, 5, False, False, 0)),
        ({"mode": "blocking"}, (0, 1, False, True, 0)),
        ({"mode": "non-blocking"}, (0, 1, False, False, 1 << 20)),
        ({"mode": "non-blocking", "max-buffer-size": "4m"}, (0, 1, False, False, 4 << 20)),
    ],
)
def test_what_options_come_to(options: dict[str, str], expected: tuple[object, ...]) -> None:
    check_log_options(options)
    found = log_files(options)
    assert (found.max_size, found.max_file, found.compress, found.wait, found.buffer) == expected


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"max-size": "0"}, "invalid value for --log-opt max-size: '0'", "a size such as 10m, or -1"),
        ({"max-size": "ten"}, "invalid value for --log-opt max-size: 'ten'", "a size such as 10m"),
        ({"max-size": "-5"}, "invalid value for --log-opt max-size: '-5'", "-1 for no limit"),
        ({"max-size": "1m", "max-file": "0"}, "--log-opt max-file: '0'", "1 to 1000"),
        ({"max-size": "1m", "max-file": "x"}, "--log-opt max-file: 'x'", "1 to 1000"),
        ({"max-size": "1m", "max-file": "²"}, "--log-opt max-file: '²'", "1 to 1000"),
        ({"max-file": "3"}, "max-file cannot be used without max-size", "max-size=10m"),
        ({"compress": "maybe"}, "--log-opt compress: 'maybe'", "true or false"),
        ({"compress": "true"}, "compress=true needs a max-size, and a max-file of 2 or more", "max-file=3"),
        ({"compress": "true", "max-size": "1m"}, "compress=true needs", "max-file=3"),
        ({"mode": "fast"}, "--log-opt mode: 'fast'", "blocking or non-blocking"),
        ({"max-buffer-size": "1m"}, "max-buffer-size goes with mode=non-blocking only", ""),
        ({"max-buffer-size": "x", "mode": "non-blocking"}, "max-buffer-size: 'x'", "a size such as 10m"),
        ({"max-buffer-size": "2g", "mode": "non-blocking"}, "max-buffer-size: '2g'", "at most 1g"),
        ({"labels-regex": "("}, "--log-opt labels-regex: '('", "a regular expression"),
        ({"env-regex": "["}, "--log-opt env-regex: '['", "a regular expression"),
        ({"tag": "{{.Foo}}"}, "--log-opt tag: '{{.Foo}}'", "{{.ImageName}}"),
        ({"tag": "{{.ID"}, "--log-opt tag: '{{.ID'", "closed by }}"),
        ({"colour": "red"}, "unknown log opt 'colour' for the log driver json-file", "max-size"),
        ({"driver": "local", "tag": "x"}, "unknown log opt 'tag' for the log driver local", "max-size"),
        ({"driver": "syslog"}, "no log driver named 'syslog'", "json-file, local or none"),
        ({"driver": "none", "max-size": "1m"}, "--log-driver none takes no --log-opt", ""),
    ],
)
def test_what_is_refused(options: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_log_options(options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


CONTAINER = Container(
    id="0123456789abcdef" * 4,
    name="web",
    image_id="sha256:" + "f" * 64,
    created_at=0,
    config=ContainerConfig(
        image="app:1",
        env=("FOO=one=two", "FOX=", "BAR=3"),
        labels={"com.x": "a b", "com.y": "c", "zed": "9"},
    ),
    layers=(),
    state=ContainerState(),
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"labels": "com.x,missing,zed"}, {"com.x": "a b", "zed": "9"}),
        ({"labels-regex": "^com"}, {"com.x": "a b", "com.y": "c"}),
        ({"labels": "zed", "labels-regex": "x$"}, {"com.x": "a b", "zed": "9"}),
        ({"env": "FOO,FOX"}, {"FOO": "one=two", "FOX": ""}),
        ({"env-regex": "^(FOX|BAR)$"}, {"BAR": "3", "FOX": ""}),
        ({"tag": "{{.Name}}/{{ .ID }}/{{.ImageName}}"}, {"tag": "web/0123456789ab/app:1"}),
        ({"tag": "plain", "labels": "zed"}, {"tag": "plain", "zed": "9"}),
    ],
)
def test_details(options: dict[str, str], expected: dict[str, str]) -> None:
    config = replace(CONTAINER.config, log_options=options)
    found = log_details(replace(CONTAINER, config=config))
    assert found == expected
    assert list(found) == sorted(found)
