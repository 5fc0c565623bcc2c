"""AppArmor on the real kernel. Where it has none (the virtual machine of test-vm does), that is told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from runtime.engine import Engine
from runtime.errors import EngineError, InvalidInput
from runtime.kernel import apparmor
from runtime.kernel.apparmor import DEFAULT
from tests.engine.userns_lab import box, inside, output

pytestmark = pytest.mark.engine

IN_KERNEL = apparmor.in_kernel()
LABEL = "cat /proc/self/attr/apparmor/current"
OWN = "tuidock-test-own"


def label(profile: str) -> str:
    return f"{profile} (enforce)" if profile else "unconfined"


@pytest.fixture
def own_profile() -> Iterator[str]:
    """One of the administrator's, which only lets /etc/hostname not be read."""
    rules = "file, capability, network, signal, deny /etc/hostname r,"
    text = f"profile {OWN} flags=(attach_disconnected) {{ {rules} }}"
    if IN_KERNEL:
        subprocess.run(["apparmor_parser", "-Kr"], input=text, text=True, check=True)
    yield OWN
    if IN_KERNEL:
        subprocess.run(["apparmor_parser", "-R"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    ("options", "profile"),
    [
        ({}, DEFAULT),
        ({"init": True}, DEFAULT),
        ({"user": "nobody"}, DEFAULT),
        ({"userns_mode": "auto"}, DEFAULT),
        ({"security_opt": ("no-new-privileges",)}, DEFAULT),
        ({"security_opt": ("apparmor=unconfined",)}, ""),
        ({"security_opt": (f"apparmor={DEFAULT}",), "privileged": True}, DEFAULT),
        ({"privileged": True}, ""),
    ],
    ids=str,
)
def test_the_profile_of_a_container(
    engine: Engine, busybox: str, options: dict[str, object], profile: str
) -> None:
    found = output(engine, busybox, f"{LABEL} 2> /dev/null || echo none", **{"userns_mode": "", **options})
    assert found == (0, f"{label(profile)}\n" if IN_KERNEL else "none\n")


def test_it_holds_for_exec_and_is_told(engine: Engine, busybox: str) -> None:
    container = box(engine, busybox, userns_mode="")
    document = engine.containers.inspect("box")
    if not IN_KERNEL:
        assert (document["AppArmorProfile"], document["Warnings"]) == ("", [])
        assert "name=apparmor" not in engine.system.info()["SecurityOptions"]
        return
    assert document["AppArmorProfile"] == DEFAULT
    assert "name=apparmor" in engine.system.info()["SecurityOptions"]
    assert inside(engine, LABEL) == f"{label(DEFAULT)}\n"
    session = engine.containers.exec("box", ["sh", "-c", LABEL], privileged=True)
    assert session is not None
    chunk = session.read()
    assert chunk is not None and chunk[1].decode() == "unconfined\n"
    assert session.wait() == 0
    assert container.state.warnings == ()


def test_what_the_default_denies(engine: Engine, busybox: str) -> None:
    """With the capability and without the masks, so that nothing else says no."""
    weak: dict[str, object] = {
        "userns_mode": "",
        "cap_add": ("SYS_ADMIN",),
        "security_opt": ("seccomp=unconfined", "systempaths=unconfined"),
    }
    script = "mkdir /m; mount -t tmpfs x /m 2> /dev/null && echo mounted || echo denied"
    assert output(engine, busybox, script, **weak) == (0, "denied\n" if IN_KERNEL else "mounted\n")
    weak["security_opt"] = ("seccomp=unconfined", "systempaths=unconfined", "apparmor=unconfined")
    assert output(engine, busybox, script, **weak) == (0, "mounted\n")


def test_a_profile_of_the_administrators(engine: Engine, busybox: str, own_profile: str) -> None:
    box(engine, busybox, userns_mode="", security_opt=(f"apparmor={own_profile}",))
    document = engine.containers.inspect("box")
    read = inside(engine, "cat /etc/hostname > /dev/null 2>&1; echo $?")
    if IN_KERNEL:
        assert (document["AppArmorProfile"], read, document["Warnings"]) == (OWN, "1\n", [])
    else:
        assert (document["AppArmorProfile"], read) == ("", "0\n")
        assert document["Warnings"] == [f"AppArmor profile {OWN} is not applied: this kernel has no AppArmor"]


def test_a_profile_that_is_not_loaded(engine: Engine, busybox: str) -> None:
    chosen: dict[str, object] = {"userns_mode": "", "security_opt": ("apparmor=tuidock-test-nobody",)}
    if IN_KERNEL and apparmor.profiles() is not None:
        with pytest.raises(InvalidInput, match="has no AppArmor profile of this name"):
            output(engine, busybox, "true", **chosen)
    elif IN_KERNEL:
        with pytest.raises(EngineError, match="it is not loaded"):
            output(engine, busybox, "true", **chosen)
    else:
        assert output(engine, busybox, "true", **chosen) == (0, "")
