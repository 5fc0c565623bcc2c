"""``--log-driver`` and ``--log-opt``: what each driver takes, and the details that a reader may ask for.

A container keeps them as one mapping, the driver under the key "driver". Names and defaults are docker's
(its pages on the json-file and local drivers).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput
from runtime.model.quantities import parse_size

if TYPE_CHECKING:
    from runtime.model.container import Container

__all__ = ["DRIVERS", "LogFiles", "check_log_options", "log_details", "log_files"]

DRIVERS = ("json-file", "local", "none")
_EVERY_DRIVER = ("mode", "max-buffer-size")
_TAKES = {
    "json-file": ("max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"),
    "local": ("max-size", "max-file", "compress"),
}
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_FIELD = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELDS = (".ID", ".FullID", ".Name", ".ImageID", ".ImageFullID", ".ImageName", ".DaemonName")
_LARGEST_BUFFER = 1 << 30


class LogFiles:
    """What the options come to: ``max_size`` in bytes (0: never rotated), ``max_file`` at least 1, whether
    rotated files are compressed, and what happens on a full or a slow disk."""

    __slots__ = ("buffer", "compress", "max_file", "max_size", "wait")

    def __init__(self, max_size: int, max_file: int, compress: bool, wait: bool, buffer: int) -> None:
        self.max_size = max_size
        self.max_file = max_file
        self.compress = compress
        self.wait = wait
        self.buffer = buffer


def log_files(options: dict[str, str]) -> LogFiles:
    """docker's defaults: json-file never rotates; local rotates at 20 MB, keeps 5 files and compresses.
    ``buffer`` is 0 unless ``mode=non-blocking``. Raises InvalidInput for values that are wrong."""
    local = options.get("driver") == "local"
    text = options.get("max-size", "20m" if local else "-1")
    max_size = 0 if text == "-1" else _size("max-size", text)
    max_file = _count(options.get("max-file", "5" if local else "1"))
    rotates = max_size > 0 and max_file > 1
    compress = _boolean("compress", options.get("compress", "true" if local and rotates else "false"))
    mode = options.get("mode", "")
    buffer = _size("max-buffer-size", options.get("max-buffer-size", "1m")) if mode == "non-blocking" else 0
    return LogFiles(max_size, max_file, compress and rotates, mode == "blocking", buffer)


def check_log_options(options: dict[str, str]) -> None:
    """Raises InvalidInput, naming the option and what it takes."""
    driver = options.get("driver", "json-file")
    if driver not in DRIVERS:
        raise InvalidInput(
            f"logger: no log driver named {driver!r} is registered",
            hint="json-file, local or none",
            subject=driver,
        )
    given = [name for name in options if name != "driver"]
    if driver == "none":
        if given:
            raise InvalidInput("--log-driver none takes no --log-opt", subject=given[0])
        return
    known = (*_TAKES[driver], *_EVERY_DRIVER)
    for name in given:
        if name not in known:
            raise InvalidInput(
                f"unknown log opt {name!r} for the log driver {driver}",
                hint=f"known: {', '.join(known)}",
                subject=name,
            )
    files = log_files(options)
    if "max-file" in options and files.max_file > 1 and not files.max_size:
        raise InvalidInput("--log-opt max-file cannot be used without max-size", hint="add max-size=10m")
    if _boolean("compress", options.get("compress", "false")) and not files.compress:
        raise InvalidInput(
            "--log-opt compress=true needs a max-size, and a max-file of 2 or more",
            hint="only rotated files are compressed: add max-size=10m and max-file=3",
        )
    _check_mode(options, files)
    for name in ("labels-regex", "env-regex"):
        _expression(name, options.get(name, ""))
    for field in _FIELD.findall(options.get("tag", "")):
        if field not in _FIELDS:
            raise _wrong(
                "tag", options["tag"], f"text with any of {', '.join(f'{{{{{f}}}}}' for f in _FIELDS)}"
            )
    if "{{" in _FIELD.sub("", options.get("tag", "")):
        raise _wrong("tag", options["tag"], "a template whose {{ is closed by }}")


def _check_mode(options: dict[str, str], files: LogFiles) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise _wrong("mode", mode, "blocking or non-blocking")
    if "max-buffer-size" not in options:
        return
    if mode != "non-blocking":
        raise InvalidInput("--log-opt max-buffer-size goes with mode=non-blocking only")
    if files.buffer > _LARGEST_BUFFER:
        raise _wrong("max-buffer-size", options["max-buffer-size"], "at most 1g: it is memory")


def _wrong(name: str, value: str, form: str) -> InvalidInput:
    return InvalidInput(f"invalid value for --log-opt {name}: {value!r}", hint=f"give {form}", subject=value)


def _size(name: str, text: str) -> int:
    form = "a size such as 10m" + (", or -1 for no limit" if name == "max-size" else "")
    try:
        size = parse_size(text)
    except InvalidInput:
        raise _wrong(name, text, form) from None
    if size <= 0:
        raise _wrong(name, text, form)
    return size


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
        raise _wrong("max-file", text, "a number from 1 to 1000")
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise _wrong(name, text, "true or false")
    return _BOOLEANS[text]


def _expression(name: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise _wrong(name, text, f"a regular expression ({error})") from None


def log_details(container: Container) -> dict[str, str]:
    """What ``logs --details`` shows before each line: the labels and variables that the options name, and the
    tag; by name."""
    config = container.config
    options = config.log_options
    variables = dict(item.partition("=")[::2] for item in config.env)
    found = {
        **_chosen(config.labels, options.get("labels", ""), options.get("labels-regex", "")),
        **_chosen(variables, options.get("env", ""), options.get("env-regex", "")),
    }
    if tag := options.get("tag", ""):
        found["tag"] = _FIELD.sub(lambda match: _field(container, match[1]), tag)
    return dict(sorted(found.items()))


def _chosen(values: dict[str, str], names: str, expression: str) -> dict[str, str]:
    wanted = [name for name in names.split(",") if name in values]
    if expression:
        pattern = _expression("", expression)
        wanted += [name for name in values if pattern.search(name)]
    return {name: values[name] for name in wanted}


def _field(container: Container, field: str) -> str:
    return {
        ".ID": container.id[:12],
        ".FullID": container.id,
        ".Name": container.name,
        ".ImageID": container.image_id[:12],
        ".ImageFullID": container.image_id,
        ".ImageName": container.config.image,
        ".DaemonName": "tuidock",
    }.get(field, "")
