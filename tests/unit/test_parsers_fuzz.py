"""Whatever is typed, a parser gives a value or says what is wrong; what it gives can be read again.

The text is made of each grammar's own words, of digits without end and of anything else. Deterministic: the
same examples every time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.containers import process_columns
from runtime.containers.spec import _rlimit
from runtime.errors import EngineError, InvalidInput
from runtime.images.reference import Reference, is_id_prefix
from runtime.model import devices, parse
from runtime.model.container import MountType
from runtime.monitor import credentials
from runtime.volumes.local_driver import filesystem_of
from tuidock.cli import container_rows, listing
from tuidock.cli.arguments import plain_arguments
from tuidock.cli.container_config import build, parse_labels
from tuidock.cli.container_options import container_options
from tuidock.cli.detach_keys import parse_detach_keys
from tuidock.cli.logs import parse_tail
from tuidock.cli.template import Template

FUZZ = settings(derandomize=True, deadline=None, max_examples=60, database=None)
DIGITS = st.sampled_from(
    ("0", "7", "80", "65536", "4294967296", "9" * 400, "9" * 5000, "-1", "1e9", "٣", "²")
)


def words(*tokens: str) -> st.SearchStrategy[str]:
    """Sentences of a grammar's tokens, numbers and noise; and noise alone."""
    piece = st.one_of(st.sampled_from(tokens), DIGITS, st.text(max_size=4))
    return st.one_of(st.lists(piece, max_size=8).map("".join), st.text(max_size=40))


ALL: dict[str, tuple[Callable[[str], object], st.SearchStrategy[str]]] = {
    "size": (parse.parse_size, words("k", "m", "g", "t", "p", "b", "i", ".", " ", "KiB")),
    "duration": (parse.parse_duration, words("ns", "us", "µs", "ms", "s", "m", "h", ".", "+", "-")),
    "days": (lambda text: parse.parse_duration(text, days=True), words("d", "w", "h", ".")),
    "cpus": (parse.parse_cpus, words(".", "-", "e", "inf", "nan", "_")),
    "time": (
        lambda text: parse.parse_time(text, 10**18),
        words("-", ":", "T", "Z", ".", "2024-05-31", "+02:00", "h"),
    ),
    "port": (parse.parse_port, words(":", "-", "/", "tcp", "udp", "sctp", "[", "]", "::1", "127.0.0.1")),
    "volume": (
        parse.parse_volume,
        words(":", "/", "..", "a", "ro", "rw", ",", "z", "nocopy", "rshared", "\0", "~"),
    ),
    "compose volume": (
        lambda text: parse.parse_volume(text, base=Path("/srv")),
        words(":", "./", "../", "~/", "a", "ro", ","),
    ),
    "mount": (
        parse.parse_mount,
        words(
            "type=",
            "bind",
            "volume",
            "tmpfs",
            "image",
            ",",
            "src=",
            "dst=",
            "/",
            "readonly",
            '"',
            "=",
            "ro",
            "volume-opt=",
            "bind-recursive=",
            "tmpfs-size=",
            "tmpfs-mode=",
            "volume-subpath=",
            "\n",
        ),
    ),
    "restart": (parse.parse_restart, words("no", "always", "on-failure", "unless-stopped", ":")),
    "signal": (parse.parse_signal, words("SIG", "TERM", "RTMIN", "RTMAX", "+", "-", "kill")),
    "environment": (lambda text: parse.parse_env([text], {}), words("A", "=", "\0", "\n")),
    "environment file": (
        lambda text: parse.parse_env_text(text, "f", {}),
        words("A", "=", "\n", "#", "\ufeff"),
    ),
    "reference": (
        Reference.parse,
        words("a", "/", ":", "@", "sha256:", "a" * 64, ".", "-", "__", "localhost", "["),
    ),
    "label": (lambda text: parse_labels([text]), words("a", "=", " ")),
    "device": (devices.parse_device, words("/dev/null", ":", "rwm", "m")),
    "device rule": (devices.parse_device_rule, words("c", "b", "a", " ", "*", ":", "rwm")),
    "rate": (lambda text: devices.parse_rate("--x", text), words("/dev/sda", ":", "mb", "k")),
    "weight": (lambda text: devices.parse_weight("--x", text), words("/dev/sda", ":")),
    "iops": (lambda text: devices.parse_iops("--x", text), words("/dev/sda", ":")),
    "ulimit": (_rlimit, words("nofile", "core", "=", ":", "-")),
    "detach keys": (parse_detach_keys, words("ctrl-", "a", "@", "[", "\\", "^", ",", "p")),
    "tail": (parse_tail, words("all", "-")),
    "columns": (
        lambda text: process_columns.columns(text.split()),
        words("-", "o", "e", "f", "aux", " ", "pid", ",", "=", "--format", "--"),
    ),
    "port filter": (lambda text: container_rows._port_filter("publish", text), words("-", "/", "tcp", ":")),
    "volume options": (
        lambda text: filesystem_of(dict(part.split("=", 1) for part in text.split(";") if "=" in part)),
        words("type=", "device=", "o=", ";", "tmpfs", "none", "bind", "/", ",", "nfs", "size="),
    ),
    "flag": (lambda text: listing.one_flag("dangling", [text]), words("true", "false", "t")),
    "unescape": (listing.unescape, words("\\t", "\\n", "{{", "}}", "\\")),
}


