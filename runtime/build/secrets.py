"""Values of secrets: read when they are needed, kept nowhere."""

from __future__ import annotations

import os

from runtime.build.options import Secret
from runtime.errors import InvalidInput

__all__ = ["secret_bytes"]

_LIMIT = 500 << 10
"""BuildKit's, for one secret."""


def secret_bytes(secret: Secret) -> bytes:
    """Raises InvalidInput that names the secret, never its value."""
    if secret.file is not None:
        try:
            value = secret.file.read_bytes()
        except OSError as error:
            raise InvalidInput(f"secret {secret.id}: cannot read {secret.file}: {error.strerror}") from error
    else:
        name = secret.variable or secret.id
        if name not in os.environ:
            raise InvalidInput(f"secret {secret.id}: the environment has no variable {name}")
        value = os.environb[os.fsencode(name)]
    if len(value) > _LIMIT:
        raise InvalidInput(f"secret {secret.id} is larger than 500 KiB")
    return value
