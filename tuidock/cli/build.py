"""tuidock build: an image from a Dockerfile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuidock.cli.build_fields import parse_build_args
from tuidock.cli.command import Invocation, declare, fail, pass_invocation

if TYPE_CHECKING:
    from runtime.build.failure import BuildFailed
    from runtime.build.options import BuildOptions, BuildResult
    from runtime.containers.session import Session
    from runtime.model.container import Resources
    from tuidock.cli.progress import View

__all__ = ["command", "parse_build_args"]

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""gzip, bzip2, xz, zstd."""

_LISTS = (
    ("--add-host", "HOST:IP", "Add a custom host-to-IP mapping"),
    ("--allow", "ENTITLEMENT", "Allow extra privileged entitlement (network.host)"),
    ("--build-arg", "NAME[=VALUE]", "Set build-time variables"),
    ("--build-context", "NAME=PATH", "Additional build contexts"),
    ("--cache-from", "SOURCE", "Import cache: type=local,src=DIR or type=registry,ref=NAME"),
    ("--cache-to", "TARGET", "Export cache: type=local,dest=DIR[,mode=max] or registry"),
    ("--label", "NAME[=VALUE]", "Set metadata for an image"),
    ("--no-cache-filter", "STAGE", "Do not cache specified stages"),
    ("--secret", "id=NAME[,src=FILE|env=VAR]", "Secret to expose to the build"),
    ("--security-opt", "OPTION", None),
    ("--ssh", "default|NAME=SOCKET|KEY[,KEY]", "SSH agent socket or keys to expose to the build"),
    ("--ulimit", "NAME=SOFT[:HARD]", "Ulimit options"),
)
_VALUES = (
    ("--attest", "ATTRIBUTES", None),
    ("--builder", "NAME", None),
    ("--cgroup-parent", "PATH", "Set the parent cgroup for RUN instructions"),
    ("--cpu-period", "MICROSECONDS", "Limit the CPU CFS period of RUN instructions"),
    ("--cpu-quota", "MICROSECONDS", "Limit the CPU CFS quota of RUN instructions"),
    ("--cpuset-cpus", "LIST", "CPUs in which to allow execution (0-3, 0,1)"),
    ("--cpuset-mems", "LIST", "MEMs in which to allow execution (0-3, 0,1)"),
    ("--iidfile", "FILE", "Write the image ID to a file"),
    ("--isolation", "NAME", None),
    ("--memory-swap", "SIZE", "Swap limit equal to memory plus swap: -1 for unlimited swap"),
    ("--metadata-file", "FILE", "Write build result metadata to a file"),
    ("--provenance", "ATTRIBUTES", None),
    ("--sbom", "ATTRIBUTES", None),
    ("--shm-size", "SIZE", "Shared memory size for build containers"),
)
_SWITCHES = (
    ("--check", "Check the Dockerfile and build nothing"),
    ("--compress", None),
    ("--debug-shell", "When a RUN fails, open a shell in the state just before it"),
    ("--force-rm", None),
    ("--load", None),
    ("--no-cache", "Do not use cache when building the image"),
    ("--push", "Push the image to its registry when it is built"),
    ("--pull", "Always attempt to pull all referenced images"),
    ("--rm", None),
    ("--squash", None),
)


def _plain_options(function: Callable[..., None]) -> Callable[..., None]:
    """Those that need nothing special; without a description they are docker's and change nothing."""
    for name, metavar, help_ in _LISTS:
        function = click.option(name, multiple=True, metavar=metavar, help=help_, hidden=not help_)(function)
    for name, metavar, help_ in _VALUES:
        function = click.option(name, metavar=metavar, help=help_, hidden=not help_)(function)
    for name, help_ in _SWITCHES:
        function = click.option(name, is_flag=True, help=help_, hidden=not help_)(function)
    return function


@declare(
    "build",
    usage="[OPTIONS] PATH | URL | -",
    examples=[
        "tuidock build -t hello .",
        "tuidock build -f docker/Dockerfile --build-arg V=2 --target test .",
        "tuidock build --debug-shell .",
        "tuidock build -o out --target binaries https://github.com/someone/project.git#v1.2:src",
        "tuidock build -t made - < Dockerfile",
    ],
)
@_plain_options
@click.option(
    "-f", "--file", "dockerfile", metavar="PATH", help="Name of the Dockerfile (default: PATH/Dockerfile)"
)
@click.option("-m", "--memory", metavar="SIZE", help="Memory limit of RUN instructions")
@click.option("-c", "--cpu-shares", metavar="SHARES", help="CPU shares of RUN instructions (relative weight)")
@click.option("--network", default="default", metavar="MODE", help="Networking of RUN: default, none or host")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DIR|type=TYPE,dest=PATH",
    help="Output destination: types local, tar, oci, docker, image, cacheonly; - is a tar on standard output",
)
@click.option("--platform", default="", metavar="OS/ARCH", help="Set target platform for build")
@click.option(
    "--progress",
    "style",
    default="auto",
    envvar="BUILDKIT_PROGRESS",
    type=click.Choice(["auto", "plain", "tty", "quiet", "rawjson"]),
    help="Type of progress output",
)
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print image ID on success")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name and optionally a tag")
@click.option("--target", default="", metavar="STAGE", help="Set the target build stage to build")
@click.argument("path")
@pass_invocation
def command(invocation: Invocation, /, path: str, style: str, quiet: bool, **given: object) -> None:
    """Build an image from a Dockerfile."""
    from tuidock.cli.progress import progress

    options = _options(path, given)
    if given["check"]:
        _check(invocation, options)
        return
    engine = invocation.engine
    with progress("Building", style=style, quiet=quiet) as (show, cancel):
        shell = _DebugShell(show, asked=bool(given["debug_shell"]))
        result = shell.around(lambda debug: engine.build(debug(options), progress=show, cancel=cancel))
    if not quiet and style not in ("quiet", "rawjson"):
        _print_warnings(result, debug=invocation.debug)
    _write_facts(result, given)
    if quiet and result.image_id:
        click.echo(result.image_id)


