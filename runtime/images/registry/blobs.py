"""Blobs over the wire: fetched into an :class:`Ingest`, resumed after a cut, never more than announced."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from runtime.errors import EngineError
from runtime.images.registry.faults import BadContent, Temporary
from runtime.images.registry.ingest import Ingest
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Answer

__all__ = ["fetch"]

_CHUNK = 256 << 10
_SUBSTANTIAL = 256 << 10
"""Bytes that one connection has to bring to count as progress: a line that drops every tenth is given up."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


def fetch(session: Session, ingest: Ingest, on_bytes: Callable[[int], None] | None = None) -> None:
    """Bring the rest of the blob and verify it. ``on_bytes`` hears how much came.

    Raises BadContent, Temporary (after enough tries), NotFound, Denied, Cancelled.
    """
    backoff = session.backoff()
    while True:
        before = ingest.position
        try:
            if ingest.position < ingest.size or not ingest.size:
                _read_rest(session, ingest, on_bytes)
            ingest.verify()
            return
        except EngineError as error:
            if ingest.position - before >= _SUBSTANTIAL:
                backoff.progress()
            backoff.wait(error, session.transport.cancel)


def _read_rest(session: Session, ingest: Ingest, on_bytes: Callable[[int], None] | None) -> None:
    start = ingest.position
    headers = {"Range": f"bytes={start}-"} if start else {}
    ingest.pieced = ingest.pieced or start > 0
    what = f"blob {ingest.digest[:19]}"
    answer = session.once("GET", session.url(f"blobs/{ingest.digest}"), headers=headers)
    with answer:
        if answer.status == 416 and start:
            # The registry has less of it than we: one of the two is wrong.
            raise BadContent(
                f"registry {answer.host}: {what} is shorter than announced", subject=ingest.digest
            )
        if answer.status not in (200, 206):
            raise session.failure(answer, what)
        skip = _skip(answer, start, what)
        _check_length(answer, ingest, start if not skip else 0, what)
        _copy(session, answer, ingest, skip, on_bytes)
    if ingest.position < ingest.size:
        raise Temporary(f"registry {session.host}: {what} was cut off", subject=ingest.digest)


def _skip(answer: Answer, start: int, what: str) -> int:
    """How many of the bytes that come we have already: a server may ignore Range (RFC 9110, 14.2)."""
    if answer.status == 200:
        return start
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) > start:
        raise BadContent(f"registry {answer.host}: {what} comes with a wrong Content-Range")
    return start - int(match[1])


def _check_length(answer: Answer, ingest: Ingest, start: int, what: str) -> None:
    """A registry that announces more than the manifest does is not listened to."""
    length = answer.length()
    if length is not None and answer.status == 200 and length > ingest.size:
        raise BadContent(
            f"registry {answer.host}: {what} has {length} bytes instead of {ingest.size}",
            subject=ingest.digest,
        )


def _copy(
    session: Session, answer: Answer, ingest: Ingest, skip: int, on_bytes: Callable[[int], None] | None
) -> None:
    timing = session.transport.timing
    since, amount = time.monotonic(), 0
    while data := answer.read_some(_CHUNK):
        session.transport.check()
        amount += len(data)
        now = time.monotonic()
        if now - since > timing.stall:
            if amount < timing.slowest:
                raise Temporary(f"registry {answer.host}: it sends next to nothing", subject=ingest.digest)
            since, amount = now, 0
        if skip:
            data, skip = data[skip:], skip - min(skip, len(data))
        ingest.append(data)
        if on_bytes is not None and data:
            on_bytes(len(data))
        if ingest.position == ingest.size and not _more(answer, ingest):
            return


def _more(answer: Answer, ingest: Ingest) -> bool:
    """All has come that was announced; is there an end, too? One byte more is a lie."""
    if answer.length() is not None:
        return False
    if answer.read_some(1):
        raise BadContent(
            f"registry {answer.host}: {ingest.digest[:19]} does not end after its {ingest.size} bytes",
            subject=ingest.digest,
        )
    return False
