"""The base image's Python: the interpreter that runs us, its standard library, and pip.

An interpreter from an unusual place (pyenv, a home directory) goes to ``/usr/local``: it finds its library
from where it is started. Paths compiled into binaries and byte code are changed along.
"""

from __future__ import annotations

import configparser
import importlib.util
import io
import os
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from runtime.errors import Unavailable
from runtime.images.base_plan import BasePlan
from runtime.images.elf import loadable, without_path

__all__ = ["MTIME", "add_pip", "add_python", "new_prefix", "pip_configuration"]

MTIME = 1_735_689_600
"""The time of every file in the base image, 2025-01-01: byte code names its source's time."""

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_WHEELS = Path("/usr/share/python-wheels")
"""Where Debian keeps what ensurepip installs into virtual environments."""
_LEFT_OUT = frozenset(
    {"test", "tests", "idlelib", "tkinter", "turtledemo", "site-packages", "dist-packages", "__pycache__"}
)
_LEFT_OUT_FILES = ("EXTERNALLY-MANAGED", "turtle.py")
_LEFT_OUT_MODULES = re.compile(r"(_tkinter|_test\w*|_ctypes_test|_xxtestfuzz|xxlimited\w*)\.")


def new_prefix() -> str:
    """Where the interpreter goes: the system's own stays in /usr."""
    return "/usr" if sys.base_prefix == "/usr" else "/usr/local"


def add_python(plan: BasePlan) -> None:
    """Plan interpreter and standard library. Raises Unavailable when they cannot be found."""
    executable = Path(sys.base_prefix, "bin", f"python{_VERSION}")
    if not executable.exists():
        executable = Path(os.path.realpath(sys.executable))
    library = Path(os.__file__).parent
    if not executable.is_file() or not (library / "os.py").is_file():
        raise Unavailable(
            f"the Python that runs tuidock cannot be found below {sys.base_prefix}",
            hint="run tuidock with an ordinary CPython installation",
        )
    binary = _BinaryChange(str(plan.prefix)) if plan.new_prefix != str(plan.prefix) else None
    extra = (f"{plan.prefix}/lib",)
    bin_directory = f"{plan.new_prefix}/bin"
    plan.copy(executable.resolve(), f"{bin_directory}/python{_VERSION}", binary)
    for name in ("python3", "python"):
        plan.link(f"{bin_directory}/{name}", f"python{_VERSION}")
    plan.libraries_of(executable, extra)
    shared = plan.prefix / "lib" / f"libpython{_VERSION}.so.1.0"
    if shared.is_file() and plan.new_prefix != str(plan.prefix):
        plan.copy(shared, f"{plan.new_prefix}/lib/{shared.name}", binary)
    target = f"{plan.new_prefix}/lib/python{_VERSION}"
    for path, relative in _library_files(library):
        where = f"{target}/{relative}"
        if path.suffix == ".so":
            plan.copy(path, where, binary)
            plan.libraries_of(path, extra)
        elif path.name.startswith("_sysconfigdata") and plan.new_prefix != str(plan.prefix):
            plan.copy(path, where, _TextChange(str(plan.prefix), plan.new_prefix))
        elif path.suffix == ".py":
            add_module(plan, path, where)
        else:
            plan.copy(path, where)
    for name in ("site-packages", "dist-packages") if plan.new_prefix == "/usr" else ("site-packages",):
        plan.directory(f"{target}/{name}")


def add_module(plan: BasePlan, source: Path, target: str) -> None:
    """A source file, with its byte code when that is there and true."""
    plan.copy(source, target)
    cache = Path(importlib.util.cache_from_source(str(source)))
    real = source.resolve()
    try:
        code = cache.read_bytes()
        info = real.stat()
    except OSError:
        return
    magic, flags, mtime, size = code[:4], *struct.unpack_from("<III", code, 4)
    if magic != importlib.util.MAGIC_NUMBER or flags != 0:
        return
    if mtime != int(info.st_mtime) & 0xFFFFFFFF or size != info.st_size & 0xFFFFFFFF:
        return
    directory, _, name = target.rpartition("/")
    plan.data(f"{directory}/__pycache__/{cache.name}", _byte_code(code, str(source), f"{directory}/{name}"))


def _byte_code(code: bytes, old: str, new: str) -> bytes:
    """The same byte code for a source at another path, with our time. In marshal's format the name is a short
    string: its length in one byte, then the text (Python/marshal.c, w_short_pstring)."""
    before, after = os.fsencode(old), os.fsencode(new)
    if before != after and len(before) < 256 and len(after) < 256:
        code = code.replace(bytes([len(before)]) + before, bytes([len(after)]) + after)
    return code[:8] + struct.pack("<I", MTIME) + code[12:]


def _library_files(library: Path) -> Iterator[tuple[Path, str]]:
    for parent, directories, names in os.walk(library):
        directories[:] = sorted(
            name for name in directories if name not in _LEFT_OUT and not name.startswith("config-")
        )
        for name in sorted(names):
            path = Path(parent, name)
            if name in _LEFT_OUT_FILES or name.endswith((".pyc", ".a")) or _LEFT_OUT_MODULES.match(name):
                continue
            if path.is_file():
                yield path, str(path.relative_to(library))


