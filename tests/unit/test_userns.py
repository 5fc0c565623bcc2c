"""User namespaces without a kernel: modes, ranges, subordinate files, the plan's ids, file capabilities."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.config import Config
from runtime.containers import plan as plans
from runtime.containers import subordinate
from runtime.errors import InvalidInput
from runtime.kernel import file_capabilities, idmap
from runtime.model.ids import IdMap, IdRange, to_container, to_host
from runtime.model.parse import parse_userns
from runtime.store.id_ranges import first_gap

TWO = (IdRange(0, 1000, 10), IdRange(10, 5000, 100))


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", ""),
        ("host", "host"),
        ("remap", "remap"),
        ("auto", "auto:size=65536"),
        ("auto:size=1", "auto:size=1"),
        ("auto:size=0200", "auto:size=200"),
        ("container:web", "container:web"),
    ],
)
def test_modes(text: str, mode: str) -> None:
    assert parse_userns(text) == mode


@pytest.mark.parametrize(
    "text",
    ["keep-id", "auto:", "auto:size=", "auto:size=0", "auto:size=-1", "auto:size=1k", "auto:size=2147483648",
     "auto:uidmapping=0:1:2", "container:", "container", "private", "hosts", "remap:x"],
)  # fmt: skip
def test_other_modes_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--userns: invalid mode") as refused:
        parse_userns(text)
    assert refused.value.hint is not None and "auto:size=N" in refused.value.hint


@pytest.mark.parametrize(
    ("number", "outside"), [(0, 1000), (9, 1009), (10, 5000), (109, 5099), (110, -1), (65534, -1)]
)
def test_ids_of_several_ranges(number: int, outside: int) -> None:
    assert to_host(TWO, number) == outside
    assert idmap.to_host([(0, 1000, 10), (10, 5000, 100)], number) == outside
    if outside >= 0:
        assert to_container(TWO, outside) == number


@pytest.mark.parametrize("outside", [0, 999, 1010, 4999, 5100])
def test_ids_of_others_are_none_of_the_containers(outside: int) -> None:
    assert to_container(TWO, outside) == -1


@pytest.mark.parametrize(
    ("blocked", "size", "start", "end", "found"),
    [
        ([], 10, 100, 200, 100),
        ([], 101, 100, 200, None),
        ([(100, 10)], 10, 100, 200, 110),
        ([(0, 1000)], 10, 100, 200, None),
        ([(105, 10)], 5, 100, 200, 100),
        ([(105, 10)], 6, 100, 200, 115),
        ([(100, 10), (102, 2), (115, 5)], 5, 100, 200, 110),
        ([(100, 90)], 10, 100, 200, 190),
        ([(100, 91)], 10, 100, 200, None),
        ([(90, 15), (300, 5)], 95, 100, 200, 105),
    ],
)
def test_the_first_gap_between_ranges(
    blocked: list[tuple[int, int]], size: int, start: int, end: int, found: int | None
) -> None:
    assert first_gap(sorted(blocked), size, start, end) == found


def test_lines_of_a_subordinate_file() -> None:
    text = "# comment\nann:100000:65536\n\nbad\nann:x:5\n1001:200000:10\nann:300000:0\nann:400000:100\n"
    assert subordinate.parse(text) == [
        ("ann", 100000, 65536),
        ("1001", 200000, 10),
        ("ann", 400000, 100),
    ]


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with the users ann (1001), bob (1002, without ranges) and the group dev (2000)."""
    (tmp_path / "subuid").write_text("ann:100000:10\n1001:200000:20\neve:900000:65536\n")
    (tmp_path / "subgid").write_text("ann:110000:30\ndev:500000:40\n")
    monkeypatch.setattr(subordinate, "_FILES", (str(tmp_path / "subuid"), str(tmp_path / "subgid")))
    users = {
        name: SimpleNamespace(pw_name=name, pw_uid=uid)
        for name, uid in (("ann", 1001), ("bob", 1002), ("root", 0))
    }
    groups = {"dev": SimpleNamespace(gr_name="dev", gr_gid=2000)}
    monkeypatch.setattr("pwd.getpwnam", lambda name: users[name])
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {user.pw_uid: user for user in users.values()}[uid])
    monkeypatch.setattr("grp.getgrnam", lambda name: groups[name])
    monkeypatch.setattr("grp.getgrgid", lambda gid: {group.gr_gid: group for group in groups.values()}[gid])
    return tmp_path


ANN = (IdRange(0, 100000, 10), IdRange(10, 200000, 20))


