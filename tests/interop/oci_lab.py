"""A bundle and the two runtimes that it is tried under: runc and ``tuidock oci``."""

from __future__ import annotations

import copy
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rootfs import busybox_tar

__all__ = ["OURS", "REPOSITORY", "Runtime", "both", "document", "place", "shown", "write"]

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = (sys.executable, "-c", "import sys; from tuidock.cli.oci import main; sys.exit(main())")
CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID"]


class Runtime:
    """One of the two, with a root of its own."""

    def __init__(self, command: tuple[str, ...], root: Path) -> None:
        self.command = (*command, "--root", str(root))

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=30,
            cwd=REPOSITORY,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def create(self, bundle: Path) -> None:
        """The container's process keeps the streams that it is created with, so they are no pipes of ours."""
        with (bundle / "output").open("w+") as output:
            done = subprocess.run(
                [*self.command, "create", "--bundle", str(bundle), "x"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=30,
                cwd=REPOSITORY,
            )
            output.seek(0)
            assert done.returncode == 0, output.read()


PARENT = "tuidock-oci-test"


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="oci", dir="/tmp"))
    (directory / "rootfs").mkdir()
    with tarfile.open(fileobj=io.BytesIO(busybox_tar())) as archive:
        archive.extractall(directory / "rootfs", filter="tar")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def both(place: Path) -> Iterator[list[Runtime]]:
    found = [Runtime(OURS, place / "ours"), Runtime(("runc",), place / "runc")]
    yield found
    for runtime in found:
        runtime("delete", "--force", "x", check=False)
    # Neither runtime takes a parent away that it made for the container's group: it may be the caller's.
    for group in (Path("/sys/fs/cgroup") / PARENT, *Path("/sys/fs/cgroup").glob(f"*/{PARENT}")):
        if group.is_dir():
            group.rmdir()


def document(*argv: str) -> dict[str, Any]:
    from runtime.oci.features import default_document

    made = copy.deepcopy(default_document())
    made["process"].update(args=list(argv), terminal=False)
    made["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), CAPS)
    made["linux"]["cgroupsPath"] = f"/{PARENT}/x"
    return made


def write(place: Path, made: dict[str, Any]) -> None:
    (place / "config.json").write_text(json.dumps(made))


def shown(both: list[Runtime], place: Path, made: dict[str, Any]) -> list[str]:
    """The output of ``run`` under each."""
    write(place, made)
    return [runtime("run", "--bundle", str(place), "x").stdout for runtime in both]
