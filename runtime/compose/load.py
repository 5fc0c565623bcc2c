"""load: from the files on the disk to a checked project."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.compose import files as project_files
from runtime.compose import networking, storage
from runtime.compose.canonical import absolute, canonical_file
from runtime.compose.extends import extend_all
from runtime.compose.interpolate import substitute_tree
from runtime.compose.merge import merge, settled
from runtime.compose.nodes import Node, Place, parse, wrong
from runtime.compose.project import Project, ServiceSpec
from runtime.compose.schema import SECTIONS, TOP_LEVEL
from runtime.compose.service import Scope, service_spec
from runtime.compose.values import Value, nearest
from runtime.errors import InvalidInput, NotFound
from runtime.model.parse import parse_link

__all__ = ["load_project"]

_RESOURCES = ("services", "networks", "volumes", "secrets", "configs", "models")
_DEEPEST_INCLUDE = 20


def load_project(
    files: Sequence[Path] = (),
    *,
    project_name: str | None = None,
    project_directory: Path | None = None,
    env_files: Sequence[Path] = (),
    profiles: Sequence[str] = (),
    on_warning: Callable[[str], None] | None = None,
    environ: Mapping[str, str] | None = None,
    start: Path | None = None,
) -> Project:
    """``start`` is the working directory. Raises NotFound (no file), InvalidInput with file and line."""
    callers = dict(os.environ if environ is None else environ)
    here = Path(absolute(str(start or "."), Path.cwd()))
    chosen = Path(absolute(str(project_directory), here)) if project_directory else None
    early = project_files.environment(callers, env_files, chosen or here, here)
    paths = project_files.find(files, early, here, chosen)
    directory = chosen or Path(absolute(str(paths[0].parent), here))
    variables = project_files.environment(callers, env_files, directory, here)
    reader = _Reader(variables, _once(on_warning))
    name = _name(project_name, reader, paths, directory)
    reader = replace(reader, variables={**variables, "COMPOSE_PROJECT_NAME": name})
    root = _complete(reader, paths, directory, 0)
    active = tuple(profiles) or tuple(
        item for item in variables.get("COMPOSE_PROFILES", "").split(",") if item
    )
    return _project(name, root, reader, directory, tuple(str(path) for path in paths), active)


def _once(on_warning: Callable[[str], None] | None) -> Callable[[str], None]:
    """Each warning is told once."""
    told: set[str] = set()

    def warn(text: str) -> None:
        if on_warning is not None and text not in told:
            told.add(text)
            on_warning(text)

    return warn


def _name(given: str | None, reader: _Reader, paths: Sequence[Path], directory: Path) -> str:
    variables = reader.variables
    if given:
        return project_files.checked_name(given, "given with -p")
    if variables.get("COMPOSE_PROJECT_NAME"):
        return project_files.checked_name(variables["COMPOSE_PROJECT_NAME"], "COMPOSE_PROJECT_NAME")
    for path in reversed(paths):
        for document in reversed(reader.documents(path)):
            value = document.get("name")
            if value is not None and value.value is not None:
                at = Value(substitute_tree(value, variables, None, "name"), "name")
                try:
                    return project_files.checked_name(at.string(), "the key name")
                except InvalidInput as error:
                    raise at.wrong(error.message, hint=error.hint) from None
    name = project_files.name_of_directory(directory)
    if not name:
        raise InvalidInput(
            f"the directory {directory} gives no project name",
            hint="give one with -p",
            subject=str(directory),
        )
    return name


def _documents(path: Path) -> list[Node]:
    shown = project_files.shown(path)
    try:
        if path.name == "-" and not path.exists():
            import sys

            return parse(sys.stdin.read(), "stdin")
        return parse(path.read_text(encoding="utf-8-sig"), shown)
    except FileNotFoundError:
        raise NotFound(f"{shown} does not exist", subject=str(path)) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{shown}: the file is not UTF-8 text", subject=str(path)) from None
    except OSError as error:
        raise InvalidInput(f"cannot read {shown}: {error.strerror}", subject=str(path)) from error


@dataclass(frozen=True)
class _Reader:
    """Reads each file once (standard input can be read no more often)."""

    variables: Mapping[str, str]
    warn: Callable[[str], None]
    known: dict[Path, list[Node]] = field(default_factory=dict)

    def documents(self, path: Path) -> list[Node]:
        if path not in self.known:
            self.known[path] = _documents(path)
        return self.known[path]

    def unset(self, name: str) -> None:
        self.warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    def read(self, path: Path, base: Path) -> Node:
        """One file, interpolated, in canonical form."""
        documents = self.documents(path)
        if not documents:
            raise InvalidInput(f"{project_files.shown(path)}: the file is empty", subject=str(path))
        made = []
        for document in documents:
            if not isinstance(document.value, dict):
                raise wrong(document, "", f"the top level must be a mapping, not {document.kind}")
            Value(document, "").known_keys(TOP_LEVEL)
            made.append(canonical_file(substitute_tree(document, self.variables, self.unset), base))
        merged = settled(made[0]) if len(made) > 1 else made[0]
        for document in made[1:]:
            assert merged is not None
            merged = merge(merged, document)
        return merged or made[0]


def _complete(reader: _Reader, paths: Sequence[Path], base: Path, depth: int) -> Node:
    """All files with what they include and extend, merged."""

    def read_other(path: Path, at: Value) -> Node:
        if not path.is_file():
            raise at.wrong(f"the file {path} does not exist")
        return reader.read(path, path.parent)

    merged: Node | None = None
    for path in paths:
        document = extend_all(reader.read(path, base), read_other)
        included = _included(reader, document, base, depth)
        if included is not None:
            document = _import(included, document)
        merged = settled(document) if merged is None else merge(merged, document)
    assert merged is not None
    return merged


def _included(reader: _Reader, document: Node, base: Path, depth: int) -> Node | None:
    section = Value(document, "").get("include")
    if section is None:
        return None
    if depth >= _DEEPEST_INCLUDE:
        raise section.wrong("files include each other in a circle, or too deeply")
    merged: Node | None = None
    for item in section.items():
        entry = _include(reader, item, base, depth)
        merged = entry if merged is None else _import(merged, entry)
    return merged


def _include(reader: _Reader, item: Value, base: Path, depth: int) -> Node:
    directory: Value | None = None
    env: Value | None = None
    if item.is_mapping:
        item.known_keys(SECTIONS["include"])
        path, directory, env = (item.get(key) for key in SECTIONS["include"])
        if path is None:
            raise item.wrong("path must be given")
        names = path.strings()
    else:
        names = (item.string(),)
    paths = [Path(absolute(name, base)) for name in names]
    for path_ in paths:
        if not path_.is_file():
            raise item.wrong(f"the file {path_} does not exist")
    below = Path(absolute(directory.string(), base)) if directory else paths[0].parent
    env_files = [Path(absolute(name, base)) for name in env.strings()] if env else []
    variables = project_files.environment(reader.variables, env_files, below, base)
    return _complete(replace(reader, variables=variables), paths, below, depth + 1)


def _import(base: Node, document: Node) -> Node:
    """What was included, and the file's own; the same name in both is an error unless they are the same."""
    assert isinstance(base.value, dict) and isinstance(document.value, dict)
    result = {key: item for key, item in document.value.items() if key != "include"}
    for section in _RESOURCES:
        theirs, ours = base.get(section), document.get(section)
        if theirs is None or not isinstance(theirs.value, dict):
            continue
        own = ours.value if ours is not None and isinstance(ours.value, dict) else {}
        for name, node in own.items():
            other = theirs.value.get(name)
            if other is not None and _plain(other) != _plain(node):
                raise wrong(
                    node, f"{section}.{name}", f"conflicts with the one that is included, in {other.place}"
                )
        result[section] = Node({**theirs.value, **own}, theirs.place)
    return Node(result, document.place)


