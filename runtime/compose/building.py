"""A service's ``build`` section. Source: compose-spec, build.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from runtime.build.options import CacheStore
from runtime.compose.limits import ulimits
from runtime.compose.project import BuildSpec
from runtime.compose.schema import SECTIONS
from runtime.compose.storage import FileSpec
from runtime.compose.values import Value, nearest
from runtime.errors import InvalidInput

__all__ = ["build"]

_UNSUPPORTED = ("privileged", "isolation", "entitlements", "provenance", "sbom")


def build(at: Value, declared: Mapping[str, FileSpec], warn: Callable[[str], None]) -> BuildSpec:
    """``at`` is canonical: a mapping with an absolute context."""
    at.known_keys(SECTIONS["build"])
    for key in _UNSUPPORTED:
        if value := at.get(key):
            warn(f"{value.path} is not supported and ignored")

    def text(key: str, default: str = "") -> str:
        value = at.get(key)
        return value.string() if value else default

    def flag(key: str) -> bool:
        value = at.get(key)
        return value.boolean() if value else False

    def texts(key: str) -> dict[str, str]:
        value = at.get(key)
        return value.string_map() if value else {}

    def strings(key: str) -> tuple[str, ...]:
        value = at.get(key)
        return value.strings() if value else ()

    tags, hosts, shm, args = (at.get(key) for key in ("tags", "extra_hosts", "shm_size", "args"))
    inline, dockerfile = at.get("dockerfile_inline"), at.get("dockerfile")
    if inline and dockerfile:
        raise inline.wrong("dockerfile and dockerfile_inline cannot both be given")
    context = at.get("context")
    assert context is not None
    if not context.string().startswith("/"):
        from runtime.build.remote import is_remote_context

        if not is_remote_context(context.string()):
            raise context.wrong(f'"{context.string()}" is not a directory of this machine')
    network = text("network", "default")
    return BuildSpec(
        context=context.string(),
        dockerfile=text("dockerfile"),
        dockerfile_inline=text("dockerfile_inline"),
        args={key: item.string() for key, item in args.mapping().items() if not item.empty} if args else {},
        target=text("target"),
        labels=texts("labels"),
        no_cache=flag("no_cache"),
        pull=flag("pull"),
        network=network if network in ("none", "host") else "default",
        tags=tags.strings() if tags else (),
        extra_hosts=tuple(item.replace("=", ":", 1) for item in hosts.strings()) if hosts else (),
        shm_size=shm.size() if shm else 64 << 20,
        additional_contexts=texts("additional_contexts"),
        secrets=_secrets(at.get("secrets"), declared),
        ssh=_ssh(at.get("ssh")),
        no_cache_filter=strings("no_cache_filter"),
        cache_from=_stores(at.get("cache_from"), to=False),
        cache_to=_stores(at.get("cache_to"), to=True),
        platforms=strings("platforms"),
        ulimits=ulimits(at),
    )


def _stores(listed: Value | None, *, to: bool) -> tuple[CacheStore, ...]:
    found = []
    for item in listed.items() if listed else ():
        try:
            found.append(CacheStore.parse(item.string(), to=to))
        except InvalidInput as error:
            raise item.wrong(error.message, hint=error.hint) from None
    return tuple(found)


def _secrets(listed: Value | None, declared: Mapping[str, FileSpec]) -> dict[str, tuple[str, str]]:
    """Id to where the value comes from; the id is the target's name, else the secret's."""
    found: dict[str, tuple[str, str]] = {}
    for at in listed.items() if listed else ():
        at.known_keys(SECTIONS["file_reference"])
        source, target = at.get("source"), at.get("target")
        if source is None:
            raise at.wrong("source must be given")
        spec = declared.get(source.string())
        if spec is None:
            raise source.wrong(
                f'the secret "{source.string()}" is not declared', hint=nearest(source.string(), declared)
            )
        if spec.content is not None and not spec.variable:
            raise source.wrong("a secret of a build comes from a file or an environment variable")
        where = ("environment", spec.variable) if spec.variable else ("file", spec.file)
        found[target.string() if target else spec.key] = where
    return found


def _ssh(at: Value | None) -> dict[str, str]:
    """["default", "ID=SOCKET"] or a mapping; the caller's agent where no socket is named."""
    if at is None:
        return {}
    if at.is_mapping:
        given = at.string_map()
    else:
        given = dict(item.partition("=")[::2] for item in at.strings())
    return {name: path or os.environ.get("SSH_AUTH_SOCK", "") for name, path in given.items()}
