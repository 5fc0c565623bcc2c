"""The same command lines given to docker and to us: equal output, equal exit codes.

Both have the same objects under the same names; ids, times and digests are taken out before comparing.
Needs Debian's docker.io (`make peers` installs it): one daemon for all, in a network namespace of its own.
Our commands are forks of a process that has the command line loaded.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.peers import Peer, available
from bench.rootfs import busybox_tar
from tests.engine.commands import Commands

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("dockerd") is None, reason="needs docker.io (make peers)"),
]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Pair = dict[str, Callable[[str], Callable[[], Done]]]
"""Of each, how a command line is begun; what comes back waits for its end."""

SETUP = (
    "import -c 'CMD [\"sh\"]' {tar} other:1.0",
    "volume create --label tier=data data",
    "run -d --name web --network none -l a=b -l c=d -e X=Y --stop-timeout 3 other:1.0"
    " sh -c \"trap 'exit 5' TERM; while :; do sleep 0.1; done\"",
    "create --name made --network none --expose 80 -v data:/d -v /srv:/srv:ro bench echo 'hi there'",
    "run --name gone --network none -e A=1 bench sh -c 'exit 3'",
    "run -d --name checked --network none --health-cmd true --health-interval 1h bench sleep 1000",
)
WRONG_IN_SETUP = {"run --name gone --network none -e A=1 bench sh -c 'exit 3'": 3}


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    scratch = Path("/tmp") / f"td-interop-{os.getpid()}"
    scratch.mkdir(mode=0o700)
    archive = tmp_path_factory.mktemp("image") / "rootfs.tar"
    archive.write_bytes(busybox_tar())
    try:
        with available(scratch, ["tuidock", "docker"]) as found, Commands() as commands:
            pair: Pair = {
                "tuidock": lambda line: _begin_ours(commands, found["tuidock"], scratch / "errors", line),
                "docker": lambda line: _begin_theirs(found["docker"], line),
            }
            time.sleep(1.1)  # docker orders images by the second, and the first has just been made
            for line in SETUP:
                for name, done in both_done(pair, line.format(tar=archive)).items():
                    assert done.returncode == WRONG_IN_SETUP.get(line, 0), (name, line, done.stderr)
            yield pair
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _begin_ours(commands: Commands, peer: Peer, errors: Path, line: str) -> Callable[[], Done]:
    running = commands.start(["--root", peer.env["TUIDOCK_ROOT"], *shlex.split(line)], errors=errors)

    def end() -> Done:
        told = running.output()
        assert running.returncode is not None
        return Done(running.returncode, told, errors.read_text())

    return end


def _begin_theirs(peer: Peer, line: str) -> Callable[[], Done]:
    running = subprocess.Popen(
        [*peer.command, *shlex.split(line)],
        env={**peer.env, "DOCKER_CLI_HINTS": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def end() -> Done:
        told, errors = running.communicate(timeout=60)
        return Done(running.returncode, told, errors)

    return end


def both_done(peers: Pair, line: str) -> dict[str, Done]:
    """Side by side: they share nothing."""
    running = {name: begin(line) for name, begin in peers.items()}
    return {name: end() for name, end in running.items()}


def neutral(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "<id>", text)
    text = re.sub(r"(Less than a|About an?|\d+) (second|minute)s?( ago)?", "<time>", text)
    return re.sub(r"\d{4}-\d\d-\d\d[ T][0-9:.]+ ?(Z|\+0000 UTC)?", "<time>", text)


def both(peers: Pair, line: str) -> tuple[tuple[int, str], tuple[int, str]]:
    done = both_done(peers, line)
    ours, theirs = done["tuidock"], done["docker"]
    assert "internal error" not in ours.stderr
    return (ours.returncode, neutral(ours.stdout)), (theirs.returncode, neutral(theirs.stdout))


PS = "ps -a --format '{{.Names}}'"
TEMPLATES = [
    # of inspect, and the names of what is inspected
    ("{{.State.Health}} {{.Config.StopTimeout}} {{.Config.Healthcheck}}", "gone"),
    ("{{.Config.StopTimeout}}", "web"),
    ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "web checked"),
    ("{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}", "made"),
    ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "web"),
    ('{{index .Config.Labels "a"}} {{.Config.Labels.zz}} {{len .Config.Env}}', "web"),
    ('{{join .Config.Cmd ","}} {{upper .Name}} {{title .State.Status}}', "made"),
    ('{{println .Name}}{{printf "%s %d %v %q" .Path 7 .State.Running .Name}}', "made"),
    ('{{if and .State.Running (eq .State.Status "running")}}y{{else}}n{{end}}', "web made"),
    ('{{split .Name "e"}} {{pad .Name 2 3}}|{{truncate .Name 2}}|', "web"),
    ("{{.Config.Env}} {{.Config.Labels}} {{.Config.Entrypoint}} {{.Args}}", "web"),
    ("{{json .Config.Entrypoint}} {{json .Config.Labels}}", "web"),
    ("{{- .Name -}}  x ", "web"),
    ("{{/* a comment */}}{{.Name}}", "web"),
    ('{{html "<a>"}} {{urlquery "a b"}} {{slice .Name 1 2}} {{print 1 2 "x"}}', "web"),
    ('{{if ne 1 2}}{{if lt 1 2}}ok{{end}}{{end}} {{not true}} {{or "" "z"}}', "web"),
    ('{{json .Config.Labels}}{{"\\n"}}x', "web"),
    ("{{$x := .Name}}{{range .Config.Env}}{{$x = .}}{{end}}{{$x}} {{len $x}}", "web"),
    ("{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}", "web"),
    ("{{.Name}}\\n", "web"),
    ("{{.SizeRw}}", "web"),
    ("{{.Name", "web"),
    ("{{nix .Name}}", "web"),
]  # fmt: skip

SAME = [
    # ps: filters, forms, columns
    *(
        f"{PS} --filter {text}"
        for text in (
            *("exited=3", "status=created", "status=exited --filter status=running", "is-task=false"),
            *("is-task=true", "health=none", "health=starting", "before=made", "since=made"),
            *("ancestor=bench", "id=zz"),
            *("ancestor=nix", "volume=data", "volume=/srv", "network=none", "network=nix", "publish=80"),
            *("label=a", "label=a --filter label=c=d", "label=a=x", "name=^/we", "name=we"),
        )
    ),
    "ps -a --format '{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.State}}|{{.Status}}|{{.Labels}}'",
    "ps -a --format '{{.Label \"a\"}}|{{.Networks}}|{{.LocalVolumes}}|{{.Size}}|{{.RunningFor}}'",
    "ps -a --no-trunc --format 'table {{.Command}}\\t{{.Names}}'",
    "ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Label \"a\"}}\\t{{.State|upper}}' --filter name=web",
    "ps -n 1 --format '{{.Names}}'",
    "ps -l --format '{{.Names}}'",
    "ps -q --no-trunc --filter name=web",
    "ps -q --filter name=web --format '{{.Names}}'",
    "ps -as --format '{{.Size}}' --filter name=made",
    "ps -a --filter name=web --filter name=made",
    # images
    "image ls --format '{{.Repository}}:{{.Tag}} {{.Digest}} {{.CreatedSince}}'",
    "image ls --filter before=other:1.0 --format '{{.Repository}}'",
    "image ls --filter 'reference=*:1.0' --format '{{.Repository}}'",
    "image ls 'o*:1*' --format '{{.Repository}}'",
    "image ls --filter dangling=true",
    "images nix",
    "history -q --no-trunc other:1.0",
    "image inspect other:1.0 -f '{{.RepoTags}} {{.Config.Cmd}} {{.Os}} {{len .RootFS.Layers}}'",
    "image inspect bench -f '{{.Config.Cmd}} {{.Config.Labels}} {{json .Config.Env}}'",
    # volumes and networks
    "volume ls",
    "volume ls --filter label=tier --format '{{.Name}} {{.Label \"tier\"}} {{.Driver}} {{.Scope}}'",
    "volume ls --filter dangling=true -q",
    "volume ls --filter name=dat --format '{{.Name}} {{.Links}} {{.Size}}'",
    "volume inspect data -f '{{.Driver}} {{.Labels}} {{.Scope}}'",
    "volume rm -f nix",
    "network ls --filter type=builtin --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.IPv6}}'",
    "network ls --filter type=custom",
    "network ls --filter scope=local -q --no-trunc",
    "network ls --filter scope=global",
    "network ls --filter dangling=true",
    "network inspect none -f '{{.Name}} {{.Driver}} {{.IPAM.Driver}}'",
    "network rm -f nix",
    "inspect --type volume data -f '{{.Name}}'",
    "inspect nix",
    # wrong words: the exit code and nothing on standard output
    "ps --bogus",
    "ps extra",
    "ps -n x",
    "ps --filter nix=x",
    "ps --filter nix",
    "ps --filter status=nix",
    "ps --filter health=nix",
    "ps --filter is-task=nix",
    "ps --format '{{.Nix}}'",
    "ps --format '{{.Names'",
    "image ls --filter dangling=nix",
    "volume ls --filter dangling=nix",
    "network ls --filter type=nix",
    "network prune -f --filter nix=x",
    "image prune -f --filter nix=x",
    "container prune -f --filter until=nix",
    "system prune -f --volumes --filter until=1h",
    "events --since nix",
    "restart -t x web",
    "kill -s NIX web",
    "kill gone",
    "unpause web",
    "pause gone",
    "rename web web",
    "rename web made",
    "rename web ''",
    "rename nix other",
    "wait gone made",
    "wait nix",
    "port web",
    "port web 80",
    "top made",
    "top web -eo nix",
    "exec made true",
    "exec -it web true",
    "exec",
    "rm nix",
    "rm -f nix",
    "rm",
    "rmi nix",
    "rmi -f nix",
    "tag nix other",
    "tag bench BAD",
    "save nix",
    "load -i /nix",
    "import /nix",
    "cp web:/a made:/b",
    "cp a b",
    "cp nix:/a /tmp",
    "commit nix",
    "commit web BAD",
    "diff nix",
    "update web",
    "update --memory 1k web",
    "update --restart nix web",
    "update --cpus 1 --cpu-quota 10 web",
    "start -a web made",
    "run --rm --restart always bench",
    "run --network container:nix bench true",
    "run --name 'a b' bench true",
    "run --memory 1x bench true",
    "run --memory 1k bench true",
    "run --cpus x bench true",
    "run --cpus 1 --cpu-quota 10 bench true",
    "run -p 99999:80 bench true",
    "run -p x bench true",
    "run --mount type=nix,dst=/x bench true",
    "run --mount dst=/x,nix=y bench true",
    "run --ulimit nix=1 bench true",
    "run --cap-add NIX bench true",
    "run --security-opt nix bench true",
    "run --restart nix bench true",
    "run --stop-timeout x bench true",
    "run --shm-size x bench true",
    "run --add-host nix bench true",
    "run --dns nix bench true",
    "run --env-file /nix bench true",
    "run --health-interval x bench true",
    "run --pid nix bench true",
    "run --ipc nix bench true",
    "run --uts nix bench true",
    "run --log-driver nix bench true",
    "run --log-opt nix=x bench true",
    "run --pull nix bench true",
    "run --pull never nix:nix true",
    "run --link nix bench true",
    "run --volumes-from nix bench true",
    "run --cpuset-cpus 77 bench true",
    "run --sysctl nix bench true",
    "run --oom-score-adj 2000 bench true",
    "run --memory-swap 10m bench true",
    "run --memory 10m --memory-swap 6m bench true",
    "run --memory 10m --memory-reservation 20m bench true",
    "run --network none --workdir rel bench pwd",
    "run --rm --network none bench nix",
    "run --rm --network none bench /etc",
    "run --rm --network none bench sh -c 'exit 300'",
    "run --rm --network none -u nix bench true",
]  # fmt: skip


@pytest.mark.parametrize("line", SAME)
def test_the_same_words_have_the_same_effect(peers: Pair, line: str) -> None:
    ours, theirs = both(peers, line)
    assert ours == theirs


@pytest.mark.parametrize(("template", "names"), TEMPLATES)
def test_the_same_template_gives_the_same_text(peers: Pair, template: str, names: str) -> None:
    ours, theirs = both(peers, f"inspect -f {shlex.quote(template)} {names}")
    assert ours == theirs


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("ps -a --format json --filter name=made", {"HealthStatus", "Platform", "ID", "CreatedAt", "Mounts"}),
        ("image ls --format json other", {"Containers", "Size", "VirtualSize", "ID"}),
        ("volume ls --format json --filter name=data", {"Mountpoint"}),
        ("network ls --format json --filter name=none", {"Subnet", "ID", "CreatedAt"}),
        ("system df --format json", {"Active", "Size", "Reclaimable", "TotalCount"}),
        ("stats --no-stream --format json web", {"MemUsage", "MemPerc", "CPUPerc", "ID", "PIDs", "BlockIO"}),
    ],
)
def test_json_rows_have_dockers_fields(peers: Pair, line: str, left_out: set[str]) -> None:
    rows = {
        name: [json.loads(row) for row in done.stdout.splitlines()]
        for name, done in both_done(peers, line).items()
    }
    assert len(rows["tuidock"]) == len(rows["docker"]) > 0
    for ours, theirs in zip(rows["tuidock"], rows["docker"], strict=True):
        assert set(theirs) <= set(ours), "a field is missing"
        for key in set(theirs) - left_out:
            assert neutral(ours[key]) == neutral(theirs[key]), key


NOT_OURS = {
    # of Windows, of swarm, or of an option that is refused here with its reason
    *("ConsoleSize", "CpuCount", "CpuPercent", "IOMaximumBandwidth", "IOMaximumIOps", "Isolation"),
    *("CpuRealtimePeriod", "CpuRealtimeRuntime", "KernelMemory", "KernelMemoryTCP", "LinkLocalIPv6Address"),
    *("LinkLocalIPv6PrefixLen", "SecondaryIPAddresses", "SecondaryIPv6Addresses", "HairpinMode", "Cgroup"),
    # of an older API
    *("Container", "ContainerConfig", "VirtualSize"),
    # a single layer has nothing to merge
    *("MergedDir", "WorkDir"),
}


def fields(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}"
            if key not in ("Labels", "Networks", "ExposedPorts", "Volumes", "ContainerConfig"):
                yield from fields(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        yield from fields(value[0], f"{path}[]")


@pytest.mark.parametrize(
    "line", ["inspect web", "inspect made", "image inspect bench", "volume inspect data"]
)
def test_documents_have_dockers_fields(peers: Pair, line: str) -> None:
    done = both_done(peers, line)
    ours, theirs = (set(fields(json.loads(done[name].stdout))) for name in ("tuidock", "docker"))
    missing = {path for path in theirs - ours if path.rpartition(".")[2] not in NOT_OURS}
    assert not missing


def test_a_life_has_dockers_events(peers: Pair) -> None:
    lines = (
        "run -d --name life --network none -v data:/d bench sleep 1000",
        "exec life true",
        "top life",
        "pause life",
        "unpause life",
        "stop -t 0 life",
        "start life",
        "kill life",
        "rename life ended",
        "rm ended",
    )
    for line in lines:
        assert all(done.returncode == 0 for done in both_done(peers, line).values()), line
    until = f"{time.time():.9f}"  # docker takes "0s" for the beginning of this second
    done = both_done(
        peers, f"events --since 5m --until {until} --filter container=life --format '{{{{.Action}}}}'"
    )
    # As sets: how many signals a stop takes depends on how soon the program ends.
    told = {name: {line.rstrip() for line in item.stdout.splitlines()} for name, item in done.items()}
    assert told["tuidock"] == told["docker"]


NETWORKS = "inspect -f '{{range $name, $at := .NetworkSettings.Networks}}{{$name}} {{$at.Links}} {{end}}'"
JOINING = (
    "network create --subnet 10.199.41.0/24 blue",
    "network create green",
    "run -d --name joiner -p 127.0.0.1::80 bench sleep 1000",
    "run -d --name alone --network none bench sleep 1000",
    "create --name idle bench sleep 1000",
    "network connect --ip 10.199.41.7 --alias front --link idle:other blue joiner",
    "inspect -f '{{.NetworkSettings.Networks.blue.IPAddress}}' joiner",
    f"{NETWORKS} joiner",
    "network connect blue joiner",
    "network connect nix joiner",
    "network connect blue nix",
    "network connect none joiner",
    "network connect host joiner",
    "network connect blue alone",
    "network connect --ip 10.199.41.7 blue idle",
    "network connect --ip 10.1.1.1 blue alone",
    "network connect --ip 10.1.1.1 green joiner",
    "network connect --alias x bridge idle",
    "network connect blue",
    "network connect --nix blue joiner",
    f"{NETWORKS} joiner idle alone",
    "network rm blue",
    "network disconnect green joiner",
    "network disconnect nix joiner",
    "network disconnect -f blue nix",
    "network disconnect none alone",
    f"{NETWORKS} alone",
    "network connect green alone",
    f"{NETWORKS} alone",
    "network disconnect bridge joiner",
    "network disconnect bridge joiner",
    'exec joiner sh -c "ip route | grep ^default"',
    "network disconnect blue joiner",
    f"{NETWORKS} joiner",
    "exec joiner ls /sys/class/net",
    "restart -t 0 joiner",
    f"{NETWORKS} joiner",
    "network disconnect bridge idle",
    "network disconnect blue idle",
    "network disconnect blue idle",
    f"{NETWORKS} idle",
    "rm -f joiner alone idle",
    "network rm blue green",
)


def test_joining_and_leaving_networks(peers: Pair) -> None:
    """One line after the other; each has the same effect."""
    differ = [(line, *pair) for line in JOINING if (pair := both(peers, line))[0] != pair[1]]
    assert differ == []
