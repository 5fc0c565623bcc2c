"""Blobs to a registry (distribution-spec, "Pushing blobs"): asked for, mounted, sent, again after a cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import urlencode

from runtime.errors import EngineError, NotFound
from runtime.images.registry.faults import BadContent, Temporary
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Answer

__all__ = ["BlobSource", "has_remote_blob", "mount", "upload"]

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class BlobSource(Protocol):
    """What is sent. ``size`` and ``digest`` may be known only once all was read; until then size is None."""

    @property
    def size(self) -> int | None: ...

    @property
    def digest(self) -> str: ...

    def chunks(self, start: int) -> Iterator[bytes]:
        """The bytes from ``start`` on."""


def has_remote_blob(session: Session, digest: str, size: int | None = None) -> bool:
    """Raises Denied, Temporary. A blob of another size is not the same."""
    what = f"blob {digest[:19]}"
    with session.ask("HEAD", session.url(f"blobs/{digest}"), what=what, accept=(200, 404)) as answer:
        if answer.status == 404:
            return False
        length = answer.length()
        return size is None or length is None or length == size


def mount(session: Session, digest: str, source: str) -> str:
    """Take the blob over from the repository ``source``: "" when that worked, else the address of an upload
    that the registry has begun instead."""
    query = urlencode({"mount": digest, "from": source})
    url = f"{session.url('blobs/uploads/')}?{query}"
    what = f"mount of {digest[:19]}"
    with session.ask("POST", url, what=what, accept=(201, 202), body=b"") as answer:
        return "" if answer.status == 201 else _location(session, answer)


def upload(
    session: Session, source: BlobSource, *, begun: str = "", on_bytes: Callable[[int], None] | None = None
) -> str:
    """Send the whole blob; returns its digest. ``begun`` is an upload that there is already.

    Raises Temporary (after enough tries), Denied, BadContent, Cancelled.
    """
    backoff = session.backoff()
    place = begun
    while True:
        try:
            if not place:
                place = _begin(session)
            return _send(session, place, source, on_bytes)
        except EngineError as error:
            place = ""
            if isinstance(error, NotFound):
                # The registry has forgotten the upload (it was restarted): a new one.
                error = Temporary(error.message, hint=error.hint, subject=error.subject)
            backoff.wait(error, session.transport.cancel)


def _begin(session: Session) -> str:
    url = session.url("blobs/uploads/")
    what = f"upload to {session.path}"
    answer = session.once("POST", url, body=b"")
    with answer:
        if answer.status != 202:
            raise session.failure(answer, what)
        return _location(session, answer)


def _send(session: Session, place: str, source: BlobSource, on_bytes: Callable[[int], None] | None) -> str:
    headers = {"Content-Type": "application/octet-stream"}
    if source.size is not None:
        headers["Content-Length"] = str(source.size)
    what = f"upload to {session.path}"
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for chunk in source.chunks(0):
            session.transport.check()
            yield chunk
            sent += len(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))

    try:
        answer = session.once("PATCH", place, headers=headers, body=body())
        with answer:
            if answer.status not in (202, 204, 201):
                raise session.failure(answer, what)
            _check_range(session, answer, sent)
            place = _location(session, answer)
    except EngineError:
        if on_bytes is not None:
            on_bytes(-sent)
        raise
    separator = "&" if "?" in place else "?"
    digest = source.digest
    answer = session.once("PUT", f"{place}{separator}{urlencode({'digest': digest})}", body=b"")
    with answer:
        if answer.status not in (201, 204):
            raise session.failure(answer, what)
    return digest


def _check_range(session: Session, answer: Answer, sent: int) -> None:
    """A registry that took fewer bytes than were sent must be sent them again."""
    match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    if match is not None and sent and int(match[1]) != sent - 1:
        raise Temporary(f"registry {session.host}: it took {int(match[1]) + 1} of {sent} bytes")


def _location(session: Session, answer: Answer) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        raise BadContent(f"registry {answer.host}: no address to upload to")
    return session.absolute(answer, location)
