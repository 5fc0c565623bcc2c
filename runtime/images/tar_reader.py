"""Reading tar archives: ustar, pax and GNU headers, from a stream, fast.

Formats: POSIX.1-2017 pax(1), tar(5), GNU tar manual "Standard Format". Names are bytes. Nothing is
interpreted here: whether a name may be used is the extractor's business.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from runtime.errors import InvalidInput
from runtime.images.compression import CHUNK, Readable

__all__ = [
    "BLOCK",
    "BLOCK_DEVICE",
    "CHARACTER_DEVICE",
    "DIRECTORY",
    "FIFO",
    "HARD_LINK",
    "REGULAR",
    "SYMLINK",
    "Entry",
    "TarReader",
]

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _GNU_SPARSE = b"xgLKS"
_CONTIGUOUS = b"7"[0]
_OLD_REGULAR = 0
_HEADER_ONLY = frozenset((HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO))
_ZERO = bytes(BLOCK)
_MAX_EXTENSION = 1 << 20
"""Bytes of one pax or GNU long-name header; Go's archive/tar has the same limit."""
_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."
_MAX_PIECES = 1 << 17
_MAX_SPARSE = 1 << 50
"""Bytes of a file with its holes; no file system of ours holds more."""


class Entry:
    """One header. ``type`` is a byte (REGULAR ...), ``size`` the payload's bytes, ``mtime`` nanoseconds.

    A file with holes has ``pieces``, (offset, length) of what the payload holds one after the other, and
    ``real_size``; else ``pieces`` is None.
    """

    __slots__ = (
        "gid",
        "linkname",
        "major",
        "minor",
        "mode",
        "mtime",
        "name",
        "pieces",
        "real_size",
        "size",
        "type",
        "uid",
        "xattrs",
    )

    def __init__(self) -> None:
        self.name = b""
        self.type = REGULAR
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.mtime = 0
        self.linkname = b""
        self.major = 0
        self.minor = 0
        self.xattrs: dict[bytes, bytes] | None = None
        self.pieces: list[tuple[int, int]] | None = None
        self.real_size = 0


