"""Git repositories as a context or as ADD's source, through the machine's ``git``.

The forms are docker's (docs.docker.com, "Git repositories"): ``URL#REF:DIRECTORY``, or
``URL?ref=REF&subdir=DIRECTORY``. A repository is a stranger's: no hooks, no configuration of the user or the
system, no filters, and only the protocols that fetch from a network.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from runtime.build.fetch import FetchError
from runtime.errors import Cancelled, InvalidInput, NotFound
from runtime.kernel.tree import remove_tree
from runtime.model.event import CancelEvent

__all__ = ["GitRepository", "checkout", "parse_git", "resolve"]

_SCP = re.compile(r"^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:(?!//)[^#?]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PROTOCOLS = ("git", "http", "https", "ssh")
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
         "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")  # fmt: skip


@dataclass(frozen=True)
class GitRepository:
    """``ref`` "" is the default branch. ``commit`` is what it must be, "" for whatever it is."""

    url: str
    ref: str = ""
    directory: str = ""
    commit: str = ""
    keep_git_dir: bool = False
    token: bytes = b""
    """Of the secret GIT_AUTH_TOKEN: for http(s), never written anywhere."""


def parse_git(text: str) -> GitRepository | None:
    """None for what is no git repository. Raises InvalidInput for a wrong one."""
    if text.startswith("github.com/"):
        text = f"https://{text}"
    plain, _, fragment = text.partition("#")
    if _SCP.match(plain):
        made = GitRepository(plain)
    else:
        parts = urlsplit(plain)
        is_git = parts.scheme in ("git", "ssh") or (
            parts.scheme in ("http", "https")
            and (parts.path.endswith(".git") or (parts.netloc == "github.com" and parts.path.count("/") == 2))
        )
        if not is_git or not parts.netloc:
            return None
        made = _query(GitRepository(urlunsplit(parts._replace(query=""))), parts.query)
    ref, _, directory = fragment.partition(":")
    made = replace(made, ref=ref or made.ref, directory=directory or made.directory)
    return _checked(made, text)


def _query(made: GitRepository, query: str) -> GitRepository:
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in ("ref", "branch", "tag"):
            prefix = {"branch": "refs/heads/", "tag": "refs/tags/"}.get(key, "")
            made = replace(made, ref=prefix + value)
        elif key == "subdir":
            made = replace(made, directory=value)
        elif key in ("checksum", "commit"):
            made = replace(made, commit=value)
        elif key == "keep-git-dir":
            made = replace(made, keep_git_dir=value.lower() in ("", "1", "true"))
        else:
            raise InvalidInput(f"unexpected query parameter {key!r} of a git repository", subject=made.url)
    return made


def _checked(made: GitRepository, text: str) -> GitRepository:
    if made.ref.startswith("-") or any(character.isspace() for character in made.ref + made.url):
        raise InvalidInput(f"invalid git reference in {text!r}", subject=text)
    if ".." in made.directory.split("/"):
        raise InvalidInput(f"the subdirectory of {text!r} leads out of the repository", subject=text)
    return made


def resolve(repository: GitRepository, cancel: CancelEvent | None = None) -> GitRepository:
    """With the commit that the reference is now. Raises FetchError."""
    if _COMMIT.fullmatch(repository.ref):
        return _pinned(repository, repository.ref)
    wanted = repository.ref or "HEAD"
    listed = _git(["ls-remote", "--", repository.url, wanted, f"{wanted}^{{}}"], None, repository, cancel)
    found = dict(line.split("\t", 1)[::-1] for line in listed.splitlines() if "\t" in line)
    for name in (wanted, f"refs/tags/{wanted}", f"refs/heads/{wanted}", f"refs/{wanted}"):
        commit = found.get(f"{name}^{{}}") or found.get(name)
        if commit:
            return _pinned(repository, commit)
    if re.fullmatch(r"[0-9a-f]{7,63}", wanted):
        return repository  # an abbreviated commit: known once everything is here
    raise FetchError(f"repository {repository.url} does not contain ref {wanted}")


def _pinned(repository: GitRepository, commit: str) -> GitRepository:
    if repository.commit and not commit.startswith(repository.commit):
        raise FetchError(f"{repository.url} is at commit {commit}, expected {repository.commit}")
    return replace(repository, commit=commit)


def checkout(repository: GitRepository, directory: Path, cancel: CancelEvent | None = None) -> GitRepository:
    """The files, submodules included, in the new ``directory``; with the commit that it was. Raises
    FetchError, NotFound (no git), Cancelled."""
    directory.mkdir(mode=0o755)
    run = _In(directory, repository, cancel)
    run("init", "-q", "--template=")
    run("remote", "add", "origin", repository.url)
    wanted = repository.commit if _COMMIT.fullmatch(repository.commit) else repository.ref or "HEAD"
    try:
        run("fetch", "-q", "--depth=1", "--no-tags", "origin", wanted)
        commit = run("rev-parse", "FETCH_HEAD^{commit}").strip()
    except FetchError:
        # A server may refuse to send a single commit: take all of its branches and tags.
        run("fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        commit = run("rev-parse", "--verify", "-q", f"{wanted}^{{commit}}").strip()
    found = _pinned(repository, commit)
    run("checkout", "-q", "--detach", commit)
    if (directory / ".gitmodules").is_file():
        run("submodule", "update", "-q", "--init", "--recursive", "--depth=1")
    if not repository.keep_git_dir:
        for path in [directory / ".git", *directory.rglob(".git")]:
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
    return found


class _In:
    def __init__(self, directory: Path, repository: GitRepository, cancel: CancelEvent | None) -> None:
        self._directory = directory
        self._repository = repository
        self._cancel = cancel

    def __call__(self, *arguments: str) -> str:
        return _git(arguments, self._directory, self._repository, self._cancel)


def _environment(repository: GitRepository) -> dict[str, str]:
    """git-config(1), ENVIRONMENT: settings that the submodules' processes have too."""
    settings = [
        ("core.hooksPath", "/dev/null"),
        ("core.fsmonitor", "false"),
        ("credential.helper", ""),
        ("safe.directory", "*"),
        ("submodule.fetchJobs", "1"),
        ("advice.detachedHead", "false"),
        ("protocol.allow", "never"),
        *((f"protocol.{name}.allow", "always") for name in _PROTOCOLS),
    ]
    if repository.token and repository.url.startswith(("http://", "https://")):
        import base64

        parts = urlsplit(repository.url)
        value = base64.b64encode(b"x-access-token:" + repository.token.strip()).decode()
        key = f"http.{parts.scheme}://{parts.netloc}/.extraheader"
        settings.append((key, f"Authorization: Basic {value}"))
    made = {name: os.environ[name] for name in _KEPT if name in os.environ}
    made |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "LC_ALL": "C",
    }
    for number, (key, value) in enumerate(settings):
        made[f"GIT_CONFIG_KEY_{number}"] = key
        made[f"GIT_CONFIG_VALUE_{number}"] = value
    return made


def _git(
    arguments: Sequence[str], directory: Path | None, repository: GitRepository, cancel: CancelEvent | None
) -> str:
    try:
        process = _start(arguments, directory, _environment(repository))
    except FileNotFoundError:
        raise NotFound(
            "git is not installed on this machine", hint="install git, or give the directory of a checkout"
        ) from None
    while True:
        try:
            out, complaint = process.communicate(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            if cancel is not None and cancel.is_set():
                process.kill()
                process.communicate()
                raise Cancelled("the build was cancelled") from None
    if process.returncode:
        lines = [line for line in complaint.splitlines() if line.strip()]
        told = next((line for line in lines if line.startswith(("fatal:", "error:"))), (lines or ["?"])[-1])
        raise FetchError(f"cannot fetch {repository.url}: git {arguments[0]}: {told}")
    return out


def _start(arguments: Sequence[str], directory: Path | None, env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["git", *arguments],
        cwd=directory or "/",
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        umask=0o022,
    )
