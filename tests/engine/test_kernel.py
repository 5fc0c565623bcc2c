"""Namespaces, terminals, locks, pids, capabilities and seccomp on the real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.kernel import locks, pidfd
from tests.engine.kernel_child import run_child

pytestmark = pytest.mark.engine


def test_namespaces_are_entered() -> None:
    lines = run_child(
        """
names = ["mount", "network", "ipc", "uts", "cgroup"]
ready, go = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    S.unshare(namespaces.flags_of(names))
    S.sethostname("inside")
    namespaces.loopback_up()
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os._exit(0)
os.read(ready[0], 1)
namespaces.enter(pid, names)
print(os.uname().nodename, *(os.readlink(f"/proc/self/ns/{namespaces.PROC_NAMES[n]}") ==
                             os.readlink(f"/proc/{pid}/ns/{namespaces.PROC_NAMES[n]}") for n in names))
import socket
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), 1)
print("loopback")
os.write(go[1], b"x")
"""
    )
    assert lines == ["inside True True True True True", "loopback"]


def test_namespaces_of_a_missing_process() -> None:
    assert run_child("print(attempt(namespaces.namespace_fds, 1 << 22, ['mount']))") == ["ENOENT"]


def test_terminal_of_the_container() -> None:
    lines = run_child(
        """
S.unshare(S.CLONE_NEWNS)
mounts.make_private()
os.makedirs("/tmp/td-pty/dev/pts", exist_ok=True)
S.mount("tmpfs", "/tmp/td-pty", "tmpfs", 0)
root = os.open("/tmp/td-pty", os.O_PATH | os.O_DIRECTORY)
os.makedirs("/tmp/td-pty/dev")
os.symlink("/dev/pts", "/tmp/td-pty/dev/pts")
print(attempt(terminals.open_pty_in, root))
os.unlink("/tmp/td-pty/dev/pts")
os.makedirs("/tmp/td-pty/dev/pts")
open("/tmp/td-pty/dev/pts/ptmx", "w").close()
print(attempt(terminals.open_pty_in, root))
mounts.mount_all(root, [entry("/dev/pts", "devpts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")])
if os.fork() == 0:
    os.setsid()
    master, slave = terminals.open_pty_in(root)
    terminals.make_controlling(slave)
    terminals.set_window_size(master, 40, 100000)
    print(terminals.get_window_size(slave), os.ttyname(slave) if False else os.get_inheritable(slave))
    print(os.tcgetpgrp(slave) == os.getpid())
    sys.stdout.flush(); os._exit(0)
os.wait()
S.umount2("/tmp/td-pty/dev/pts"); S.umount2("/tmp/td-pty", S.MNT_DETACH)
"""
    )
    Path("/tmp/td-pty/dev/pts").rmdir()
    Path("/tmp/td-pty/dev").rmdir()
    Path("/tmp/td-pty").rmdir()
    assert lines == ["ELOOP", "ENOTTY", "(40, 65535) False", "True"]


def test_lock_tells_its_holder_and_falls_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert locks.holder(str(path)) == 0
    path.touch()
    assert locks.holder(str(path)) == 0
    code = (
        f"import os,sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from runtime.kernel import locks\n"
        f"fd = os.open({str(path)!r}, os.O_RDWR); print(locks.hold(fd), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert locks.holder(str(path)) == holder.pid
        fd = os.open(path, os.O_RDWR)
        assert not locks.hold(fd)
        os.close(fd)
    finally:
        holder.kill()
        holder.communicate()
    assert locks.holder(str(path)) == 0


def test_pids_with_their_start_time() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        started = pidfd.start_time(child.pid)
        assert started > 0
        assert pidfd.start_time(os.getpid()) <= started
        handle = pidfd.open_pidfd(child.pid)
        pidfd.send(handle, 15)
        assert child.wait() == -15
        with pytest.raises(OSError, match="No such process"):
            pidfd.send(handle, 15)
        os.close(handle)
    finally:
        child.kill()
        child.wait()
    assert pidfd.start_time(child.pid) == 0


def test_capabilities_are_dropped_for_root_and_others() -> None:
    lines = run_child(
        """