class TarReader:
    """Iterate for entries; between two of them ``payload`` or ``copy_to`` give the current one's data.

    A stream that has ``skip(n)`` is not read where nobody asks for the data. ``record`` gets, in order, every
    byte that ``payload`` and ``copy_to`` do not give.
    Raises InvalidInput for what is no tar archive or ends too early. When iteration has ended, the stream
    was read to its end (a digest over it is complete).
    """

    def __init__(self, stream: Readable, record: Callable[[bytes], None] | None = None) -> None:
        self._stream = stream
        self._record = record
        self._chunk = b""
        self._position = 0
        self._remaining = 0
        self._padding = 0
        self._offset = 0
        self._globals: dict[bytes, bytes] = {}
        self._pieces: list[tuple[int, int]] | None = None
        self._real_size = 0
        self._seek: Callable[[int], None] | None = getattr(stream, "skip", None) if record is None else None

    @property
    def offset(self) -> int:
        """Where in the (plain) stream the next byte to be read lies."""
        return self._offset + self._position

    def __iter__(self) -> Iterator[Entry]:
        extensions: dict[bytes, bytes] = {}
        while True:
            self._skip(self._remaining + self._padding)
            self._remaining = self._padding = 0
            block = self._header_block()
            if block is None:
                if extensions:
                    raise _damaged("an extended header is followed by no entry")
                self._drain()
                return
            kind = block[156]
            if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK):
                data = self._extension(block)
                if kind == _PAX:
                    extensions.update(_pax_records(data))
                elif kind == _PAX_GLOBAL:
                    self._globals.update(_pax_records(data))
                else:
                    key = b"path" if kind == _GNU_NAME else b"linkpath"
                    extensions[key] = data.split(b"\0", 1)[0]
                continue
            entry = _parse(block)
            records = extensions if any(key.startswith(_SPARSE) for key in extensions) else None
            if extensions or self._globals:
                _apply(entry, {**self._globals, **extensions} if self._globals else extensions)
                extensions = {}
            if entry.type == _OLD_REGULAR:
                # Before POSIX a name told a directory; the header's may be cut, so look at the whole.
                entry.type = DIRECTORY if entry.name.endswith(b"/") else REGULAR
            if entry.type in _HEADER_ONLY:
                entry.size = 0
            stored = entry.size
            if kind == _GNU_SPARSE:
                self._old_sparse(entry, block)
            elif records is not None:
                stored -= self._pax_sparse(entry, records)
            entry.size = self._remaining = stored
            self._padding = -stored % BLOCK
            self._pieces, self._real_size = entry.pieces, entry.real_size
            yield entry

    def payload(self) -> Iterator[memoryview]:
        """The current entry's data, in pieces."""
        while self._remaining:
            if self._position >= len(self._chunk):
                self._fill()
            piece = memoryview(self._chunk)[self._position : self._position + self._remaining]
            self._position += len(piece)
            self._remaining -= len(piece)
            yield piece

    def copy_to(self, fd: int, check: Callable[[], None] | None = None) -> None:
        """Write the current entry's data to ``fd``, holes left as holes; ``check`` is called now and then and
        may raise."""
        if self._pieces is not None:
            self._copy_sparse(fd, self._pieces, check)
            return
        size, start = self._remaining, self._position
        if size <= len(self._chunk) - start:  # as most are: here already, so that one call writes it
            self._position += size
            self._remaining = 0
            _write(fd, memoryview(self._chunk)[start : start + size])
            return
        for piece in self.payload():
            if check is not None and self._remaining:
                check()
            _write(fd, piece)

    def _copy_sparse(self, fd: int, pieces: list[tuple[int, int]], check: Callable[[], None] | None) -> None:
        places = iter(pieces)
        room = 0
        for data in self.payload():
            if check is not None:
                check()
            while data:
                if not room:
                    offset, room = next(places)
                    os.lseek(fd, offset, os.SEEK_SET)
                    continue
                _write(fd, data[:room])
                data, room = data[room:], max(0, room - len(data))
        os.ftruncate(fd, self._real_size)

    def _old_sparse(self, entry: Entry, block: bytes) -> None:
        """GNU's own format: four places in the header, further ones in blocks of 21 after it."""
        entry.type = REGULAR
        places = _places(block, 386, 4)
        more = block[482]
        while more:
            extension = self._take(BLOCK)
            places += _places(extension, 0, 21)
            if len(places) > _MAX_PIECES:
                raise _damaged("a sparse file of too many pieces")
            more = extension[504]
        _set_pieces(entry, places, _number(block[483:495]), entry.size)

    def _pax_sparse(self, entry: Entry, records: dict[bytes, bytes]) -> int:
        """GNU tar's pax formats 0.1 (the places are a record) and 1.0 (they are before the data); bytes of
        the payload that were read."""
        entry.name = records.get(_SPARSE + b"name") or entry.name
        size = _decimal(records.get(_SPARSE + b"realsize") or records.get(_SPARSE + b"size") or b"")
        if records.get(_SPARSE + b"major") == b"1":
            data = b""
            numbers: list[int] = []
            wanted = 1
            while len(numbers) < wanted:
                if len(data) >= _MAX_EXTENSION or len(data) + BLOCK > entry.size:
                    raise _damaged("a sparse file without its map")
                data += self._take(BLOCK)
                numbers = [_decimal(item) for item in data.split(b"\n")[:-1][:wanted]]
                if numbers and wanted == 1:
                    wanted = 1 + 2 * min(numbers[0], _MAX_PIECES)
                    numbers = [_decimal(item) for item in data.split(b"\n")[:-1][:wanted]]
            numbers = numbers[1:]
        else:
            data = b""
            listed = records.get(_SPARSE + b"map")
            if listed is None:
                raise InvalidInput(
                    "sparse files of the format 0.0 in tar archives are not supported",
                    hint="write it with tar --sparse-version=1.0, or without --sparse",
                )
            numbers = [_decimal(item) for item in listed.split(b",")] if listed else []
        if len(numbers) % 2:
            raise _damaged("a sparse file with half a place")
        places = list(zip(numbers[::2], numbers[1::2]))
        _set_pieces(entry, places, size, entry.size - len(data))
        return len(data)

    def read_payload(self, limit: int) -> bytes:
        """All of the current entry's data. Raises InvalidInput above ``limit`` bytes."""
        if self._remaining > limit:
            raise InvalidInput(f"an archive member is larger than {limit} bytes")
        return b"".join(self.payload())

    def _header_block(self) -> bytes | None:
        """None at the end: two zero blocks, or no more data."""
        block = self._take(BLOCK, at_end=True)
        if not block:
            return None
        if block == _ZERO:
            second = self._take(BLOCK, at_end=True)
            if second and second != _ZERO:
                raise _damaged("an empty header in the middle")
            return None
        return block

    def _extension(self, block: bytes) -> bytes:
        size = _number(block[124:136])
        _check(block)
        if size > _MAX_EXTENSION:
            raise _damaged(f"an extended header of {size} bytes")
        data = self._take(size)
        self._skip(-size % BLOCK)
        return data

    def _take(self, count: int, *, at_end: bool = False) -> bytes:
        """``count`` bytes; b"" when ``at_end`` allows the stream to end here."""
        start = self._position
        end = start + count
        if end <= len(self._chunk):
            self._position = end
            taken = self._chunk[start:end]
            if self._record is not None:
                self._record(taken)
            return taken
        parts = [self._chunk[start:]]
        missing = count - len(parts[0])
        self._position = len(self._chunk)
        while missing:
            if not self._more():
                if at_end and missing == count:
                    return b""
                raise _damaged("it ends too early")
            part = self._chunk[:missing]
            self._position = len(part)
            missing -= len(part)
            parts.append(part)
        taken = b"".join(parts)
        if self._record is not None:
            self._record(taken)
        return taken

    def _skip(self, count: int) -> None:
        left = count - (len(self._chunk) - self._position)
        if left > 0 and self._seek is not None:
            self._seek(left)
            self._offset += len(self._chunk) + left
            self._chunk = b""
            self._position = 0
            return
        while count:
            if self._position >= len(self._chunk):
                self._fill()
            step = min(count, len(self._chunk) - self._position)
            if self._record is not None:
                self._record(self._chunk[self._position : self._position + step])
            self._position += step
            count -= step

    def _fill(self) -> None:
        if not self._more():
            raise _damaged("it ends too early")

    def _more(self) -> bool:
        chunk = self._stream.read(CHUNK)
        if not chunk:
            return False
        self._offset += len(self._chunk)
        self._chunk = chunk
        self._position = 0
        return True

    def _drain(self) -> None:
        if self._record is not None:
            self._record(self._chunk[self._position :])
        while chunk := self._stream.read(CHUNK):
            if self._record is not None:
                self._record(chunk)
            self._offset += len(self._chunk)
            self._chunk = chunk
        self._position = len(self._chunk)