@pytest.mark.parametrize(
    ("setting", "ids"),
    [
        ("default", IdMap.of(1879048192, 65536)),
        ("ann", IdMap(ANN, (IdRange(0, 110000, 30),))),
        ("1001", IdMap(ANN, (IdRange(0, 110000, 30),))),
        ("ann:dev", IdMap(ANN, (IdRange(0, 500000, 40),))),
        ("1001:2000", IdMap(ANN, (IdRange(0, 500000, 40),))),
    ],
)
def test_what_the_setting_means(accounts: Path, setting: str, ids: IdMap) -> None:
    assert subordinate.remapped(Config(userns_remap=setting)) == ids


def test_default_is_dockers_user_where_it_exists(accounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(pw_name="dockremap", pw_uid=999)
    monkeypatch.setattr("pwd.getpwnam", lambda name: entry)
    (accounts / "subuid").write_text("dockremap:165536:65536\n")
    (accounts / "subgid").write_text("dockremap:231072:65536\n")
    assert subordinate.remapped(Config(userns_remap="default")) == IdMap(
        (IdRange(0, 165536, 65536),), (IdRange(0, 231072, 65536),)
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("nosuch", "no user 'nosuch'"),
        ("4242", "no user '4242'"),
        ("99999999999999999999", "no user"),
        ("ann:nosuch", "no group 'nosuch'"),
        ("bob", "no subuid ranges found for user 'bob'"),
        ("root", "root cannot be remapped"),
        ("", "no range is configured"),
    ],
)
def test_settings_without_a_range_are_refused(accounts: Path, setting: str, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        subordinate.remapped(Config(userns_remap=setting))
    assert named in refused.value.message


def test_owners_among_mount_options_become_the_hosts() -> None:
    ids = {"uids": [(0, 1000, 10)], "gids": [(0, 2000, 10)]}
    mount = {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["uid=3", "gid=5", "size=1k"]}
    assert plans.mount_plan([mount])[0]["data"] == "uid=3,gid=5,size=1k"
    assert plans.mount_plan([mount], ids)[0]["data"] == "uid=1003,gid=2005,size=1k"
    mount["options"] = ["uid=10"]
    with pytest.raises(InvalidInput, match="has no such id"):
        plans.mount_plan([mount], ids)


def test_a_mapped_bind_is_marked_for_the_monitor() -> None:
    mount = {"destination": "/v", "type": "bind", "source": "/s", "options": ["rbind", "ro", "idmap"]}
    planned = plans.mount_plan([mount])[0]
    assert planned["extra"] == {"idmap": True} and planned["data"] == ""


def test_file_capabilities_there_and_back() -> None:
    plain = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    mapped = file_capabilities.for_root(plain, 100000)
    assert mapped == struct.pack("<6I", 0x03000001, 1 << 13, 0, 0, 0, 100000)
    assert file_capabilities.of_root(mapped, 100000) == plain
    assert file_capabilities.of_root(mapped, 5) == mapped
    assert file_capabilities.for_root(mapped, 5) == mapped
    assert file_capabilities.of_root(plain, 0) == plain


def test_settings_are_read(tmp_path: Path) -> None:
    from runtime.config import load

    path = tmp_path / "config.yaml"
    path.write_text("userns-remap: default\nuserns-pool: '200000:131072'\n")
    found = load({"TUIDOCK_CONFIG": str(path)})
    assert (found.userns_remap, subordinate.pool(found)) == ("default", (200000, 131072))


@pytest.mark.parametrize(
    "line",
    ["userns-remap: a:b:c", "userns-remap: ':x'", "userns-remap: [a]", "userns-pool: '0:65536'",
     "userns-pool: '100:65535'", "userns-pool: '4294902000:65536'", "userns-pool: x", "userns-pool: 5"],
)  # fmt: skip
def test_wrong_settings_are_named(tmp_path: Path, line: str) -> None:
    from runtime.config import load

    path = tmp_path / "config.yaml"
    path.write_text(line + "\n")
    with pytest.raises(InvalidInput, match=line.partition(":")[0]):
        load({"TUIDOCK_CONFIG": str(path)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("newinstance,mode=0620,gid=5", "newinstance,mode=0620,gid=5"),
        ("gid=2147483647,uid=0", "gid=2147483647,uid=0"),
        ("mode=0620,gid=3000000005,uid=2147483648", "mode=0620"),
        ("gid=", "gid="),
    ],
)
def test_a_devpts_gets_no_id_that_old_kernels_refuse(data: str, expected: str) -> None:
    assert idmap.owners_for_devpts(data) == expected
