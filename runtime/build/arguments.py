"""Build arguments: the global ones, and those that nobody asked for."""

from __future__ import annotations

from runtime.build.failure import DockerfileError
from runtime.build.instructions import Arg, Dockerfile
from runtime.build.options import BuildOptions
from runtime.build.state import PROXY_ARGUMENTS, platform_arguments
from runtime.build.substitution import SubstitutionError, expand

__all__ = ["global_arguments", "unused_arguments"]

_EXEMPT = frozenset(("SOURCE_DATE_EPOCH", "BUILDKIT_CONTEXT_KEEP_GIT_DIR", "BUILDKIT_INLINE_CACHE"))
"""Arguments that speak to the builder and need no ARG."""


def global_arguments(dockerfile: Dockerfile, options: BuildOptions) -> dict[str, str]:
    """ARG before the first FROM, and the predefined platform arguments."""
    values = platform_arguments(options.target)
    values.update({name: options.build_args[name] for name in values if name in options.build_args})
    for instruction in dockerfile.global_args:
        for name, default in instruction.pairs:
            if name in options.build_args:
                values[name] = options.build_args[name]
            elif default is not None:
                try:
                    values[name] = expand(default, values, dockerfile.escape)
                except SubstitutionError as error:
                    raise DockerfileError.at(
                        dockerfile.source, instruction.first, f"ARG {name}: {error}", last=instruction.last
                    ) from None
    return values


def unused_arguments(dockerfile: Dockerfile, options: BuildOptions) -> list[str]:
    """Given, and no ARG has that name; sorted."""
    declared = {name for arg in dockerfile.global_args for name, _ in arg.pairs}
    for stage in dockerfile.stages:
        declared |= {name for item in stage.instructions if isinstance(item, Arg) for name, _ in item.pairs}
    known = declared | PROXY_ARGUMENTS | set(platform_arguments("")) | _EXEMPT
    return sorted(name for name in options.build_args if name not in known)
