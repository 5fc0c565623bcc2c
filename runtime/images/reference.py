"""Image references: what a user types, and what it stands for.

The grammar is that of the distribution project (github.com/distribution/reference): ``[domain/]path[:tag]
[@digest]``; short names stand for ``docker.io/library/NAME:latest``.
"""

from __future__ import annotations

import re

from runtime.errors import InvalidInput
from runtime.model.record import record

__all__ = ["DEFAULT_DOMAIN", "DEFAULT_TAG", "Reference", "is_digest", "is_id_prefix", "normalize"]

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_DOMAIN = (
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
_HEX = r"[0-9a-f]+"


def is_digest(text: str) -> bool:
    return re.fullmatch(_DIGEST, text) is not None


def is_id_prefix(text: str) -> bool:
    """Could ``text`` be (the beginning of) an image id, with or without "sha256:"?"""
    digits = text.removeprefix("sha256:")
    return len(digits) <= 64 and re.fullmatch(_HEX, digits) is not None


@record
class Reference:
    """A normalized reference; it has a tag or a digest, or both. ``str()`` is the full form."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """``base`` gives ``docker.io/library/base:latest``. Raises InvalidInput."""
        remainder, at, digest = text.partition("@")
        if at and not is_digest(digest):
            raise _invalid(text, "the digest is not sha256: and 64 hexadecimal digits")
        name, colon, tag = remainder.rpartition(":")
        if not colon or "/" in tag:
            name, tag = remainder, ""
        elif re.fullmatch(_TAG, tag) is None:
            raise _invalid(text, f"{tag!r} is not a tag")
        if is_digest(f"sha256:{name}"):
            raise _invalid(text, "64 hexadecimal digits are an image id, not a name")
        domain, path = _split_domain(name)
        if re.fullmatch(_DOMAIN, domain) is None:
            raise _invalid(text, f"{domain!r} is not a registry")
        if re.fullmatch(_PATH, path) is None:
            if re.fullmatch(_PATH, path.lower()) is not None:
                raise _invalid(text, f"repository name ({name}) must be lowercase")
            raise _invalid(text)
        if len(path) > 255:
            raise _invalid(text, "the name is longer than 255 characters")
        if not tag and not digest:
            tag = DEFAULT_TAG
        return cls(domain, path, tag, digest)

    @property
    def name(self) -> str:
        """Domain and path: "docker.io/library/base"."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as users write it: "base", "me/app", "localhost:5000/app"."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    def familiar(self) -> str:
        """The short form with tag and digest: "base:latest"."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def normalize(text: str) -> str:
    """The full form that the database keeps. Raises InvalidInput."""
    return str(Reference.parse(text))


def _split_domain(name: str) -> tuple[str, str]:
    """The first component is a registry when it has a dot, a colon or capitals, or is localhost."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _invalid(text: str, detail: str = "") -> InvalidInput:
    return InvalidInput(
        f"invalid reference format: {text!r}" + (f": {detail}" if detail else ""),
        hint="a reference is [REGISTRY/]NAME[:TAG][@DIGEST], in lower case",
        subject=text,
    )
