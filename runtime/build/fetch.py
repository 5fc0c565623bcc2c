"""What ADD and a remote context download: files by HTTP, checked, and not loaded twice without need."""

from __future__ import annotations

import email.message
import email.utils
import hashlib
import json
import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from runtime.errors import Cancelled, InvalidInput
from runtime.model.event import CancelEvent

__all__ = ["Download", "Downloads", "FetchError", "download", "is_remote", "parse_checksum"]

_CHUNK = 1 << 18
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}


class FetchError(ValueError):
    """A URL that cannot be had, or whose content is not what the checksum says."""


@dataclass(frozen=True)
class Download:
    """``path`` is the file, None when only what it would be is known. ``modified`` is nanoseconds, None when
    the server does not tell."""

    url: str
    name: str
    digest: str
    modified: int | None
    path: Path | None = None


def is_remote(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def parse_checksum(text: str) -> tuple[str, str]:
    """ "sha256:HEX" as (algorithm, digits). Raises InvalidInput."""
    algorithm, _, digits = text.partition(":")
    wanted = _DIGITS.get(algorithm)
    if wanted is None or len(digits) != wanted or set(digits.lower()) - set("0123456789abcdef"):
        raise InvalidInput(
            f"unsupported --checksum {text!r}",
            hint=f"it is {', '.join(f'{name}:' for name in _DIGITS)} and its hexadecimal digits",
        )
    return algorithm, digits.lower()


class Downloads:
    """One build's. ``memory`` (a directory) keeps what is known of a URL, so that the server can answer
    "not modified"; ``new_path`` gives places for files."""

    def __init__(
        self, memory: Path, new_path: Callable[[str], Path], cancel: CancelEvent | None = None
    ) -> None:
        self._memory = memory
        self._new_path = new_path
        self._cancel = cancel

    def look(self, url: str, checksum: str = "") -> Download:
        """Enough for a cache key. With a ``checksum`` nothing is asked of the server. Raises FetchError."""
        memo = self._memo(url)
        if checksum:
            parse_checksum(checksum)
            return Download(url, str(memo.get("name") or _name(url, "")), checksum.lower(), None)
        headers = {}
        if memo.get("etag"):
            headers["If-None-Match"] = str(memo["etag"])
        elif memo.get("last_modified"):
            headers["If-Modified-Since"] = str(memo["last_modified"])
        found = self._get(url, headers)
        if found is not None:
            return found
        return Download(
            url, str(memo["name"]), str(memo["digest"]), _date(str(memo.get("last_modified", "")))
        )

    def load(self, known: Download) -> Download:
        """The file itself; it must be what ``known`` says. Raises FetchError."""
        if known.path is not None:
            return known
        found = self._get(known.url, {})
        assert found is not None and found.path is not None
        algorithm = known.digest.partition(":")[0]
        digest = found.digest if algorithm == "sha256" else f"{algorithm}:{_digest(found.path, algorithm)}"
        if digest != known.digest:
            raise FetchError(f"checksum of {known.url} is {digest}, not {known.digest}")
        return found

    def _get(self, url: str, headers: dict[str, str]) -> Download | None:
        found, answer = download(url, self._new_path("download"), headers, self._cancel)
        if found is not None:
            memo = {"name": found.name, "digest": found.digest, **answer}
            self._memory.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._place(url).with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(memo), encoding="utf-8")
            part.replace(self._place(url))
        return found

    def _place(self, url: str) -> Path:
        return self._memory / f"http-{hashlib.sha256(url.encode()).hexdigest()[:24]}"

    def _memo(self, url: str) -> dict[str, Any]:
        try:
            found = json.loads(self._place(url).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and "digest" in found and "name" in found else {}


def download(
    url: str, path: Path, headers: dict[str, str] | None = None, cancel: CancelEvent | None = None
) -> tuple[Download | None, dict[str, str]]:
    """The body of a URL into a new file, and the answer's ``etag`` and ``last_modified``. None when the
    server says that it has not changed. Raises FetchError, Cancelled."""
    import urllib3

    pool = urllib3.PoolManager(timeout=60, retries=urllib3.Retry(3, redirect=10))
    try:
        response = pool.request("GET", url, headers=headers or {}, preload_content=False)
        try:
            if response.status == 304 and headers:
                return None, {}
            if response.status != 200:
                raise FetchError(f"cannot fetch {url}: the server answered {response.status}")
            total = hashlib.sha256()
            with path.open("xb") as file:
                for chunk in response.stream(_CHUNK):
                    if cancel is not None and cancel.is_set():
                        raise Cancelled("the build was cancelled")
                    total.update(chunk)
                    file.write(chunk)
            told = {
                "etag": response.headers.get("ETag", ""),
                "last_modified": response.headers.get("Last-Modified", ""),
            }
            name = _name(url, response.headers.get("Content-Disposition", ""))
        finally:
            response.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise FetchError(f"cannot fetch {url}: {type(error).__name__}") from error
    finally:
        pool.clear()
    found = Download(url, name, f"sha256:{total.hexdigest()}", _date(told["last_modified"]), path)
    return found, told


def _name(url: str, disposition: str) -> str:
    """What the server calls the file, else the last part of the URL's path."""
    message = email.message.Message()
    message["Content-Disposition"] = disposition
    for candidate in (message.get_filename() or "", unquote(urlsplit(url).path).rstrip("/")):
        name = posixpath.basename(candidate)
        if name not in ("", ".", "..") and "\0" not in name:
            return name
    return "index.html"


def _date(text: str) -> int | None:
    try:
        return round(email.utils.parsedate_to_datetime(text).timestamp()) * 10**9
    except (TypeError, ValueError):
        return None


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