class _BinaryChange:
    """Without debug information, and without the old prefix in it: the interpreter finds its library from
    where it is, the loader finds libpython in a directory of its own."""

    def __init__(self, old: str) -> None:
        self._old = old

    def __call__(self, data: bytes) -> bytes:
        return without_path(loadable(data), self._old)


class _TextChange:
    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old.encode(), new.encode()

    def __call__(self, data: bytes) -> bytes:
        return data.replace(self._old, self._new)


def add_pip(plan: BasePlan) -> None:
    """pip as modules, with its commands. Raises Unavailable when there is none on the machine."""
    if plan.new_prefix == "/usr":
        packages = (
            "/usr/lib/python3/dist-packages" if _is_debian() else f"/usr/lib/python{_VERSION}/site-packages"
        )
    else:
        packages = f"{plan.new_prefix}/lib/python{_VERSION}/site-packages"
    installed = _installed_pip(plan.prefix)
    if installed is not None:
        for top in installed:
            for path, relative in _package_files(top):
                target = f"{packages}/{relative}"
                if path.suffix == ".py":
                    add_module(plan, path, target)
                else:
                    plan.copy(path, target)
    else:
        _add_wheel(plan, packages)
    if plan.new_prefix == "/usr":
        for wheel in sorted(_WHEELS.glob("*.whl")):
            plan.copy(wheel)
    script = (
        f"#!{plan.new_prefix}/bin/python{_VERSION}\nimport sys\n\nfrom pip._internal.cli.main import main\n\n"
        'if __name__ == "__main__":\n    sys.exit(main())\n'
    )
    for name in ("pip", "pip3", f"pip{_VERSION}"):
        plan.text(f"{plan.new_prefix}/bin/{name}", script, 0o755)


def _is_debian() -> bool:
    return Path("/usr/lib/python3/dist-packages").is_dir()


def _installed_pip(prefix: Path) -> tuple[Path, Path] | None:
    """The package and its metadata: the interpreter's own, else that of the environment we run in."""
    for directory in (prefix / f"lib/python{_VERSION}/site-packages", *map(Path, sys.path)):
        metadata = sorted(directory.glob("pip-*.dist-info"))
        if (directory / "pip" / "__main__.py").is_file() and metadata:
            return directory / "pip", metadata[-1]
    return None


def _package_files(top: Path) -> Iterator[tuple[Path, str]]:
    for parent, directories, names in os.walk(top):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and name not in ("RECORD", "direct_url.json", "REQUESTED"):
                yield path, str(path.relative_to(top.parent))


def _add_wheel(plan: BasePlan, packages: str) -> None:
    """The wheel that ensurepip (or Debian) brings along, unpacked."""
    bundled = Path(os.__file__).parent / "ensurepip" / "_bundled"
    wheels = [*sorted(bundled.glob("pip-*.whl")), *sorted(_WHEELS.glob("pip-*.whl"))]
    if not wheels:
        raise Unavailable(
            "the base image needs pip, and this machine has none",
            hint="install it, for example with: python3 -m ensurepip (Debian: apt-get install python3-pip)",
        )
    with zipfile.ZipFile(io.BytesIO(wheels[-1].read_bytes())) as wheel:
        for info in wheel.infolist():
            parts = info.filename.split("/")
            if not info.is_dir() and ".." not in parts and parts[0] and not info.filename.endswith("/RECORD"):
                plan.data(f"{packages}/{info.filename}", wheel.read(info))


def pip_configuration(certificates: str) -> str:
    """``/etc/pip.conf`` of the image: the certificates, and the machine's index where it names another one.

    Only addresses without credentials that a container can reach are taken over.
    """
    settings = {"cert": certificates, "disable-pip-version-check": "true", "root-user-action": "ignore"}
    found = _pip_settings()
    for key in ("index-url", "extra-index-url"):
        addresses = [item for item in found.get(key, "").split() if _public(item)]
        if addresses:
            settings[key] = " ".join(addresses)
    if "index-url" in settings or "extra-index-url" in settings:
        hosts = found.get("trusted-host", "").split()
        if hosts:
            settings["trusted-host"] = " ".join(hosts)
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


def _pip_settings() -> dict[str, str]:
    """What pip itself would use: its files, then the environment (pip documentation, "Configuration")."""
    home = Path(os.environ.get("HOME", "/root"))
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    if os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(os.environ["PIP_CONFIG_FILE"]))
    settings: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        if parser.has_section("global"):
            settings.update(parser.items("global"))
    for key in ("index-url", "extra-index-url", "trusted-host"):
        value = os.environ.get(f"PIP_{key.upper().replace('-', '_')}")
        if value:
            settings[key] = value
    return settings


def _public(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    local = parts.hostname in (None, "localhost", "::1") or str(parts.hostname).startswith("127.")
    return (
        parts.scheme in ("http", "https") and not local and parts.username is None and parts.password is None
    )