def _options(path: str, given: dict[str, object]) -> BuildOptions:
    """Raises InvalidInput, NotFound."""
    from runtime.build.options import BuildOptions, CacheStore
    from runtime.errors import InvalidInput
    from runtime.model.parse import parse_size
    from tuidock.cli import build_fields as fields

    _refuse(given)
    dockerfile, network = _text(given, "dockerfile"), _text(given, "network")
    if network not in ("default", "none", "host"):
        raise InvalidInput(
            f"--network: {network!r} is not supported in a build", hint="default, none or host"
        )
    if path == "-" and dockerfile == "-":
        raise InvalidInput("invalid argument: can't use stdin for both build context and dockerfile")
    options = BuildOptions(
        context=Path(path),
        dockerfile=Path(dockerfile) if dockerfile not in ("", "-") else None,
        dockerfile_text=_text_of_stdin() if dockerfile == "-" else None,
        tags=_texts(given, "tags"),
        build_args=parse_build_args(_texts(given, "build_arg")),
        target=_text(given, "target"),
        no_cache=bool(given["no_cache"]),
        labels=_pairs(_texts(given, "label")),
        pull=bool(given["pull"]),
        network=network,
        platform=_text(given, "platform"),
        no_cache_filter=tuple(
            name for item in _texts(given, "no_cache_filter") for name in item.split(",") if name
        ),
        secrets=tuple(fields.parse_secret(item) for item in _texts(given, "secret")),
        ssh=fields.parse_ssh(_texts(given, "ssh")),
        build_contexts=_pairs(_texts(given, "build_context")),
        extra_hosts=_texts(given, "add_host"),
        shm_size=parse_size(_text(given, "shm_size") or "64m"),
        outputs=fields.parse_outputs(_texts(given, "outputs"), push=bool(given["push"])),
        cache_from=tuple(CacheStore.parse(item, to=False) for item in _texts(given, "cache_from")),
        cache_to=tuple(CacheStore.parse(item, to=True) for item in _texts(given, "cache_to")),
        resources=_resources(given),
        ulimits=_texts(given, "ulimit"),
        cgroup_parent=_text(given, "cgroup_parent"),
    )
    return _with_context(options, path)


def _text(given: dict[str, object], name: str) -> str:
    value = given[name]
    return value if isinstance(value, str) else ""


def _texts(given: dict[str, object], name: str) -> tuple[str, ...]:
    value = given[name]
    return value if isinstance(value, tuple) else ()


def _pairs(items: tuple[str, ...]) -> dict[str, str]:
    if not items:
        return {}  # what parses them is slow to load
    from tuidock.cli.container_config import parse_labels

    return parse_labels(items)


def _refuse(given: dict[str, object]) -> None:
    """What docker has and we do not. Raises InvalidInput."""
    from runtime.errors import InvalidInput

    for name in ("attest", "provenance", "sbom"):
        if _text(given, name) not in ("", "false", "0"):
            raise InvalidInput(f"--{name}: attestations are not supported", hint=f"--{name}=false")
    if given["squash"]:
        raise InvalidInput("--squash is not supported", hint="build in stages and COPY --from the last one")
    for entitlement in _texts(given, "allow"):
        if entitlement != "network.host":
            raise InvalidInput(f"--allow: {entitlement!r} is not supported", hint="network.host")
    if _text(given, "isolation") not in ("", "default"):
        raise InvalidInput("--isolation: only 'default' exists on Linux", hint="leave it out")


def _resources(given: dict[str, object]) -> Resources:
    from runtime.errors import InvalidInput
    from runtime.model.container import Resources
    from runtime.model.parse import parse_size

    def number(name: str) -> int | None:
        text = _text(given, name)
        if text and not text.isdigit():
            option = f"--{name.replace('_', '-')}"
            raise InvalidInput(f"{option}: {text!r} is not a whole number", hint=f"{option} 512")
        return int(text) if text else None

    def size(name: str) -> int | None:
        text = _text(given, name)
        return (-1 if text == "-1" else parse_size(text)) if text else None

    return Resources(
        memory=size("memory"),
        memory_swap=size("memory_swap"),
        cpu_shares=number("cpu_shares"),
        cpu_period=number("cpu_period"),
        cpu_quota=number("cpu_quota"),
        cpuset_cpus=_text(given, "cpuset_cpus") or None,
        cpuset_mems=_text(given, "cpuset_mems") or None,
    )