mask = capabilities.mask_of(["CHOWN", "NET_RAW", "SETUID", "SETGID"])
def show():
    status = open("/proc/self/status").read()
    fields = {line[:6]: int(line[8:], 16) for line in status.splitlines() if line.startswith("Cap")}
    kinds = ("Eff", "Prm", "Inh", "Bnd", "Amb")
    print(*(fields["Cap" + kind] == (mask if kind in same else 0) for kind in kinds))
    sys.stdout.flush()
if os.fork() == 0:
    capabilities.drop_bounding(mask); capabilities.set_sets(mask, mask, 0)
    same = ("Eff", "Prm", "Bnd"); show(); os._exit(0)
os.wait()
if os.fork() == 0:
    capabilities.drop_bounding(mask); capabilities.keep_caps()
    os.setresgid(7, 7, 7); os.setresuid(7, 7, 7)
    capabilities.set_sets(mask, mask, mask); capabilities.set_ambient(mask)
    same = ("Eff", "Prm", "Inh", "Bnd", "Amb"); show(); os._exit(0)
os.wait()
print(S.capget()[0] & capabilities.mask_of(["SYS_ADMIN"]) != 0)
"""
    )
    assert lines == ["True True True True True", "True True True True True", "True"]


def test_the_default_filter_holds_without_no_new_privs() -> None:
    lines = run_child(
        """
import socket
mask = capabilities.mask_of(["CHOWN", "SYS_CHROOT", "NET_RAW", "SETUID", "SETGID", "SETPCAP"])
seccomp.install(seccomp.default_program())
capabilities.drop_bounding(mask); capabilities.set_sets(mask, mask, 0)
print(attempt(S.unshare, S.CLONE_NEWUSER), attempt(S.mount, None, "/", None, S.MS_PRIVATE))
print(attempt(socket.socket, socket.AF_ALG, socket.SOCK_SEQPACKET), attempt(socket.socket, socket.AF_VSOCK))
print(S.prctl(S.PR_GET_SECCOMP), S.prctl(S.PR_GET_NO_NEW_PRIVS))
pid = os.fork()
if pid == 0:
    os.execv("/bin/sh", ["sh", "-c", "echo shell; grep Seccomp: /proc/self/status"])
os.waitpid(pid, 0)
import threading
thread = threading.Thread(target=lambda: print("thread")); thread.start(); thread.join()
"""
    )
    assert "EPERM EPERM" in lines[0]
    assert lines.count("EPERM EPERM") == 2
    assert "2 0" in lines
    assert {"shell", "Seccomp:\t2", "thread"} <= set(lines)


def test_the_filter_needs_privilege() -> None:
    lines = run_child(
        """
program = seccomp.default_program()
os.setresuid(7, 7, 7)
print(attempt(seccomp.install, program))
S.prctl(S.PR_SET_NO_NEW_PRIVS, 1)
print(attempt(seccomp.install, program))
"""
    )
    assert lines == ["EACCES", "None"]


def test_execveat_runs_the_open_file() -> None:
    lines = run_child(
        """
fd = os.open("/bin/echo", os.O_PATH | os.O_CLOEXEC)
sys.stdout.flush()
S.execveat(fd, ["echo", "hello"], {"A": "B"})
"""
    )
    assert lines == ["hello"]


def test_close_range_closes_or_marks() -> None:
    lines = run_child(
        """
fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
for fd in fds: os.set_inheritable(fd, True)
S.close_range(fds[0], fds[1], S.CLOSE_RANGE_CLOEXEC)
print(*(os.get_inheritable(fd) for fd in fds))
from runtime.kernel.process_calls import _close_range_by_hand
_close_range_by_hand(fds[2], fds[2], 0)
print(attempt(os.fstat, fds[2]))
S.close_range(fds[0], 0xFFFFFFFF, 0)
print(*(attempt(os.fstat, fd) for fd in fds))
"""
    )
    assert lines == ["False False True", "EBADF", "EBADF EBADF EBADF"]
