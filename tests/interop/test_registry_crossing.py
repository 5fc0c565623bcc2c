"""Images cross over between tuidock, skopeo, podman and docker: equal configs, equal trees."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers import Peer, available
from runtime.config import Config
from runtime.engine import Engine
from runtime.images.create import create_image
from runtime.images.layer_view import LayerView
from runtime.images.layers import layer_paths, unpack_layer
from runtime.model.image import ImageConfig
from tests.interop.registry_lab import Registry, make_image, registry

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", "--tmpdir", "/tmp", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything of each name that an image carries."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            info = path.lstat()
            kind = stat.S_IFMT(info.st_mode)
            content: object = ""
            if stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            xattrs = {
                key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
            }
            links = info.st_nlink if not stat.S_ISDIR(info.st_mode) else 0
            # A removed name (0/0 device, overlayfs.rst) is only marked in the archive, without a time.
            mtime = 0 if stat.S_ISCHR(info.st_mode) and not info.st_rdev else info.st_mtime_ns
            shown = (kind, info.st_mode, info.st_uid, info.st_gid, mtime, links, info.st_rdev, content)
            found[str(path.relative_to(root))] = (*shown, tuple(sorted(xattrs.items())))
    return found


def layer_trees(engine: Engine, image_id: str) -> list[dict[str, tuple[object, ...]]]:
    return [tree(path) for path in layer_paths(engine.context, engine.images.get(image_id).layers)]


@pytest.mark.parametrize("form", ["oci", "v2s2"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_through_skopeo_and_back(
    fresh_engine: Engine, server: Registry, tmp_path: Path, form: str, compression: str
) -> None:
    """Written anew by skopeo in another form and compression; the config and every file stay the same."""
    if (form, compression) == ("v2s2", "zstd"):
        compression = "gzip"
    name, other = f"{server.host}/skopeo/{form}{compression}:1", f"{server.host}/back/{form}{compression}:1"
    image = make_image(fresh_engine, name, salt=form)
    fresh_engine.images.push(name)
    fresh_engine.images.remove(name, force=True)
    fresh_engine.images.pull(name)
    before = layer_trees(fresh_engine, image.id)
    between = f"oci:{tmp_path}/layout:1" if form == "oci" else f"dir:{tmp_path}/directory"
    skopeo("copy", "--src-tls-verify=false", "--format", form, "--dest-compress-format", compression,
           f"docker://{name}", between)  # fmt: skip
    skopeo("copy", "--dest-tls-verify=false", between, f"docker://{other}")
    fresh_engine.images.remove(name, force=True)
    fresh_engine.images.pull(other)
    back = fresh_engine.images.get(other)
    assert (back.config, back.layers) == (image.config, image.layers)
    assert layer_trees(fresh_engine, back.id) == before


def test_a_manifest_list_by_platform(fresh_engine: Engine, server: Registry, tmp_path: Path) -> None:
    """Built by hand of two images, as buildx does; --platform chooses, --all of skopeo copies it whole."""
    import urllib.request

    entries = []
    for architecture in ("amd64", "arm64"):
        layer = make_image(fresh_engine, f"{server.host}/multi:{architecture}", salt=architecture).layers
        image = create_image(
            fresh_engine.context, config=ImageConfig(cmd=(architecture,)), layers=layer,
            architecture=architecture, refs=[f"{server.host}/multi:{architecture}"],
        )  # fmt: skip
        [pushed] = fresh_engine.images.push(f"{server.host}/multi:{architecture}")
        entries.append(
            {
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": pushed.digest,
                "size": pushed.size,
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
        assert image.architecture == architecture
    media_type = "application/vnd.docker.distribution.manifest.list.v2+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()
    request = urllib.request.Request(
        f"http://{server.host}/v2/multi/manifests/all", body, {"Content-Type": media_type}, method="PUT"
    )
    urllib.request.urlopen(request).close()
    for summary in fresh_engine.images.list(all=True):
        fresh_engine.images.remove(summary.id, force=True)
    [pulled] = fresh_engine.images.pull(f"{server.host}/multi:all", platform="linux/arm64/v8")
    assert fresh_engine.images.get(pulled.image_id).architecture == "arm64"
    assert pulled.digest == f"sha256:{hashlib.sha256(body).hexdigest()}", "the list's, as docker notes it"
    [pulled] = fresh_engine.images.pull(f"{server.host}/multi:all", platform="amd64")
    assert fresh_engine.images.get(pulled.image_id).architecture == "amd64"


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Peer]]:
    with available(tmp_path_factory.mktemp("peers"), ["docker", "podman"]) as found:
        assert set(found) == {"docker", "podman"}, "needs docker.io and podman; `make test` installs them"
        yield found


@pytest.mark.parametrize("peer", ["docker", "podman"])
def test_a_peer_loads_and_runs_what_we_pushed(
    fresh_engine: Engine,
    server: Registry,
    tmp_path: Path,
    peers: dict[str, Peer],
    peer: str,
    busybox_tar: bytes,
) -> None:
    """Peers live in a network namespace of their own, so skopeo carries it there as an archive."""
    import io

    name = f"{server.host}/for-{peer}:1"
    layer = unpack_layer(fresh_engine.context, io.BytesIO(busybox_tar))
    config = ImageConfig(cmd=("echo", "ran"), env=("PATH=/bin",))
    create_image(fresh_engine.context, config=config, layers=[layer.diff_id], refs=[name])
    fresh_engine.images.push(name)
    archive = tmp_path / "image.tar"
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"docker-archive:{archive}:crossed:1")
    peers[peer]("load", "-i", str(archive))
    shown = json.loads(peers[peer]("image", "inspect", "crossed:1"))[0]
    assert shown["Config"]["Cmd"] == ["echo", "ran"]
    assert shown["RootFS"]["Layers"] == [layer.diff_id]
    assert peers[peer].run("--rm", "--network", "none", "crossed:1") == "ran"
    back = tmp_path / "back.tar"
    peers[peer]("save", "-o", str(back), "crossed:1")
    skopeo(
        "copy", "--dest-tls-verify=false", f"docker-archive:{back}", f"docker://{server.host}/from-{peer}:1"
    )
    fresh_engine.images.remove(name, force=True)
    [pulled] = fresh_engine.images.pull(f"{server.host}/from-{peer}:1")
    got = fresh_engine.images.get(pulled.image_id)
    assert (got.layers, got.config.cmd, got.config.env) == ((layer.diff_id,), config.cmd, config.env)


def test_from_comes_out_of_a_mirror(fresh_engine: Engine, server: Registry, tmp_path: Path) -> None:
    """Nothing in the Dockerfile says so: python:3-slim is Docker Hub's, and the mirror has it."""
    from runtime.build.options import BuildOptions

    image = make_image(fresh_engine, f"{server.host}/library/python:3-slim", salt="mirror")
    fresh_engine.images.push(f"{server.host}/library/python:3-slim")
    fresh_engine.images.remove(image.id, force=True)
    engine = Engine(
        fresh_engine.context.paths.state,
        config=Config(registry_mirrors=("http://127.0.0.1:1", f"http://{server.host}")),
    )
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM python:3-slim\nCOPY Dockerfile /d\n")
    result = engine.build(BuildOptions(context=context, tags=("built",)))
    assert engine.images.get("python:3-slim").id == image.id
    assert engine.images.get(result.image_id).layers[: len(image.layers)] == image.layers
    view = LayerView(layer_paths(engine.context, engine.images.get("built").layers))
    assert view is not None
    engine.close()