@pytest.mark.parametrize("name", ALL)
def test_a_parser_gives_a_value_or_says_what_is_wrong(name: str) -> None:
    parser, texts = ALL[name]

    @FUZZ
    @given(texts)
    def check(text: str) -> None:
        try:
            parser(text)
        except InvalidInput as error:
            assert error.message

    check()


TEMPLATE = words(
    *("{{", "}}", "{{-", "-}}", " ", ".", ".A", ".B.C", "$", "$x", ":=", "=", "|", "(", ")", '"', "`", "'"),
    *(
        "if",
        "else",
        "end",
        "range",
        "with",
        "and",
        "or",
        "not",
        "eq",
        "json",
        "index",
        "printf",
        '"%d"',
        "len",
    ),
    *("slice", "pad", "split", "truncate", "/*", "*/", ",", "nil", "true", "join", "title", "\\n"),
)
ACTIONS = (
    *("json .", ".A", ".B.C", "end", "else", "if .A", "range .L", "with .B", "len .L", "index .L 1"),
    *("$x := .A", "$x", "$x = 1", 'printf "%5d|%q|%x" 1 .A .L', "slice .A 1 9", "join .L .A", "eq .A 1 .L"),
    *("lt .A .B", "range $k, $v := .B", "$k", "else if .B", "/* x */", "index . .A", "pad .A 9 .L", ".M 1"),
    *("print .L .B", "truncate .A .L", "split .A .A", "(((.)))", "not", "and .A .L", "html .B", "title .N"),
    "else with .L",
)
ACTION = st.lists(st.sampled_from(ACTIONS), max_size=8).map(
    lambda items: "".join(f"{{{{{item}}}}}" for item in items)
)
DATA = {"A": "text", "B": {"C": 1, "d": None}, "L": [1, "two", None], "N": None, "M": lambda name: name}


@FUZZ
@given(st.one_of(TEMPLATE, ACTION))
def test_a_template_gives_text_or_says_what_is_wrong(text: str) -> None:
    try:
        assert isinstance(Template(text).render(DATA), str)
    except InvalidInput as error:
        assert error.message


@FUZZ
@given(st.text(alphabet=st.characters(exclude_characters="{")))
def test_a_template_without_actions_is_its_text(text: str) -> None:
    assert Template(text).render(DATA) == text


@FUZZ
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text()), st.lists, max_leaves=6))
def test_a_templates_json_is_read_again(value: object) -> None:
    assert json.loads(Template("{{json .}}").render(value)) == value


@pytest.mark.parametrize(
    "text", ["{{" + "(" * 5000, "{{if .A}}" * 5000, "{{if .A}}{{else " * 5000, "{{.A" + ".A" * 9999]
)
def test_deep_templates_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Template(text).render(DATA)


@FUZZ
@given(st.lists(words("name", "status", "label", "=", "!", "exited", "running"), max_size=3))
def test_filters(items: list[str]) -> None:
    try:
        found = listing.parse_filters(items, container_rows.FILTERS)
    except (InvalidInput, click.UsageError):
        return
    assert sum(len(values) for values in found.values()) == len(items)


OPTIONS = [
    *("name", "memory", "memory_swap", "cpus", "cpu_shares", "restart", "health_interval", "health_cmd"),
    *("log_driver", "shm_size", "stop_signal", "stop_timeout", "pid", "ipc", "uts", "userns", "pids_limit"),
    *("oom_score_adj", "blkio_weight", "mac_address", "ip", "pull"),
]
MANY = [
    *("publish", "volume", "mount", "tmpfs", "network", "ulimit", "device", "add_host", "dns", "expose"),
    *("log_opt", "sysctl", "env", "network_alias", "annotation", "labels"),
]
TYPED = words("/", ":", "=", ",", "a", "container:", "host", "m")


