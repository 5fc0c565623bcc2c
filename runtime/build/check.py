"""``build --check``: advice about a Dockerfile that is valid, with the names that docker gave to its rules.

See docs.docker.com/reference/build-checks. A ``# check=skip=RULE,RULE`` (or ``skip=all``) directive turns
rules off; ``error=true`` in it makes findings fail the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from runtime.build.dockerignore import IgnoreRules
from runtime.build.instructions import (
    Arg,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    HealthCheckInstruction,
    Instruction,
    Label,
    Maintainer,
    Stage,
    Workdir,
)
from runtime.build.lexer import LogicalLine, lex
from runtime.build.state import PROXY_ARGUMENTS, platform_arguments
from runtime.build.substitution import SubstitutionError, expand
from runtime.model.record import record

__all__ = ["RULES", "Finding", "check", "findings_are_errors"]

_SECRET = r"(?i)(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|pass|secret|token)(?:_|$)"
_PUBLIC = r"(?i)(?:^|_)public(?:_|$)|_file$|_path$"
_PORT = r"\d+(-\d+)?(/(tcp|udp|sctp))?"
_SHELL_VARIABLES = frozenset(("HOME", "HOSTNAME", "PATH", "PWD", "TERM", "USER"))


@record
class Finding:
    """``line`` counts from 1."""

    rule: str
    message: str
    line: int


@record
class _Subject:
    dockerfile: Dockerfile
    lines: tuple[LogicalLine, ...]
    ignore: IgnoreRules
    environment: Callable[[str], Collection[str] | None]

    def instructions(self) -> Iterator[tuple[Stage, Instruction]]:
        for stage in self.dockerfile.stages:
            yield stage, stage.base
            for instruction in stage.instructions:
                yield stage, instruction


def _nothing_known(image: str) -> Collection[str] | None:
    del image
    return None


def check(
    dockerfile: Dockerfile,
    ignore: IgnoreRules | None = None,
    environment: Callable[[str], Collection[str] | None] = _nothing_known,
) -> list[Finding]:
    """All findings, by line. ``environment`` tells the names that a base image sets, None when it is unknown:
    then nothing is said of undefined variables there."""
    skipped = _option(dockerfile, "skip").split(",")
    if "all" in skipped:
        return []
    subject = _Subject(dockerfile, lex(dockerfile.source).lines, ignore or IgnoreRules(), environment)
    found = [
        Finding(rule, message, line)
        for rule, look in _RULES.items()
        if rule not in skipped
        for line, message in look(subject)
    ]
    return sorted(found, key=lambda finding: (finding.line, finding.rule))


def findings_are_errors(dockerfile: Dockerfile) -> bool:
    return _option(dockerfile, "error").lower() == "true"


def _option(dockerfile: Dockerfile, name: str) -> str:
    for part in dockerfile.directives.get("check", "").split(";"):
        key, _, value = part.partition("=")
        if key.strip() == name:
            return value.strip()
    return ""


Found = Iterator[tuple[int, str]]


def _stage_name_casing(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        if stage.base.alias != stage.base.alias.lower():
            yield stage.base.first, f"Stage name '{stage.base.alias}' should be lowercase"


def _from_as_casing(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        words = stage.base.text.split()
        if not stage.base.alias:
            continue
        keyword, joint = words[0], words[-2]
        if keyword.isupper() != joint.isupper():
            yield stage.base.first, f"'{joint}' and '{keyword}' keywords' casing do not match"


def _no_empty_continuation(subject: _Subject) -> Found:
    for line in subject.lines:
        if line.empty_continuation:
            yield line.last, "Empty continuation line"


def _consistent_casing(subject: _Subject) -> Found:
    words = [(line.first, line.text.split(None, 1)[0]) for line in subject.lines]
    upper = sum(word.isupper() for _, word in words)
    lower = sum(word.islower() for _, word in words)
    wanted = "uppercase" if upper >= lower else "lowercase"
    for line, word in words:
        if not (word.isupper() if wanted == "uppercase" else word.islower()):
            yield line, f"Command '{word}' should match the case of the command majority ({wanted})"


def _duplicate_stage_name(subject: _Subject) -> Found:
    seen: set[str] = set()
    for stage in subject.dockerfile.stages:
        if stage.name and stage.name in seen:
            yield stage.base.first, f"Duplicate stage name '{stage.name}', stage names should be unique"
        seen.add(stage.name)


def _json_recommended(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        own_shell = any(item.keyword == "SHELL" for item in stage.instructions)
        for item in stage.instructions:
            if isinstance(item, (Cmd, Entrypoint)) and item.command.shell_form and not own_shell:
                yield (
                    item.first,
                    f"JSON arguments recommended for {item.keyword} to prevent unintended behavior related to"
                    " OS signals",
                )


def _maintainer_deprecated(subject: _Subject) -> Found:
    for _, item in subject.instructions():
        if isinstance(item, Maintainer):
            yield item.first, "Maintainer instruction is deprecated in favor of using label"


def _global_names(subject: _Subject) -> dict[str, str | None]:
    named: dict[str, str | None] = dict(platform_arguments(""))
    for arg in subject.dockerfile.global_args:
        named.update(arg.pairs)
    return named


def _undefined_arg_in_from(subject: _Subject) -> Found:
    declared = _global_names(subject)
    for stage in subject.dockerfile.stages:
        for text in (stage.base.image, stage.base.platform):
            for name in _unset_in(text, dict.fromkeys(declared, "x"), subject):
                yield stage.base.first, f"FROM argument '{name}' is not declared"


def _invalid_default_in_from(subject: _Subject) -> Found:
    known = {name: value for name, value in _global_names(subject).items() if value is not None}
    for stage in subject.dockerfile.stages:
        if "$" not in stage.base.image:
            continue
        try:
            base = expand(stage.base.image, known, subject.dockerfile.escape)
        except SubstitutionError:
            continue
        if not base or base.endswith((":", "@")) or base.startswith((":", "/")):
            yield (
                stage.base.first,
                f"Default value for ARG {stage.base.image} results in empty or invalid base image name",
            )


def _workdir_relative(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        absolute = stage.base.image == "scratch"
        for item in stage.instructions:
            if isinstance(item, Workdir):
                if not item.path.startswith(("/", "$")) and not absolute:
                    yield (
                        item.first,
                        f"Relative workdir '{item.path}' can have unexpected results if the base image"
                        " changes",
                    )
                absolute = True


def _undefined_var(subject: _Subject) -> Found:
    stages: dict[str, set[str] | None] = {}
    for stage in subject.dockerfile.stages:
        known = _inherited(subject, stages, stage.base.image)
        stages[stage.name] = known
        if known is None:
            continue
        for item in stage.instructions:
            for text in _expanded_texts(item):
                for name in _unset_in(text, dict.fromkeys((*known, *_SHELL_VARIABLES), "x"), subject):
                    yield item.first, f"Usage of undefined variable '${name}'"
            if isinstance(item, (Arg, Env)):
                known |= {name for name, _ in item.pairs}


def _inherited(subject: _Subject, stages: dict[str, set[str] | None], base: str) -> set[str] | None:
    if base.lower() in stages:
        known = stages[base.lower()]
        return None if known is None else set(known)
    if base == "scratch":
        return set()
    found = subject.environment(base)
    return None if found is None else set(found)


def _expanded_texts(item: Instruction) -> tuple[str, ...]:
    if isinstance(item, Copy):
        return (*item.sources, item.destination, item.chown, item.chmod)
    if isinstance(item, Env):
        return tuple(value for _, value in item.pairs)
    if isinstance(item, Label):
        return tuple(value for _, value in item.pairs)
    if isinstance(item, Workdir):
        return (item.path,)
    return item.ports if isinstance(item, Expose) else ()


def _unset_in(text: str, known: dict[str, str], subject: _Subject) -> list[str]:
    unset: list[str] = []
    try:
        expand(text, known, subject.dockerfile.escape, on_unset=unset.append)
    except SubstitutionError:
        return []
    return [name for name in unset if name not in PROXY_ARGUMENTS]


def _multiple_instructions(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        for kind in (Cmd, Entrypoint, HealthCheckInstruction):
            found = [item for item in stage.instructions if isinstance(item, kind)]
            for item in found[:-1]:
                yield (
                    item.first,
                    f"Multiple {item.keyword} instructions should not be used in the same stage because only"
                    " the last one will be used",
                )


def _legacy_key_value(subject: _Subject) -> Found:
    for _, item in subject.instructions():
        if isinstance(item, (Env, Label)) and item.legacy:
            yield (
                item.first,
                f'"{item.keyword} key=value" should be used instead of legacy "{item.keyword} key value"',
            )


def _redundant_platform(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        if stage.base.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            yield (
                stage.base.first,
                f"Setting platform to predefined {stage.base.platform} in FROM is redundant as this is the"
                " default behavior",
            )


def _constant_platform(subject: _Subject) -> Found:
    for stage in subject.dockerfile.stages:
        platform = stage.base.platform
        if platform and "$" not in platform:
            yield stage.base.first, f'FROM --platform flag should not use constant value "{platform}"'


def _secrets(subject: _Subject) -> Found:
    for _, item in subject.instructions():
        if isinstance(item, (Arg, Env)):
            for name, _ in item.pairs:
                if re.search(_SECRET, name) and not re.search(_PUBLIC, name):
                    yield (
                        item.first,
                        f'Do not use ARG or ENV instructions for sensitive data ({item.keyword} "{name}")',
                    )


def _copy_ignored(subject: _Subject) -> Found:
    for _, item in subject.instructions():
        if not isinstance(item, Copy) or item.from_:
            continue
        for source in item.sources:
            path = source.strip("/").removeprefix("./")
            wild = re.search(r"[*?\[$]", path) or "://" in path
            if path and not wild and subject.ignore.excluded(path) and not subject.ignore.descend(path):
                yield (
                    item.first,
                    f'Attempting to {item.keyword} file "{source}" that is excluded by .dockerignore',
                )


def _expose_format(subject: _Subject) -> Found:
    for _, item in subject.instructions():
        if isinstance(item, Expose):
            for port in item.ports:
                if "$" not in port and not re.fullmatch(_PORT, port.lower()):
                    yield (
                        item.first,
                        "EXPOSE instruction should not define an IP address or host-port mapping, found"
                        f" '{port}'",
                    )


def _reserved_stage_name(subject: _Subject) -> Found:
    """The parser refuses these; the rule stands for its name."""
    for stage in subject.dockerfile.stages:
        if stage.name in ("context", "scratch"):
            yield (
                stage.base.first,
                f"Stage name should not use the same name as reserved stage '{stage.name}'",
            )


_RULES: dict[str, Callable[[_Subject], Found]] = {
    "StageNameCasing": _stage_name_casing,
    "FromAsCasing": _from_as_casing,
    "NoEmptyContinuation": _no_empty_continuation,
    "ConsistentInstructionCasing": _consistent_casing,
    "DuplicateStageName": _duplicate_stage_name,
    "ReservedStageName": _reserved_stage_name,
    "JSONArgsRecommended": _json_recommended,
    "MaintainerDeprecated": _maintainer_deprecated,
    "UndefinedArgInFrom": _undefined_arg_in_from,
    "WorkdirRelativePath": _workdir_relative,
    "UndefinedVar": _undefined_var,
    "MultipleInstructionsDisallowed": _multiple_instructions,
    "LegacyKeyValueFormat": _legacy_key_value,
    "RedundantTargetPlatform": _redundant_platform,
    "SecretsUsedInArgOrEnv": _secrets,
    "InvalidDefaultArgInFrom": _invalid_default_in_from,
    "FromPlatformFlagConstDisallowed": _constant_platform,
    "CopyIgnoredFile": _copy_ignored,
    "ExposeInvalidFormat": _expose_format,
}
RULES = tuple(_RULES)
