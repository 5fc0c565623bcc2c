"""TLS contexts: the system's authorities, and a registry's own out of ``certs.d/HOST[:PORT]``.

The directory holds ``*.crt`` (authorities), and ``NAME.cert`` with ``NAME.key`` (what we show it), as
docker's does (docs.docker.com, "Verify repository client with certificates").
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path

from runtime.config import Config
from runtime.errors import InvalidInput

__all__ = ["certificate_directories", "tls_context"]

_DOCKER = "/etc/docker/certs.d"
_OURS = "/etc/tuidock/certs.d"


def certificate_directories(config: Config) -> tuple[Path, ...]:
    """Where ``HOST:PORT`` directories are looked for: the setting's, else docker's, the machine's and the
    user's own."""
    if config.registry_certs_dirs:
        return tuple(Path(item) for item in config.registry_certs_dirs)
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path(os.environ.get("HOME", "/root")) / ".config")
    return Path(_DOCKER), Path(_OURS), Path(home) / "tuidock" / "certs.d"


def tls_context(host: str, directories: Iterable[Path], *, verify: bool) -> ssl.SSLContext:
    """``host`` with its port where one is given. Raises InvalidInput, naming the file."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for parent in directories:
        directory = parent / host
        # os.path and not pathlib: a directory that we may not look into holds nothing for us.
        if not os.path.isdir(directory):  # noqa: PTH112
            continue
        for path in sorted(directory.iterdir()):
            if path.suffix == ".crt":
                _add_authority(context, path)
            elif path.suffix == ".cert":
                _add_client(context, path)
            elif path.suffix == ".key" and not path.with_suffix(".cert").exists():
                raise InvalidInput(f"{path} has no {path.stem}.cert beside it", subject=str(path))
    return context


def _add_authority(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"{path} is not a readable certificate: {error}", subject=str(path)) from error


def _add_client(context: ssl.SSLContext, path: Path) -> None:
    key = path.with_suffix(".key")
    if not key.exists():
        raise InvalidInput(f"{path} has no {key.name} beside it", subject=str(path))

    def refuse() -> str:
        # Without it OpenSSL would ask on the terminal.
        raise InvalidInput(f"{key} is encrypted", hint="give a key without a password", subject=str(key))

    try:
        context.load_cert_chain(path, key, password=refuse)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"{path} and {key.name} cannot be used: {error}", subject=str(path)) from error
