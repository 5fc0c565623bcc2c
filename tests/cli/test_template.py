"""The Go template subset, against what Go's text/template gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from tuidock.cli.template import Template

DATA = {
    "ID": "abc",
    "Name": "/web",
    "State": {"Status": "running", "Pid": 42, "Dead": False},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"app": "x", "a.b/c": "y"}, "Cmd": []},
    "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "4000"}], "53/udp": None},
    "Size": 1.5,
    "None": None,
    "Label": lambda name: {"app": "x"}.get(name, ""),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "abc"),
        ("{{ .ID }}-{{.State.Status}}", "abc-running"),
        ("{{.State.Pid}} {{.State.Dead}} {{.Size}}", "42 false 1.5"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .State}}", '{"Status":"running","Pid":42,"Dead":false}'),
        ("{{.State.Status | upper | printf \"%-9s|\"}}", "RUNNING  |"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a.b/c:y app:x]"),
        ("{{.Config.Labels.app}}/{{.Config.Labels.nope}}", "x/<no value>"),
        ('{{index .Config.Labels "a.b/c"}}', "y"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "4000"),
        ('{{range $p, $c := .Ports}}{{$p}}={{if $c}}{{(index $c 0).HostPort}}{{else}}none{{end}} {{end}}',
         "53/udp=none 80/tcp=4000 "),
        ("{{range .Config.Env}}[{{.}}]{{end}}", "[A=1][B=2]"),
        ("{{range $i, $e := .Config.Env}}{{$i}}:{{$e}} {{end}}", "0:A=1 1:B=2 "),
        ("{{range .Config.Cmd}}x{{else}}empty{{end}}", "empty"),
        ("{{if .State.Dead}}dead{{else if eq .State.Status \"running\"}}up{{else}}?{{end}}", "up"),
        ("{{with .State}}{{.Status}}{{end}}{{with .None}}no{{else}}nil{{end}}", "runningnil"),
        ("{{$x := .ID}}{{$x}}{{$.Name}}", "abc/web"),
        ('{{join .Config.Env ", "}}', "A=1, B=2"),
        ('{{.Label "app"}}!', "x!"),
        ("{{len .Config.Env}}{{len .ID}}", "23"),
        ('{{slice .ID 1 2}}{{truncate .ID 2}}{{title "one two"}}', "babOne Two"),
        ("{{and .ID .Name}} {{or .None .ID}} {{not .None}}", "/web abc true"),
        ("{{if and (gt .State.Pid 41) (lt .State.Pid 43)}}in{{end}}", "in"),
        ('{{printf "%s:%d %v %q %%" .ID .State.Pid .Config.Env "x"}}', 'abc:42 [A=1 B=2] "x" %'),
        ("a {{- .ID -}} b", "aabcb"),
        ("{{/* a comment */}}x", "x"),
        ("{{println .ID}}", "abc\n"),
        ("{{'a'}}{{`raw\\n`}}{{\"tab\\t\"}}", "araw\\ntab\t"),
        ('{{range split "a,b" ","}}{{.}};{{end}}', "a;b;"),
    ],
)  # fmt: skip
def test_render(text: str, expected: str) -> None:
    assert Template(text).render(DATA) == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{{.ID", "unclosed action"),
        ("{{}}", "missing value"),
        ("{{nosuch .ID}}", "function 'nosuch' not defined"),
        ("{{if .ID}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{.Statsu}}", "can't evaluate field Statsu"),
        ("{{.ID.Foo}}", "can't evaluate field Foo"),
        ("{{$y}}", "undefined variable"),
        ("{{index .Config.Env 7}}", "out of range"),
        ("{{range .ID}}{{end}}", "range can't iterate"),
        ("{{.ID | }}", "missing value"),
        ("{{(.ID}}", "unclosed left paren"),
        ("{{upper}}", "error calling upper"),
        ("{{.ID 1}}", "can't give argument to non-function"),
    ],
)
def test_wrong_templates_are_refused_in_one_line(text: str, wrong: str) -> None:
    with pytest.raises(InvalidInput, match=r"^template") as caught:
        Template(text).render(DATA)
    assert wrong in caught.value.message
    assert "\n" not in caught.value.message


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(InvalidInput) as caught:
        Template("{{.Sate}}").render(DATA)
    assert caught.value.hint == "did you mean .State?"


@given(st.text(alphabet='{}.$ab|"() -=:,0x', max_size=40))
def test_any_text_renders_or_is_refused(text: str) -> None:
    try:
        Template(text).render(DATA)
    except InvalidInput:
        pass
