"""``RUN --mount`` flags and ``--chown``/``--chmod`` values."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runtime.build.layer_writer import Owner
from runtime.build.mounts import MountError, parse_mount
from runtime.build.ownership import OwnershipError, mode_change, resolve_owner
from runtime.images.layer_view import LayerView

MOUNTS: list[tuple[str, dict[str, object]]] = [
    ("target=/x", {"type": "bind", "target": "/x", "read_write": False}),
    ("type=bind,dst=/x,src=a", {"target": "/x", "source": "a"}),
    ("type=bind,destination=/x,rw", {"target": "/x", "read_write": True}),
    ("type=bind,target=/x,readwrite=true", {"read_write": True}),
    ("type=bind,target=/x,rw=false", {"read_write": False}),
    ("type=bind,target=/x,ro", {"read_write": False}),
    ("type=bind,from=build,source=/a,target=/x", {"from_": "build", "source": "/a"}),
    ("type=cache,target=/c", {"type": "cache", "sharing": "shared", "id": "", "read_only": False}),
    ("type=cache,target=/c,id=x,sharing=locked", {"id": "x", "sharing": "locked"}),
    ("type=cache,target=/c,readonly", {"read_only": True}),
    ("type=cache,target=/c,mode=0700,uid=1,gid=2", {"mode": 0o700, "uid": 1, "gid": 2}),
    ("type=tmpfs,target=/t", {"type": "tmpfs", "size": None}),
    ("type=tmpfs,target=/t,size=64m", {"size": 64 << 20}),
    ("type=tmpfs,target=/t,size=1000", {"size": 1000}),
    ("type=tmpfs,target=/t,size=1GB", {"size": 1 << 30}),
    ("type=secret,id=s", {"type": "secret", "id": "s", "required": False, "mode": None}),
    ("type=secret,id=s,required", {"required": True}),
    ("type=secret,id=s,env=TOKEN", {"env": "TOKEN"}),
    ("type=secret,target=/s", {"target": "/s", "id": ""}),
    ("type=ssh", {"type": "ssh", "id": ""}),
    ("type=ssh,id=x,required=true", {"id": "x", "required": True}),
]


@pytest.mark.parametrize(("text", "expected"), MOUNTS)
def test_parse_mount(text: str, expected: dict[str, object]) -> None:
    found = parse_mount(text)
    assert {name: getattr(found, name) for name in expected} == expected


WRONG_MOUNTS = [
    ("type=foo,target=/x", "unsupported mount type 'foo'"),
    ("type=bind", "needs target="),
    ("type=cache", "needs target="),
    ("type=tmpfs", "needs target="),
    ("type=secret", "needs id= or target="),
    ("target", "must be key=value"),
    ("type=tmpfs,target=/x,from=y", "unexpected key 'from'"),
    ("type=bind,target=/x,size=1", "unexpected key 'size'"),
    ("type=cache,target=/x,sharing=foo", "unsupported sharing value 'foo'"),
    ("type=tmpfs,target=/x,size=big", "invalid size 'big'"),
    ("type=cache,target=/x,mode=9", "invalid number '9'"),
    ("type=secret,id=x,required=perhaps", "invalid value for required"),
    ("type=bind,from=$x,target=/x", "variables are not expanded"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_MOUNTS)
def test_wrong_mounts(text: str, message: str) -> None:
    with pytest.raises(MountError) as caught:
        parse_mount(text)
    assert message in str(caught.value)


@pytest.fixture
def accounts(tmp_path: Path) -> LayerView:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\nbroken:x\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:50:\n")
    return LayerView([tmp_path])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", (0, 0)), ("1000", (1000, 1000)), ("1:2", (1, 2)), ("app", (1000, 1001)), ("app:staff", (1000, 50)),
     ("1:staff", (1, 50)), ("app:7", (1000, 7)), (":staff", (0, 50)), ("app:", (1000, 1001))],
)  # fmt: skip
def test_resolve_owner(accounts: LayerView, text: str, expected: tuple[int, int]) -> None:
    assert resolve_owner(text, accounts) == Owner(*expected)


@pytest.mark.parametrize("text", ["nobody-here", "app:nogroup", "broken", "4294967296", "1:4294967295"])
def test_unknown_owner(accounts: LayerView, text: str) -> None:
    with pytest.raises(OwnershipError):
        resolve_owner(text, accounts)


def test_passwd_that_is_a_fifo_is_not_read(tmp_path: Path) -> None:
    import os

    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    with pytest.raises(OwnershipError):
        resolve_owner("app", LayerView([tmp_path]))


FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [("755", FILE | 0o644, 0o755), ("0644", FILE | 0o777, 0o644), ("4755", FILE, 0o4755),
     ("u+x", FILE | 0o644, 0o744),
     ("+x", FILE | 0o644, 0o755), ("a-w", FILE | 0o666, 0o444), ("go=", FILE | 0o777, 0o700),
     ("u=rwX,go=rX", FILE | 0o600, 0o644), ("u=rwX,go=rX", DIRECTORY | 0o700, 0o755),
     ("u=rwX,go=rX", FILE | 0o700, 0o755), ("g=u", FILE | 0o640, 0o660), ("u+s", FILE | 0o755, 0o4755),
     ("+t", DIRECTORY | 0o777, 0o1777), ("o-rwx", FILE | 0o777, 0o770)],
)  # fmt: skip
def test_mode_change(text: str, mode: int, expected: int) -> None:
    assert mode_change(text)(mode) == expected


@pytest.mark.parametrize("text", ["", "8", "99999", "rwx", "u", "u~x", "0o755", "z+x"])
def test_wrong_modes(text: str) -> None:
    with pytest.raises(OwnershipError):
        mode_change(text)
