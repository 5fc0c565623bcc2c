"""info and version: what docker's scripts ask for, and a warning of other firewalls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine
TUIDOCK = Path(sys.executable).with_name("tuidock")


@pytest.fixture
def root(new_root: Callable[[], Path]) -> str:
    return str(new_root())


@pytest.mark.parametrize(
    ("verb", "template"),
    [
        ("info", "{{.ServerVersion}} {{.Driver}} {{.CgroupDriver}} {{.CgroupVersion}} {{.NCPU}}"),
        ("info", "{{.MemTotal}} {{range .DriverStatus}}{{index . 0}}{{end}} {{.Plugins.Volume}}"),
        ("info", "{{.Name}} {{.KernelVersion}} {{.Architecture}} {{.DockerRootDir}} {{.OSType}}"),
        ("info", "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.Images}}"),
        ("info", "{{.Swarm.LocalNodeState}} {{.ClientInfo.Version}} {{range .SecurityOptions}}{{.}}{{end}}"),
        ("info", "{{json .RegistryConfig.Mirrors}}"),
        ("version", "{{.Server.Version}} {{.Client.Version}} {{.Server.Os}}/{{.Server.Arch}}"),
        ("version", "{{.Client.ApiVersion}} {{.Server.MinAPIVersion}} {{len .Server.Components}}"),
    ],
)  # fmt: skip
def test_fields_that_scripts_use(root: str, verb: str, template: str) -> None:
    done = subprocess.run(
        [TUIDOCK, "--root", root, verb, "-f", template], capture_output=True, text=True, check=True
    )
    assert "<no value>" not in done.stdout
    assert all(done.stdout.strip().split(" ")), done.stdout


def test_the_layout(root: str) -> None:
    told = subprocess.run([TUIDOCK, "--root", root, "info"], capture_output=True, text=True, check=True)
    for line in ("Server:", " Containers: 0", "  Running: 0", f" Docker Root Dir: {root}", "  seccomp"):
        assert line in told.stdout.splitlines()
    told = subprocess.run([TUIDOCK, "version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Client:\n Version: ") and "\n Engine:\n  Version: " in told.stdout


@pytest.mark.parametrize(
    ("chain", "warned"),
    [
        ("ip filter FORWARD { type filter hook forward priority 0; policy drop; }", True),
        ("inet site forwarded { type filter hook forward priority 0; policy drop; }", True),
        ("ip filter FORWARD { type filter hook forward priority 0; policy accept; }", False),
        ("ip filter INPUT { type filter hook input priority 0; policy drop; }", False),
        ("ip6 filter FORWARD { type filter hook forward priority 0; policy drop; }", False),
    ],
)
def test_a_firewall_that_forwards_nothing(root: str, chain: str, warned: bool) -> None:
    """In a network namespace of its own: the machine's firewall is none of the tests'."""
    family, table, name, _ = chain.split(" ", 3)
    script = f"nft add table {family} {table} && nft 'add chain {chain}' && exec {TUIDOCK} --root {root} info"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert (f"'{family} {table} {name}' drops forwarded traffic" in done.stderr) is warned
    assert "WARNING: WARNING" not in done.stderr
