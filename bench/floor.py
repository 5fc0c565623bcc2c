"""The least that a container costs on this machine: Python's start, then only the system calls.

``python -I -S floor.py DIRECTORY`` makes the namespaces, an overlay of DIRECTORY/lower, a veth pair into the
new network namespace, pivots into the root and executes ``true``. No image, no limits, no record, no
supervision.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000,
)  # fmt: skip
MS_REC_PRIVATE = 0x4000 | 1 << 18
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute (netlink(7)), padded to four bytes."""
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def make_veth(name: str, peer: str, namespace_pid: int) -> None:
    """RTM_NEWLINK (rtnetlink(7)) of kind veth, its peer in the namespace of ``namespace_pid``."""
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    peer_info = link + attribute(3, peer.encode() + b"\0") + attribute(19, struct.pack("=I", namespace_pid))
    info = attribute(1, b"veth") + attribute(2, attribute(1, peer_info))
    body = link + attribute(3, name.encode() + b"\0") + attribute(18, info)
    header = struct.pack("=IHHII", 16 + len(body), 16, 0x1 | 0x4 | 0x400 | 0x200, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(header + body)
        answer = netlink.recv(4096)
    error = struct.unpack_from("=i", answer, 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error), "RTM_NEWLINK")


def main(directory: str) -> int:
    ready, go = os.pipe(), os.pipe()
    child = os.fork()  # noqa: TID251 - the floor is made of these calls
    if child == 0:
        check(
            libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET), "unshare"
        )
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        inner = os.fork()  # noqa: TID251
        if inner == 0:
            isolate(directory)
        _, status = os.waitpid(inner, 0)
        os._exit(os.waitstatus_to_exitcode(status))
    os.read(ready[0], 1)
    make_veth(f"fl{os.getpid()}", "eth0", child)
    os.write(go[1], b"1")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def isolate(directory: str) -> None:
    root = f"{directory}/merged"
    check(libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None), "private mounts")
    layers = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    check(libc.mount(b"overlay", root.encode(), b"overlay", 0, layers.encode()), "overlay")
    check(libc.mount(b"proc", f"{root}/proc".encode(), b"proc", 0, None), "proc")
    os.chdir(root)
    check(libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "umount")
    os.execv("/bin/true", ["true"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
