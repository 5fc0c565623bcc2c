"""A tree of mounts that nobody else can reach: made in a mount namespace that is gone when it is ready.

The tree lives as long as its descriptor: a crash leaves no mount behind, and no path of the host leads in.
"""

from __future__ import annotations

import os
import threading

from runtime.kernel import mounts, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["detached_tree"]


def detached_tree(make: Callable[[], str]) -> int:
    """Call ``make``, which mounts what it likes and gives the path of the tree's root; the tree as an O_PATH
    descriptor (open_tree(2), OPEN_TREE_CLONE | AT_RECURSIVE).

    ``make`` runs in a thread of its own: unshare(2) of CLONE_NEWNS is the calling thread's alone and takes
    its working directory and umask apart from the others' (CLONE_FS). Raises what ``make`` raises, and
    SyscallError.
    """
    made: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            mounts.make_private()
            root = make()
            flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE
            made.append(syscalls.open_tree(syscalls.AT_FDCWD, os.path.abspath(root), flags))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="detached-tree")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
