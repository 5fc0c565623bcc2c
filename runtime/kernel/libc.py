"""The door to the C library: a call by name or by system call number, and its error.

On ``_ctypes``, the C module: the package around it costs a process a quarter of a megabyte and 2.5 ms for
types that nobody here needs, and this is loaded into every monitor and every command. Numbers are passed as
``long``, which fits every argument that the kernel takes; bytes and buffers as pointers, None as NULL.
"""

from __future__ import annotations

import _ctypes
import _struct as struct  # the C module: the Python one is one more file to find
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Buffer: TypeAlias = "_ctypes.Array[_Char]"
    _Number: TypeAlias = _ctypes._SimpleCData[int]
    _Byte: TypeAlias = _ctypes._SimpleCData[bytes]
else:
    _Number = _Byte = _ctypes._SimpleCData

__all__ = ["SyscallError", "address", "buffer", "call", "check", "encoded", "errno", "pointers", "syscall"]


class SyscallError(OSError):
    """A system call failed: ``call`` is its name, ``target`` what it was about, ``errno`` why."""

    def __init__(self, call: str, target: str, number: int) -> None:
        super().__init__(number, os.strerror(number))
        self.call = call
        self.target = target

    def __str__(self) -> str:
        about = f"{self.call} {self.target}" if self.target else self.call
        return f"{about}: {self.strerror}"


class _Int(_Number):
    _type_ = "i"


class _Long(_Number):
    _type_ = "l"


class _Char(_Byte):
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    """``int NAME(...)``."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


class _LongFunction(_ctypes.CFuncPtr):
    """``long NAME(...)``."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


_program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # NULL is the program itself, dlopen(3)
_syscall = _LongFunction(_ctypes.dlsym(_program, "syscall"))


def _converted(arguments: tuple[int | bytes | Buffer | None, ...]) -> list[object]:
    return [_Long(item) if isinstance(item, int) else item for item in arguments]


def call(name: str, *arguments: int | bytes | Buffer | None) -> int:
    """A function of the C library that gives an int; -1 leaves the reason in :func:`errno`."""
    return int(_Function(_ctypes.dlsym(_program, name))(*_converted(arguments)))


def syscall(number: int, *arguments: int | bytes | Buffer | None) -> int:
    """syscall(2), for what a C library may lack."""
    return int(_syscall(_Long(number), *_converted(arguments)))


def errno() -> int:
    """Of the last call here."""
    return int(_ctypes.get_errno())


def check(result: int, call: str, target: str = "") -> int:
    """``result``, or SyscallError when it is -1."""
    if result == -1:
        raise SyscallError(call, target, errno())
    return result


def buffer(content: int | bytes) -> Buffer:
    """Memory that the kernel may write to: zeros, or a copy of ``content``; read it with ``bytes()``."""
    if isinstance(content, int):
        return (_Char * content)()
    return (_Char * len(content)).from_buffer_copy(content)


def encoded(path: str | bytes | os.PathLike[str]) -> bytes:
    """As os.fsencode, which a monitor's children do without."""
    plain = os.fspath(path)
    if isinstance(plain, bytes):
        return plain
    return plain.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def address(memory: Buffer) -> int:
    """Where it is, for structures that hold pointers. It must be kept alive meanwhile."""
    return int(_ctypes.addressof(memory))


def pointers(items: list[bytes]) -> tuple[Buffer, list[Buffer]]:
    """A NULL-terminated array of C strings (``char *[]``), and the strings, to be kept alive as long."""
    strings = [buffer(item + b"\0") for item in items]
    table = struct.pack(f"{len(items) + 1}P", *[address(string) for string in strings], 0)
    return buffer(table), strings
