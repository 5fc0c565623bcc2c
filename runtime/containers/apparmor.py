"""Which AppArmor profile a container's processes run under, on kernels that have AppArmor.

The default profile is loaded when a container first needs it, as docker does with its own. It is a second
fence: what it denies is masked, read-only or without capability already.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from runtime.errors import InvalidInput
from runtime.kernel import apparmor
from runtime.kernel.apparmor import DEFAULT
from runtime.model.container import ContainerConfig

__all__ = ["check", "profile_of", "warnings"]

_UNCONFINED = "unconfined"
_PROFILE = f"""
profile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{
  file,
  network,
  capability,
  umount,
  signal (receive) peer=unconfined,
  signal (send, receive) peer={DEFAULT},
  ptrace (trace, read, tracedby, readby) peer={DEFAULT},

  deny mount,
  deny /proc/{{kcore,kmem,mem,sysrq-trigger}} rwklx,
  deny /proc/{{acpi,bus,driver,fs,irq,scsi,tty}}/** wklx,
  deny /proc/sys/{{abi,debug,dev,fs,user,vm}}/** wklx,
  deny /proc/sys/kernel/{{core_pattern,core_pipe_limit,hotplug,modprobe,modules_disabled,sysrq}} wklx,
  deny /sys/{{block,bus,class,dev,devices,firmware,hypervisor,kernel,module,power}}/** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/kernel/security/** rwklx,
}}
"""


def check(name: str) -> None:
    """The ``NAME`` of ``--security-opt apparmor=NAME``. Raises InvalidInput for one that is not loaded."""
    if not name or any(character.isspace() or not character.isprintable() for character in name):
        raise InvalidInput(f"--security-opt apparmor={name}: not the name of an AppArmor profile")
    if name in (_UNCONFINED, DEFAULT) or not apparmor.in_kernel():
        return
    loaded = apparmor.profiles()
    if loaded is not None and name not in loaded:
        raise InvalidInput(
            f"--security-opt apparmor={name}: the kernel has no AppArmor profile of this name",
            hint="load it: apparmor_parser -r FILE (aa-status lists those that are)",
            subject=name,
        )


def profile_of(config: ContainerConfig) -> str:
    """ "" for none: unconfined, privileged, or no AppArmor in the kernel."""
    if not apparmor.in_kernel():
        return ""
    chosen = _chosen(config)
    if chosen == DEFAULT:
        _load_default()
    if chosen:
        return "" if chosen == _UNCONFINED else chosen
    return DEFAULT if not config.privileged and _load_default() else ""


def warnings(config: ContainerConfig) -> list[str]:
    """What was asked for and is not in force."""
    chosen = _chosen(config)
    if chosen in ("", _UNCONFINED) or apparmor.in_kernel():
        return []
    return [f"AppArmor profile {chosen} is not applied: this kernel has no AppArmor"]


def _chosen(config: ContainerConfig) -> str:
    chosen = ""
    for item in config.security_opt:
        key, _, value = item.replace("=", ":", 1).partition(":")
        if key == "apparmor":
            chosen = value
    return chosen


def _load_default() -> bool:
    """False where the profile cannot be loaded: docker, too, goes without it when the parser is missing."""
    if DEFAULT in (apparmor.profiles() or ()):
        return True
    parser = shutil.which("apparmor_parser", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if parser is None:
        return False
    done = subprocess.run([parser, "-Kr"], input=_PROFILE.encode(), capture_output=True, check=False)
    return done.returncode == 0
