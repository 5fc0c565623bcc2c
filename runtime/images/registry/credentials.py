"""Passwords of registries, where docker keeps them: ``config.json`` and its credential helpers.

``DOCKER_CONFIG`` names the directory, else ``~/.docker``. ``auths`` has passwords in base64; ``credHelpers``
(by registry) and ``credsStore`` (for all) name programs ``docker-credential-NAME`` that keep them
(docker-credential-helpers: ``get``, ``store`` and ``erase``, JSON over standard input and output).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import Failed, InvalidInput, NotFound
from runtime.images.reference import DEFAULT_DOMAIN
from runtime.images.registry.endpoints import HUB, INDEX

__all__ = ["CredentialStore", "Credentials", "server_key"]

_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"
_HELPER_SECONDS = 60


@dataclass(frozen=True)
class Credentials:
    """``identity_token`` (OAuth2's refresh token) is used instead of the password when there is one."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)

    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def server_key(domain: str) -> str:
    """What a registry is called in config.json: "localhost:5000", or Docker Hub's old address."""
    return INDEX if domain in (DEFAULT_DOMAIN, "index.docker.io", HUB, INDEX) else domain


class CredentialStore:
    """Reads the file anew each time: somebody may log in meanwhile."""

    def __init__(self, directory: Path | None = None) -> None:
        if directory is None:
            named = os.environ.get("DOCKER_CONFIG")
            directory = Path(named) if named else Path(os.environ.get("HOME", "/root")) / ".docker"
        self.path = directory / "config.json"

    def get(self, domain: str) -> Credentials:
        """Empty when there are none. Raises InvalidInput for a file that cannot be read, Failed for a helper
        that does not work."""
        document = self._read()
        key = server_key(domain)
        helper = self._helper(document, key)
        if helper:
            return self._ask(helper, key)
        auths = document.get("auths")
        if not isinstance(auths, dict):
            return Credentials()
        for name, entry in auths.items():
            if isinstance(entry, dict) and (name == key or _same_server(name, key)):
                return self._decode(entry, name)
        return Credentials()

    def put(self, domain: str, credentials: Credentials) -> str:
        """Keep them; returns where ("" for a helper). Raises Failed, InvalidInput."""
        document = self._read()
        key = server_key(domain)
        helper = self._helper(document, key)
        if helper:
            token = credentials.identity_token
            request = {
                "ServerURL": key,
                "Username": _TOKEN_USER if token else credentials.username,
                "Secret": token or credentials.password,
            }
            self._run(helper, "store", json.dumps(request))
            document.setdefault("auths", {})[key] = {}
            self._write(document)
            return ""
        entry: dict[str, str] = {
            "auth": base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
        }
        if credentials.identity_token:
            entry = {
                "auth": base64.b64encode(f"{credentials.username}:".encode()).decode(),
                "identitytoken": credentials.identity_token,
            }
        document.setdefault("auths", {})[key] = entry
        self._write(document)
        return str(self.path)

    def erase(self, domain: str) -> bool:
        """False when there were none."""
        document = self._read()
        key = server_key(domain)
        found = False
        helper = self._helper(document, key)
        if helper:
            found = bool(self._ask(helper, key))
            if found:
                self._run(helper, "erase", key)
        auths = document.get("auths")
        if isinstance(auths, dict):
            names = [name for name in auths if name == key or _same_server(name, key)]
            for name in names:
                del auths[name]
            if names:
                found = True
                self._write(document)
        return found

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"cannot read {self.path}: {error}", subject=str(self.path)) from error
        try:
            document = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise InvalidInput(
                f"{self.path} is not JSON: {error}", hint="mend it or move it away", subject=str(self.path)
            ) from None
        if not isinstance(document, dict):
            raise InvalidInput(f"{self.path} is not a JSON object", subject=str(self.path))
        return document

    def _write(self, document: dict[str, Any]) -> None:
        """Others cannot read it (0600); a reader sees the old file or the new one. A link is written through,
        since some keep the file elsewhere."""
        target = self.path.resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = target.with_name(f".config.json.{os.getpid()}-{os.urandom(4).hex()}")
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(document, file, indent="\t")
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise

    def _decode(self, entry: dict[str, Any], name: str) -> Credentials:
        token = entry.get("identitytoken")
        username, password = entry.get("username"), entry.get("password")
        encoded = entry.get("auth")
        if isinstance(encoded, str) and encoded:
            try:
                text = base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                text = ""
            username, colon, password = text.partition(":")
            if not colon:
                raise InvalidInput(
                    f"{self.path}: the password of {name} cannot be read",
                    hint=f"log in again: tuidock login {name}",
                    subject=name,
                )
            password = password.strip("\0")
        return Credentials(
            username if isinstance(username, str) else "",
            password if isinstance(password, str) else "",
            token if isinstance(token, str) else "",
        )

    def _helper(self, document: dict[str, Any], key: str) -> str:
        helpers = document.get("credHelpers")
        if isinstance(helpers, dict) and isinstance(helpers.get(key), str):
            return str(helpers[key])
        store = document.get("credsStore")
        return store if isinstance(store, str) else ""

    def _ask(self, helper: str, key: str) -> Credentials:
        try:
            answer = self._run(helper, "get", key)
        except NotFound:
            return Credentials()
        try:
            document = json.loads(answer)
            username, secret = str(document["Username"]), str(document["Secret"])
        except (ValueError, KeyError, TypeError):
            raise Failed(f"the credential helper docker-credential-{helper} answered no JSON") from None
        if username == _TOKEN_USER:
            return Credentials(identity_token=secret)
        return Credentials(username, secret)

    def _run(self, helper: str, verb: str, text: str) -> str:
        """Raises NotFound when the helper knows no such server, Failed when it does not work."""
        if not helper or "/" in helper:
            raise InvalidInput(f"{self.path} names an impossible credential helper: {helper!r}")
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(
                [program, verb],
                input=text,
                capture_output=True,
                text=True,
                timeout=_HELPER_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise Failed(
                f"the credential helper {program} is not installed",
                hint=f"install it, or take it out of {self.path}",
                subject=program,
            ) from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"the credential helper {program} failed: {error}", subject=program) from error
        if done.returncode == 0:
            return done.stdout
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        if any(_NOT_FOUND in line.lower() for line in said):
            raise NotFound(_NOT_FOUND)
        detail = said[-1] if said else f"exit code {done.returncode}"
        raise Failed(f"the credential helper {program} failed: {detail}", subject=program)


def _same_server(name: str, key: str) -> bool:
    """Older files have addresses: "https://localhost:5000/v2/"."""
    if key == INDEX:
        return False
    plain = name.partition("://")[2] or name
    return plain.partition("/")[0] == key
