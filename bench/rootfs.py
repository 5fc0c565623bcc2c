"""A small image without Python: one static busybox (Debian: busybox-static) and links to it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

__all__ = ["busybox_tar"]

PROGRAM = Path("/bin/busybox")
DIRECTORIES = ("bench", "bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "var")
FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/home:/bin/sh\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}


def busybox_tar() -> bytes:
    """The root file system as a tar. Raises FileNotFoundError without busybox-static."""
    applets = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in DIRECTORIES:
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            archive.addfile(entry)
        _add(archive, "bin/busybox", PROGRAM.read_bytes(), 0o755)
        for name, content in FILES.items():
            _add(archive, name, content, 0o644)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