def _plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.value


def _project(
    name: str, root: Node, reader: _Reader, directory: Path, files: tuple[str, ...], profiles: tuple[str, ...]
) -> Project:
    top = Value(root, "")
    if top.get("version"):
        reader.warn("the key version is obsolete and ignored")
    if models := top.get("models"):
        reader.warn(f"{models.path} is not supported and ignored")
    sections = {key: _section(root, key) for key in _RESOURCES}
    scope = Scope(
        project=name,
        variables=reader.variables,
        networks=networking.declared_networks(sections["networks"], name, reader.warn),
        volumes=storage.declared_volumes(sections["volumes"], name, reader.warn),
        secrets=storage.declared_files(sections["secrets"], reader.variables),
        configs=storage.declared_files(sections["configs"], reader.variables),
        warn=reader.warn,
    )
    listed = sections["services"]
    if listed is None or not listed.mapping():
        raise wrong(Place(project_files.shown(Path(files[0])), 1), "", "no service is defined")
    services = {key: service_spec(key, at, scope) for key, at in listed.mapping().items()}
    _check_references(services, listed)
    services = _with_links(services, listed)
    return Project(
        name=name,
        working_dir=str(directory),
        files=files,
        services=services,
        networks=dict(scope.networks),
        volumes=dict(scope.volumes),
        profiles=profiles,
        document=_document(name, root),
    )


def _with_links(services: dict[str, ServiceSpec], listed: Value) -> dict[str, ServiceSpec]:
    """``links: ["db:database"]`` makes database another name of db for the service that links to it;
    ``external_links`` does so for containers of other projects on a common network."""
    made = dict(services)
    for name, at in listed.mapping().items():
        found: list[str] = []
        for key in ("links", "external_links"):
            links = at.get(key)
            found += [text for text in (links.strings() if links else ()) if key != "links" or ":" in text]
        if not found:
            continue
        config = made[name].config
        wanted = tuple(dict.fromkeys(parse_link(text) for text in found))
        networks = tuple(replace(item, links=wanted) for item in config.networks)
        made[name] = replace(made[name], config=replace(config, networks=networks))
    return made


def _section(root: Node, key: str) -> Value | None:
    node = root.get(key)
    return Value(node, key) if node is not None and node.value is not None else None


def _document(name: str, root: Node) -> dict[str, object]:
    plain = _plain(root)
    assert isinstance(plain, dict)
    return {"name": name, **{key: value for key, value in plain.items() if key not in ("name", "version")}}


def _check_references(services: Mapping[str, ServiceSpec], listed: Value) -> None:
    """Dependencies exist and have no cycle."""
    for service in services.values():
        for dependency in service.depends_on:
            if dependency.service not in services and dependency.required:
                at = Value(listed.node, "services").mapping()[service.name]
                raise (at.get("depends_on") or at).wrong(
                    f'depends on "{dependency.service}", which is not defined',
                    hint=nearest(dependency.service, services),
                )
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> None:
        if name in chain:
            cycle = " -> ".join((*chain[chain.index(name) :], name))
            raise listed.mapping()[name].wrong(f"dependency cycle: {cycle}")
        if name in done or name not in services:
            return
        for dependency in services[name].depends_on:
            visit(dependency.service, (*chain, name))
        done.add(name)

    for name in services:
        visit(name, ())