@FUZZ
@given(st.dictionaries(st.sampled_from(OPTIONS + MANY), TYPED, max_size=4))
def test_run_makes_a_configuration_or_says_what_is_wrong(given_options: dict[str, str]) -> None:
    options: dict[str, object] = {
        name: (text,) if name in MANY else text for name, text in given_options.items()
    }
    try:
        build("image", ["true"], options)
    except EngineError as error:
        assert error.message


@FUZZ
@given(
    st.lists(
        words("--", "-", "rm", "it", "=true", "=false", "name", "memory", "p80:80", "--rm=", "image"),
        max_size=6,
    )
)
def test_a_command_line_is_taken_or_refused(arguments: list[str]) -> None:
    @container_options
    def callback(**options: object) -> None:
        return None

    command = click.command("run")(callback)
    try:
        plain = plain_arguments(arguments, command.params, interspersed=False)
        command.make_context("run", list(plain), allow_interspersed_args=False, allow_extra_args=True)
    except (click.UsageError, click.exceptions.Exit):
        return


def accounts(monkeypatch: pytest.MonkeyPatch, lines: Iterable[str]) -> None:
    fields = [line.split(":") for line in lines]
    monkeypatch.setattr(credentials, "_account_lines", lambda path: fields)


@FUZZ
@given(
    words(":", "root", "a", "0x1", "-"),
    st.lists(words(":", "root", "x", "a", ","), max_size=4),
    st.lists(words("wheel", "a"), max_size=2),
)
def test_a_user_is_found_or_refused(spec: str, lines: list[str], extra: list[str]) -> None:
    """Even when /etc/passwd is hostile. An id is one that the kernel has."""
    with pytest.MonkeyPatch.context() as patch:
        accounts(patch, lines)
        try:
            user = credentials.resolve_user(spec, extra)
        except credentials.Refused:
            return
    assert all(0 <= number < 2**32 - 1 for number in (user.uid, user.gid, *user.groups))


# round trips


@FUZZ
@given(st.integers(0, 2**32), st.sampled_from(("", "k", "m", "g")))
def test_sizes_scale(number: int, unit: str) -> None:
    size = number << {"": 0, "k": 10, "m": 20, "g": 30}[unit]
    assert parse.parse_size(f"{number}{unit}") == parse.parse_size(f"{number}{unit.upper()}B") == size


@FUZZ
@given(
    st.integers(1, 65535), st.integers(0, 65535), st.sampled_from(("tcp", "udp", "sctp")), st.ip_addresses()
)
def test_ports_are_read_again(container: int, host: int, protocol: str, address: object) -> None:
    ip = f"[{address}]" if ":" in str(address) else str(address)
    (binding,) = parse.parse_port(f"{ip}:{host or ''}:{container}/{protocol}")
    assert (binding.container_port, binding.host_port, binding.protocol) == (container, host, protocol)
    assert binding.host_ip == str(address)


TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
NAME = st.from_regex(r"[a-z0-9]{1,5}(?:-[a-z0-9]{1,5}){0,2}", fullmatch=True)


@FUZZ
@given(
    st.lists(NAME, min_size=1, max_size=3),
    TAG,
)
def test_references_are_read_again(path: list[str], tag: str) -> None:
    reference = Reference.parse(f"{'/'.join(path)}:{tag}")
    assert Reference.parse(str(reference)) == Reference.parse(reference.familiar()) == reference


@FUZZ
@given(st.text(alphabet="0123456789abcdefg", max_size=70))
def test_id_prefixes(text: str) -> None:
    plain = 0 < len(text) <= 64 and set(text) <= set("0123456789abcdef")
    assert is_id_prefix(text) is plain or len(text) == 64


PATH = st.from_regex(r"/[a-z0-9_.]*[a-z0-9_](?:/[a-z0-9_]+)*", fullmatch=True)


@FUZZ
@given(PATH, PATH, st.booleans())
def test_binds_are_the_same_in_both_grammars(source: str, target: str, read_only: bool) -> None:
    short = parse.parse_volume(f"{source}:{target}{':ro' if read_only else ''}")
    long = parse.parse_mount(f"type=bind,src={source},dst={target}{',readonly' if read_only else ''}")
    assert (short.type, short.source, short.target, short.read_only) == (
        (MountType.BIND, os.path.normpath(source), target, read_only)
    )
    assert (long.type, long.source, long.target, long.read_only) == (
        (short.type, short.source, short.target, read_only)
    )
