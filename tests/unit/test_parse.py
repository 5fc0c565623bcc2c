"""docker's small grammars: what is accepted, what it means, and that nothing but InvalidInput comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, NotFound
from runtime.model import parse
from runtime.model.container import Mount, MountType, PortBinding, RestartPolicy, RestartPolicyName

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512b", 512),
        ("1k", 1024),
        ("1K", 1024),
        ("1kb", 1024),
        ("1KiB", 1024),
        ("50M", 50 << 20),
        ("50mb", 50 << 20),
        ("50 MB", 50 << 20),
        ("1g", 1 << 30),
        ("1.5GiB", 3 << 29),
        ("0.5k", 512),
        ("2t", 2 << 40),
        ("1P", 1 << 50),
        (" 64m ", 64 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "m", "abc", "-1", "1x", "1.m", ".5m", "1mm", "1 2", "٣m", "9e9", "99999999p"]
)
def test_wrong_sizes_name_the_value(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse.parse_size(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1s", SECOND),
        ("1m30s", 90 * SECOND),
        ("1h", 3600 * SECOND),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND // 2),
        ("100ms", SECOND // 10),
        ("10us", 10_000),
        ("10µs", 10_000),
        ("10μs", 10_000),
        ("7ns", 7),
        ("+2s", 2 * SECOND),
        ("1h2m3s4ms", 3723 * SECOND + 4_000_000),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse.parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "1x", "1s2", "-1s", "1 s", "1d", "s1", "1..5s", "١s", "1" * 30 + "h"]
)
def test_wrong_durations(text: str) -> None:
    with pytest.raises(InvalidInput, match="duration"):
        parse.parse_duration(text)


def test_a_missing_unit_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse.parse_duration("10")
    assert caught.value.hint == "the unit is missing: 10s is 10 seconds"


def test_compose_durations_have_days() -> None:
    assert parse.parse_duration("1d12h", days=True) == 36 * 3600 * SECOND


@pytest.mark.parametrize(("text", "cpus"), [("0.5", 0.5), ("2", 2.0), ("0", 0.0), (".25", 0.25)])
def test_cpus(text: str, cpus: float) -> None:
    assert parse.parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1_0", "1,5"])
def test_wrong_cpus(text: str) -> None:
    with pytest.raises(InvalidInput, match="CPUs"):
        parse.parse_cpus(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0", 0),
        ("1136073600", 1136073600 * SECOND),
        ("1136073600.5", 1136073600 * SECOND + SECOND // 2),
        ("1136073600.000000001", 1136073600 * SECOND + 1),
        ("2006-01-02T15:04:05Z", 1136214245 * SECOND),
        ("2006-01-02T15:04:05.999999999Z", 1136214245 * SECOND + 999_999_999),
        ("2006-01-02T16:04:05+01:00", 1136214245 * SECOND),
        ("2006-01-02T16:04:05+0100", 1136214245 * SECOND),
        ("10m", NOW - 600 * SECOND),
        ("1h30m", NOW - 5400 * SECOND),
        ("-10m", NOW + 600 * SECOND),
    ],
)
def test_times(text: str, time: int) -> None:
    assert parse.parse_time(text, NOW) == time


def test_a_time_without_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert parse.parse_time("2006-01-02T15:04:05", NOW) == (1136214245 - 7200) * SECOND
        assert parse.parse_time("2006-01-02", NOW) == (1136160000 - 7200) * SECOND
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "yesterday", "2006-13-01", "2006-01-02T25:00:00Z", "2006-02-30"])
def test_wrong_times(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid time"):
        parse.parse_time(text, NOW)


def port(container: int, host: int = 0, protocol: str = "tcp", ip: str = "0.0.0.0") -> PortBinding:
    return PortBinding(container, protocol, ip, host)


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("80", [port(80)]),
        ("8080:80", [port(80, 8080)]),
        ("8080:80/udp", [port(80, 8080, "udp")]),
        ("8080:80/TCP", [port(80, 8080)]),
        ("53:53/sctp", [port(53, 53, "sctp")]),
        ("127.0.0.1:8080:80", [port(80, 8080, ip="127.0.0.1")]),
        ("127.0.0.1::80", [port(80, ip="127.0.0.1")]),
        ("[::1]:8080:80", [port(80, 8080, ip="::1")]),
        ("[::]:53:53/udp", [port(53, 53, "udp", "::")]),
        ("[::1]::80", [port(80, ip="::1")]),
        ("3000-3002", [port(3000), port(3001), port(3002)]),
        ("9090-9091:8080-8081", [port(8080, 9090), port(8081, 9091)]),
        (
            "127.0.0.1:5000-5001:6000-6001/udp",
            [port(6000, 5000, "udp", "127.0.0.1"), port(6001, 5001, "udp", "127.0.0.1")],
        ),
        ("65535:1", [port(1, 65535)]),
    ],
)
def test_ports(text: str, bindings: list[PortBinding]) -> None:
    assert parse.parse_port(text) == bindings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "80:",
        ":80",
        "0",
        "80:0",
        "65536",
        "8080:65536",
        "80/http",
        "80/",
        "-80",
        "80-79",
        "1-3:1-2",
        "8000-9000:80",
        "::1:80:80",
        "[::1:80:80",
        "[::1]80",
        "[::1]:80",
        "1.2.3:80:80",
        "host:80:80",
        "1:2:3:4",
        "8 0:80",
        "٨٠",
        "80:80:80",
        "[127.0.0.1:80",
    ],
)
def test_wrong_ports_name_the_value(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse.parse_port(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint is not None and "CONTAINER" in caught.value.hint


BIND, VOLUME, TMPFS = MountType.BIND, MountType.VOLUME, MountType.TMPFS


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount(VOLUME, "", "/data")),
        ("/data:ro", Mount(VOLUME, "", "/data", read_only=True)),
        ("db:/data", Mount(VOLUME, "db", "/data")),
        ("db:/data:ro", Mount(VOLUME, "db", "/data", read_only=True)),
        ("db:/data:nocopy", Mount(VOLUME, "db", "/data", no_copy=True)),
        ("a.b_c-d:/data:rw", Mount(VOLUME, "a.b_c-d", "/data")),
        ("/srv:/data", Mount(BIND, "/srv", "/data", options=("create",))),
        ("/srv/:/data", Mount(BIND, "/srv", "/data", options=("create",))),
        ("/srv/../x:/data", Mount(BIND, "/x", "/data", options=("create",))),
        ("/srv:/data:ro,z", Mount(BIND, "/srv", "/data", True, options=("create", "z"))),
        ("/srv:/data:rshared", Mount(BIND, "/srv", "/data", propagation="rshared", options=("create",))),
        ("/srv:/data:cached", Mount(BIND, "/srv", "/data", options=("create",))),
    ],
)
def test_volumes(text: str, mount: Mount) -> None:
    assert parse.parse_volume(text) == mount


def test_relative_sources_need_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parse.parse_volume("./x:/y", base=tmp_path).source == str(tmp_path / "x")
    assert parse.parse_volume("../x:/y", base=tmp_path).source == str(tmp_path.parent / "x")
    assert parse.parse_volume(".:/y", base=tmp_path).source == str(tmp_path)
    assert parse.parse_volume("~/x:/y", base=tmp_path).source == "/home/me/x"
    with pytest.raises(InvalidInput, match="absolute path or a volume's name"):
        parse.parse_volume("./x:/y")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "x",
        "db:",
        ":/data",
        "db:data",
        "db:/",
        "/srv:/",
        "db:/data:",
        "db:/data:x",
        "db:/data:ro,rw",
        "db:/data:rshared",
        "/srv:/data:nocopy",
        "-x:/data",
        "a/b:/data",
        "a:/b:ro:ro",
        "db:/data:ro,",
        "é:/d",
        "a\0:/b",
        "a:/b\0",
    ],
)
def test_wrong_volumes_name_the_value(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse.parse_volume(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=bind,source=/srv,target=/data", Mount(BIND, "/srv", "/data")),
        ("type=bind,src=/srv,dst=/data,readonly", Mount(BIND, "/srv", "/data", True)),
        ("type=bind,src=/srv,destination=/data,ro=true", Mount(BIND, "/srv", "/data", True)),
        ("type=bind,src=/srv,dst=/data,readonly=false", Mount(BIND, "/srv", "/data")),
        (
            "type=bind,src=/srv,dst=/data,bind-propagation=rslave",
            Mount(BIND, "/srv", "/data", False, "rslave"),
        ),
        ("type=bind,src=/srv,dst=/d,bind-create-src", Mount(BIND, "/srv", "/d", options=("create",))),
        ("source=db,target=/data", Mount(VOLUME, "db", "/data")),
        ("type=volume,target=/data", Mount(VOLUME, "", "/data")),
        ("src=db,dst=/data,volume-nocopy", Mount(VOLUME, "db", "/data", no_copy=True)),
        ("type=tmpfs,dst=/run", Mount(TMPFS, "", "/run")),
        (
            "type=tmpfs,dst=/run,tmpfs-size=64m,tmpfs-mode=1777",
            Mount(TMPFS, "", "/run", tmpfs_size=64 << 20, tmpfs_mode=0o1777),
        ),
        ('type=bind,"source=/a,b",target=/data', Mount(BIND, "/a,b", "/data")),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert parse.parse_mount(text) == mount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "type=bind",
        "type=bind,source=/a",
        "type=bind,target=/a",
        "type=bind,source=a,target=/b",
        "type=nfs,target=/a",
        "source=a,target=b",
        "target=/",
        "target=/a,target=/b",
        "target",
        "type=tmpfs,source=/a,target=/b",
        "nope=1",
        "type=tmpfs,target=/a,tmpfs-mode=9",
        "target=/a,bind-propagation=shared",
        "target=/a,readonly=maybe",
        "type=bind,source=/a,target=/b,bind-propagation=x",
        "type=tmpfs,target=/a,tmpfs-size=x",
        'a="b',
    ],
)
def test_wrong_mounts(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse.parse_mount(text)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", RestartPolicy()),
        ("no", RestartPolicy()),
        ("always", RestartPolicy(RestartPolicyName.ALWAYS)),
        ("unless-stopped", RestartPolicy(RestartPolicyName.UNLESS_STOPPED)),
        ("on-failure", RestartPolicy(RestartPolicyName.ON_FAILURE)),
        ("on-failure:5", RestartPolicy(RestartPolicyName.ON_FAILURE, 5)),
        ("on-failure:0", RestartPolicy(RestartPolicyName.ON_FAILURE, 0)),
    ],
)
def test_restart_policies(text: str, policy: RestartPolicy) -> None:
    assert parse.parse_restart(text) == policy


@pytest.mark.parametrize(
    "text", ["maybe", "always:3", "on-failure:", "on-failure:x", "on-failure:-1", ":3", "No"]
)
def test_wrong_restart_policies(text: str) -> None:
    with pytest.raises(InvalidInput, match="restart policy"):
        parse.parse_restart(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", 9),
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("HUP", 1),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("64", 64),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert parse.parse_signal(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "SIGNOPE", "TERM+1", "RTMAX+1", "RTMIN-40", "-9", "9x", "SIG"]
)
def test_wrong_signals(text: str) -> None:
    with pytest.raises(InvalidInput, match="signal"):
        parse.parse_signal(text)


def test_environment_takes_missing_values_from_the_caller() -> None:
    caller = {"HOME": "/root"}
    assert parse.parse_env(["A=1", "HOME", "NONE", "B=", "C=x=y"], caller) == [
        "A=1",
        "HOME=/root",
        "NONE",
        "B=",
        "C=x=y",
    ]


@pytest.mark.parametrize("item", ["", "=x", "A\0=1"])
def test_wrong_environment(item: str) -> None:
    with pytest.raises(InvalidInput):
        parse.parse_env([item], {})


def test_environment_files_keep_values_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(
        '\ufeff# comment\n\nA=1\n  B="quoted" # kept\nC=a=b\nHOME\nGONE\nD=\r\nE= spaced \n'.encode()
    )
    assert parse.parse_env_file(file, {"HOME": "/root"}) == [
        "A=1",
        'B="quoted" # kept',
        "C=a=b",
        "HOME=/root",
        "GONE",
        "D=",
        "E= spaced ",
    ]


@pytest.mark.parametrize(("text", "line"), [("A=1\n=2\n", 2), ("A B=1", 1), ("A=1\nB =2", 2)])
def test_wrong_environment_files_name_the_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "env"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=f"env:{line}: "):
        parse.parse_env_file(file)


def test_a_missing_environment_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="none"):
        parse.parse_env_file(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"A=\xff")
    with pytest.raises(InvalidInput, match="UTF-8"):
        parse.parse_env_file(tmp_path / "latin")


PARSERS: list[Callable[[str], object]] = [
    parse.parse_size,
    parse.parse_duration,
    parse.parse_cpus,
    lambda text: parse.parse_time(text, NOW),
    parse.parse_port,
    parse.parse_volume,
    lambda text: parse.parse_volume(text, base=Path("/base")),
    parse.parse_mount,
    parse.parse_restart,
    parse.parse_signal,
    lambda text: parse.parse_env([text], {}),
    lambda text: parse.parse_env_text(text, "env", {}),
]
LIKELY = st.text(alphabet='0123456789.:-/+,=[]_ abkmgstzTZ\n"\0é٣', max_size=40)
WORDS = st.lists(
    st.sampled_from(
        ["type=bind", "source=/a", "target=/b", "ro", "/a", ":", "tcp", "80", "-", "[::1]", ",", "SIG"]
    )
).map("".join)


@pytest.mark.parametrize("parser", PARSERS)
@given(text=LIKELY | WORDS | st.text(max_size=30))
def test_only_invalid_input_comes_out(parser: Callable[[str], object], text: str) -> None:
    try:
        parser(text)
    except InvalidInput as error:
        assert error.message and "\n" not in error.message.replace(repr(text), "")


@given(st.integers(0, 1 << 40))
def test_sizes_of_bytes_are_themselves(size: int) -> None:
    assert parse.parse_size(str(size)) == size
    assert parse.parse_size(f"{size}b") == size


@given(st.integers(0, 1 << 62))
def test_durations_of_nanoseconds_are_themselves(time: int) -> None:
    assert parse.parse_duration(f"{time}ns") == time


@given(
    st.integers(1, 65535), st.integers(1, 65535), st.sampled_from(["tcp", "udp", "sctp"]), st.ip_addresses()
)
def test_every_port_reads_back(container: int, host: int, protocol: str, address: object) -> None:
    shown = f"[{address}]" if ":" in str(address) else str(address)
    assert parse.parse_port(f"{shown}:{host}:{container}/{protocol}") == [
        PortBinding(container, protocol, str(address), host)
    ]
