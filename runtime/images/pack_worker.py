"""The process that compresses one layer: makes its tar, hashes it, compresses, hashes again, writes.

A process of its own for the reason that :mod:`runtime.images.unpack_worker` gives: 27,000 files are 100,000
short calls, for each of which the threads that send would wait. Its standard input is the file to write.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.images.gzip_layer import GzipLayer
from runtime.images.layer_tar import LayerPaths
from runtime.images.worker import RESULT, run, tell

__all__ = ["WRITTEN", "main"]

(WRITTEN,) = b"w"
"""The kind of a frame: bytes written so far (as text)."""
_FILE = 0
_TOLD_BYTES = 1 << 20


def main() -> None:
    """Arguments: the starter's pid, the layer's paths."""
    starter, *paths = sys.argv[1:]
    run(int(starter), lambda: _pack(LayerPaths(*paths)), "compress")


def _pack(paths: LayerPaths) -> None:
    layer = GzipLayer(paths)
    written = told = 0
    for data in layer:
        view = memoryview(data)
        while view:
            view = view[os.write(_FILE, view) :]
        written += len(data)
        if written - told >= _TOLD_BYTES:
            told = written
            tell(WRITTEN, b"%d" % written)
    outcome = {"diff_id": layer.diff_id, "digest": layer.digest, "size": written}
    tell(RESULT, json.dumps(outcome).encode())