def _with_context(options: BuildOptions, path: str) -> BuildOptions:
    """A directory, standard input, or what has to be fetched. Raises NotFound."""
    from dataclasses import replace

    from runtime.errors import NotFound

    if path == "-":
        return _context_of_stdin(options)
    if Path(path).is_dir():
        return options
    if "://" in path or path.startswith(("git@", "github.com/")):
        return replace(options, remote=path)
    raise NotFound(
        f"unable to prepare context: path {path!r} not found",
        hint="name a directory, the URL of a git repository or an archive, or - for standard input",
        subject=path,
    )


def _text_of_stdin() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def _context_of_stdin(options: BuildOptions) -> BuildOptions:
    """An archive is the context; anything else is the Dockerfile of an empty one, as docker has it."""
    import tempfile
    from dataclasses import replace

    head = sys.stdin.buffer.peek(512)[:512] if isinstance(sys.stdin.buffer, BufferedReader) else b""
    empty = tempfile.TemporaryDirectory(prefix="tuidock-context-")
    click.get_current_context().call_on_close(empty.cleanup)
    options = replace(options, context=Path(empty.name))
    if head.startswith(_COMPRESSED) or head[257:262] == b"ustar":
        return replace(options, context_archive=sys.stdin.buffer)
    return replace(options, dockerfile_text=_text_of_stdin())


class _DebugShell:
    """``--debug-shell``, and without it the command line that would open one."""

    def __init__(self, show: View, *, asked: bool) -> None:
        self._show = show
        self._asked = asked
        self._opened = False
        if asked and not (sys.stdin.isatty() and sys.stdout.isatty()):
            from runtime.errors import InvalidInput

            raise InvalidInput("--debug-shell needs a terminal", hint="run it without pipes and redirections")

    def around(self, run: Callable[[Callable[[BuildOptions], BuildOptions]], BuildResult]) -> BuildResult:
        from dataclasses import replace

        from runtime.errors import Failed

        def debug(options: BuildOptions) -> BuildOptions:
            return replace(options, debug_shell=self._open) if self._asked else options

        try:
            return run(debug)
        except Failed as error:
            if self._opened:
                fail(1)
            if getattr(error, "can_debug", False):
                error.hint = f"a shell in the state just before this command: {_this_command()}"
            raise

    def _open(self, failure: BuildFailed, session: Session) -> None:
        from tuidock.cli.terminal import bridge

        self._show.finish()
        click.echo(f"{failure.details}\ntuidock: {failure.message}", err=True)
        click.echo("a shell in the state just before this command; exit ends the build", err=True)
        self._opened = True
        bridge(session, stdin=True)


def _this_command() -> str:
    """What was typed, with --debug-shell."""
    import shlex

    words = sys.argv[1:]
    place = words.index("build") + 1 if "build" in words else len(words)
    return shlex.join(["tuidock", *words[:place], "--debug-shell", *words[place:]])


def _check(invocation: Invocation, options: BuildOptions) -> None:
    """``--check``: the findings on standard output; 1 when there are any."""
    found = invocation.engine.check_build(options)
    for warning in found:
        click.echo(f"\nWARNING: {warning.rule} - {warning.url}\n{warning.message}\n{warning.excerpt}")
    if not found:
        click.echo("Check complete, no warnings found.")
        return
    count = "1 warning has" if len(found) == 1 else f"{len(found)} warnings have"
    click.echo(f"\nCheck complete, {count} been found!")
    fail(1)


def _print_warnings(result: BuildResult, *, debug: bool) -> None:
    """At the end, as docker does; ``--debug`` shows the lines around."""
    if not result.warnings:
        return
    count = "1 warning" if len(result.warnings) == 1 else f"{len(result.warnings)} warnings"
    click.echo(f"\n {count} found{'' if debug else ' (use tuidock --debug to expand)'}:", err=True)
    for warning in result.warnings:
        click.echo(f" - {warning}", err=True)
        if debug and warning.excerpt:
            click.echo(f"More info: {warning.url}\n{warning.excerpt}\n", err=True)


def _write_facts(result: BuildResult, given: dict[str, object]) -> None:
    """``--iidfile`` and ``--metadata-file``, with buildx's keys. Raises Failed."""
    import json

    from runtime.errors import Failed

    facts = {"containerimage.config.digest": result.image_id, "containerimage.digest": result.manifest_digest}
    document = {key: value for key, value in facts.items() if value}
    if result.tags:
        document["image.name"] = ",".join(result.tags)
    texts = {
        _text(given, "iidfile"): result.image_id,
        _text(given, "metadata_file"): json.dumps(document, indent=2) + "\n",
    }
    for name, text in texts.items():
        if not name:
            continue
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failed(f"cannot write {name}: {error.strerror}", subject=name) from error
