"""``--ssh NAME=KEY``: private keys behind an agent of their own, OpenSSH's, for as long as a step runs.

The agent ends with us, however we end: its shell waits for the end of a pipe that only we hold.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from runtime.errors import Failed, InvalidInput

__all__ = ["KeyAgent", "check_agents", "is_agent"]

_LARGEST = 64 << 10
_BEGIN = b"-----BEGIN "
_PATIENCE = 10.0
_SERVE = 'ssh-agent -D -a "$1" < /dev/null > /dev/null 2>&1 & read -r end; kill $!; wait'
_HINT = "give an agent's socket or the files of private keys: --ssh default, --ssh NAME=KEY[,KEY]"


def is_agent(paths: Sequence[Path]) -> bool:
    """An agent's socket, and no keys."""
    return len(paths) == 1 and paths[0].is_socket()


def check_agents(given: Mapping[str, Sequence[Path]]) -> None:
    """Before anything is built. Raises InvalidInput that names what is wrong."""
    for name, paths in given.items():
        if not paths:
            raise InvalidInput(f"--ssh {name}: SSH_AUTH_SOCK is not set", hint=_HINT, subject=name)
        if is_agent(paths):
            continue
        for path in paths:
            _read(name, path)
        if shutil.which("ssh-agent") is None or shutil.which("ssh-add") is None:
            raise InvalidInput(
                f"--ssh {name}: a key needs the program ssh-agent, which is not here",
                hint="install it (Debian: openssh-client), or give the socket of an agent",
            )


def _read(name: str, path: Path) -> bytes:
    """A private key's text; ssh-add itself would refuse a file that others may read."""
    try:
        if path.is_socket():
            raise InvalidInput(f"--ssh {name}: one socket, or keys: {path}", hint=_HINT, subject=name)
        if path.exists() and not path.is_file():
            raise InvalidInput(f"--ssh {name}: {path} is neither a socket nor a file", hint=_HINT)
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"--ssh {name}: {path}: {error.strerror}", hint=_HINT, subject=name) from error
    if not text.lstrip().startswith(_BEGIN) or len(text) > _LARGEST:
        raise InvalidInput(f"--ssh {name}: {path} is not a private key", hint=_HINT, subject=name)
    return text


class KeyAgent:
    """A context manager: ``socket``, in a directory of its own that nobody else may enter, answers while it
    is entered. Raises Failed when the agent does not start, InvalidInput for a key that it refuses."""

    def __init__(self, name: str, keys: Sequence[Path], directory: Path) -> None:
        self._name = name
        self._keys = tuple(keys)
        self._directory = directory
        self.socket = directory / "agent"

    def __enter__(self) -> KeyAgent:
        self._directory.mkdir(mode=0o700)
        # In its directory: sun_path holds 107 bytes (unix(7)) and the state directory may lie deep.
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SERVE, "sh", self.socket.name],
            stdin=subprocess.PIPE,
            cwd=self._directory,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + _PATIENCE
            while not self.socket.is_socket():
                if time.monotonic() > deadline:
                    raise Failed(f"--ssh {self._name}: ssh-agent did not start")
                time.sleep(0.002)
            for key in self._keys:
                self._add(key)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _add(self, key: Path) -> None:
        done = subprocess.run(
            ["ssh-add", "-q", "-"],
            input=_read(self._name, key),
            capture_output=True,
            cwd=self._directory,
            env={
                **os.environ,
                "SSH_AUTH_SOCK": self.socket.name,
                "SSH_ASKPASS_REQUIRE": "never",
                "LC_ALL": "C",
            },
            start_new_session=True,  # no terminal to ask for a passphrase on
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1] if said else "no reason given"
            if "passphrase" in reason:
                reason = (
                    "it has a passphrase: add it to an agent and give that one (ssh-add KEY; --ssh default)"
                )
            raise InvalidInput(f"--ssh {self._name}: ssh-add refuses {key}: {reason}", subject=str(key))

    def _end(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()
        self.socket.unlink(missing_ok=True)
        self._directory.rmdir()
