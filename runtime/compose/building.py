"""A service's ``build`` section. Source: compose-spec, build.md."""

from __future__ import annotations

from collections.abc import Callable

from runtime.compose.project import BuildSpec
from runtime.compose.schema import SECTIONS
from runtime.compose.values import Value

__all__ = ["build"]

_UNSUPPORTED = (
    "cache_from", "cache_to", "platforms", "privileged", "isolation", "ulimits", "entitlements", "provenance",
    "sbom", "no_cache_filter",
)  # fmt: skip


def build(at: Value, warn: Callable[[str], None]) -> BuildSpec:
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

    tags, hosts, shm, args = (at.get(key) for key in ("tags", "extra_hosts", "shm_size", "args"))
    inline, dockerfile = at.get("dockerfile_inline"), at.get("dockerfile")
    if inline and dockerfile:
        raise inline.wrong("dockerfile and dockerfile_inline cannot both be given")
    context = at.get("context")
    assert context is not None
    if not context.string().startswith("/"):
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
        secrets={},
        ssh={},
    )