def _write(fd: int, piece: memoryview) -> None:
    written = os.write(fd, piece)
    while written < len(piece):
        piece = piece[written:]
        written = os.write(fd, piece)


def _places(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    found = []
    for at in range(start, start + 24 * count, 24):
        if not block[at]:
            break
        found.append((_number(block[at : at + 12]), _number(block[at + 12 : at + 24])))
    return found


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise _damaged(f"a number that is none: {text[:20]!r}")
    return int(text)


def _set_pieces(entry: Entry, places: list[tuple[int, int]], real_size: int, stored: int) -> None:
    """Raises InvalidInput unless the places are in order, inside the file and as long as the payload."""
    end = 0
    for offset, length in places:
        if offset < end or length < 0:
            raise _damaged("a sparse file whose pieces overlap")
        end = offset + length
    if not end <= real_size <= _MAX_SPARSE or sum(length for _, length in places) != stored:
        raise _damaged("a sparse file whose map does not fit its size")
    entry.pieces = [place for place in places if place[1]]
    entry.real_size = real_size


def _damaged(detail: str) -> InvalidInput:
    return InvalidInput(f"not a readable tar archive: {detail}")


def _check(block: bytes) -> None:
    """The header's checksum: the sum of its bytes with the field itself taken as blanks."""
    try:
        expected = int(block[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        raise _damaged("a header without a checksum") from None
    if sum(block) - sum(block[148:156]) + 256 != expected:
        # Some old writers summed signed bytes.
        signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + block[156:]) + 256
        if signed != expected:
            raise _damaged("a header with a wrong checksum")


def _number(field: bytes) -> int:
    """Octal digits, or base 256 when the first bit is set (GNU); the second bit is the sign."""
    first = field[0]
    if first & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if first & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise _damaged(f"a number that is none: {field!r}") from None


def _parse(block: bytes) -> Entry:
    _check(block)
    entry = Entry()
    name = block[:100].split(b"\0", 1)[0]
    magic = block[257:263]
    if magic == b"ustar\0" and block[345]:
        name = block[345:500].split(b"\0", 1)[0] + b"/" + name
    entry.name = name
    entry.mode = _number(block[100:108])
    entry.uid = _number(block[108:116])
    entry.gid = _number(block[116:124])
    entry.size = _number(block[124:136])
    entry.mtime = _number(block[136:148]) * 1_000_000_000
    kind = block[156]
    if kind == _CONTIGUOUS:
        kind = REGULAR
    entry.type = kind
    if kind in (HARD_LINK, SYMLINK):
        entry.linkname = block[157:257].split(b"\0", 1)[0]
    elif kind in (CHARACTER_DEVICE, BLOCK_DEVICE):
        entry.major = _number(block[329:337])
        entry.minor = _number(block[337:345])
    if entry.size < 0:
        raise _damaged("a negative size")
    return entry


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """``LENGTH KEY=VALUE\\n`` records; an empty value deletes what a global header said."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        try:
            length = int(data[position:space]) if space > 0 else 0
        except ValueError:
            length = 0
        end = position + length
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if length < 5 or end > len(data) or data[end - 1 : end] != b"\n" or not equals:
            if not data[position:].strip(b"\0"):
                break
            raise _damaged("a pax header that cannot be read")
        records[key] = value
        position = end
    return records


def _apply(entry: Entry, records: dict[bytes, bytes]) -> None:
    try:
        for key, value in records.items():
            if key == b"path":
                if value:
                    entry.name = value
            elif key == b"linkpath":
                entry.linkname = value or entry.linkname
            elif key == b"size":
                entry.size = int(value) if value else entry.size
            elif key == b"uid":
                entry.uid = int(value) if value else entry.uid
            elif key == b"gid":
                entry.gid = int(value) if value else entry.gid
            elif key == b"mtime":
                entry.mtime = _nanoseconds(value) if value else entry.mtime
            elif key.startswith(_XATTR):
                if entry.xattrs is None:
                    entry.xattrs = {}
                entry.xattrs[key[len(_XATTR) :]] = value
    except ValueError:
        raise _damaged(f"a pax header with a wrong {key.decode('ascii', 'replace')}") from None
    if entry.size < 0:
        raise _damaged("a negative size")


def _nanoseconds(text: bytes) -> int:
    """Seconds with a decimal fraction, without rounding through a float."""
    whole, _, fraction = text.partition(b".")
    seconds = int(whole or b"0") * 1_000_000_000
    part = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    return seconds - part if whole.startswith(b"-") else seconds + part
