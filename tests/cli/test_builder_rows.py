"""Filters of the build cache's rows."""

from __future__ import annotations

import pytest

from runtime.build.prune import CacheRecord
from runtime.errors import InvalidInput
from tuidock.cli.builder_rows import details, select

RECORDS = [
    CacheRecord("aa11", "regular", "RUN make # buildkit", 10, 1, 2, 3),
    CacheRecord("ab22", "regular", "COPY . /app # buildkit", 20, 1, 2, 3, shared=True, parent="aa11"),
    CacheRecord("cc33", "exec.cachemount", "cached mount pip", 30, 1, 2, 3),
    CacheRecord("dd44", "exec.cachemount", "cached mount /root/.npm", 40, 1, 2, 3, in_use=True),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), "aa11 ab22 cc33 dd44"),
        (("mutable",), "cc33 dd44"),
        (("immutable",), "aa11 ab22"),
        (("!mutable",), "aa11 ab22"),
        (("mutable=true",), "cc33 dd44"),
        (("mutable=false",), "aa11 ab22"),
        (("mutable!=true",), "aa11 ab22"),
        (("inuse",), "dd44"),
        (("inuse=0",), "aa11 ab22 cc33"),
        (("private",), "aa11 cc33 dd44"),
        (("shared",), "ab22"),
        (("shared=1",), "ab22"),
        (("type=regular",), "aa11 ab22"),
        (("type!=regular",), "cc33 dd44"),
        (("type~=^exec",), "cc33 dd44"),
        (("type!~^exec",), "aa11 ab22"),
        (("description~=RUN|COPY",), "aa11 ab22"),
        (("description=cached mount pip",), "cc33"),
        (("id=aa",), "aa11"),
        (("id=a",), "aa11 ab22"),
        (("id!=a",), "cc33 dd44"),
        (("id=nothing",), ""),
        (("parents=aa11",), "ab22"),
        (("type=exec.cachemount", "!inuse"), "cc33"),
        (("until=24h",), "aa11 ab22 cc33 dd44"),
    ],
)
def test_filters(filters: tuple[str, ...], expected: str) -> None:
    assert " ".join(item.id for item in select(RECORDS, filters)[0]) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("until=24h", 86400), ("unused-for=90s", 90), ("until=2d", 172800), ("until=0s", 0)]
)
def test_ages(text: str, seconds: int) -> None:
    assert select((), (text,))[1] == seconds * 10**9


@pytest.mark.parametrize(
    "text", ["colour=red", "type", "id", "", "=", "description~=(", "until=soon", "until", "~=x", "mutable x"]
)
def test_wrong_filters(text: str) -> None:
    with pytest.raises(InvalidInput):
        select(RECORDS, (text,))


def test_details() -> None:
    shown = details(RECORDS[1])
    assert "ID:             ab22\nParent:         aa11\n" in shown
    assert "Shared:         true\nSize:           20B\nDescription:    COPY . /app # buildkit\n" in shown
    assert shown.endswith("Type:           regular\n")
