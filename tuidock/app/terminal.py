"""The terminal handed to a process in a container, while the interface is suspended.

One thread copies the session's output; this one copies the keyboard, passes on the window's size and
looks for the detach keys. Nothing here knows Textual.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.containers.session import Session

__all__ = ["DETACH", "Detaching", "bridge"]

DETACH = b"\x10\x11"
"""ctrl-p ctrl-q, docker's default."""
_INTERRUPT = b"\x03"
TICK = 0.2
"""Seconds between two looks at the window's size."""


class Detaching:
    """Finds the detach keys in what is typed; a first key is held back until the next one tells."""

    def __init__(self, keys: bytes = DETACH) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """(what goes to the process, whether the detach keys came)."""
        typed = self._held + typed
        self._held = b""
        at = typed.find(self._keys)
        if at >= 0:
            return typed[:at], True
        for length in range(len(self._keys) - 1, 0, -1):
            if typed.endswith(self._keys[:length]):
                self._held = typed[-length:]
                return typed[:-length], False
        return typed, False


def _window(fd: int) -> tuple[int, int]:
    """(rows, columns) of a terminal."""
    columns, rows = os.get_terminal_size(fd)
    return rows, columns


def bridge(session: Session, banner: str) -> int | None:
    """Talk to the process until it ends (its exit code) or the user detaches (None)."""
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    before = termios.tcgetattr(stdin)
    ended_reader, ended_writer = os.pipe()
    left = threading.Event()
    try:
        tty.setraw(stdin)
        os.write(stdout, f"\x1b[2J\x1b[H\x1b[2m{banner}\x1b[0m\r\n".encode())
        copier = threading.Thread(
            target=_copy_output, args=(session, stdout, ended_writer, left), daemon=True
        )
        copier.start()
        detached = _copy_input(session, stdin, ended_reader)
        if detached:
            left.set()
            session.detach()
            return None
        copier.join()
        return session.wait()
    finally:
        termios.tcsetattr(stdin, termios.TCSAFLUSH, before)
        os.close(ended_reader)


def _copy_output(session: Session, stdout: int, ended: int, left: threading.Event) -> None:
    """Until the process ends. Without a terminal of its own, its lines get the carriage returns that ours
    needs in raw mode. A read that still waits when the user has ``left`` writes nothing any more."""
    try:
        while (chunk := session.read()) is not None and not left.is_set():
            data = chunk[1] if session.tty else chunk[1].replace(b"\n", b"\r\n")
            while data:
                data = data[os.write(stdout, data) :]
    except (OSError, ValueError):  # the session was left meanwhile
        pass
    finally:
        os.close(ended)


def _copy_input(session: Session, stdin: int, ended: int) -> bool:
    """Says whether the user detached; False when the process ended."""
    detaching = Detaching()
    size = (0, 0)
    while True:
        if _window(stdin) != size:
            size = _window(stdin)
            session.resize(*size)
        ready, _, _ = select.select([stdin, ended], [], [], TICK)
        if ended in ready:
            return False
        if stdin not in ready:
            continue
        typed = os.read(stdin, 4096)
        if not typed:
            return True
        if not session.tty and _INTERRUPT in typed:
            session.signal(signal.SIGINT)
            typed = typed.replace(_INTERRUPT, b"")
        send, detach = detaching.feed(typed if session.tty else typed.replace(b"\r", b"\n"))
        if send:
            session.write(send)
        if detach:
            return True
