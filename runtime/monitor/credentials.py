"""Who a process in a container runs as: user, groups, capabilities, seccomp, limits.

Runs inside the container's root, before the program: every file read here is the image's and may be
hostile (a FIFO as /etc/passwd, a magic link, gigabytes of it), so files are opened once, in the root,
without magic links, must be regular, and are read up to a bound.
"""

from __future__ import annotations

import _socket
import marshal
import os
import resource
import stat

from runtime.kernel import apparmor, capabilities, procfs, seccomp, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan

__all__ = ["Refused", "User", "apply", "change_directory", "find_program", "resolve_user"]

_MAX_ACCOUNT_FILE = 4 << 20
_MAX_ID = 0xFFFFFFFE
_ID_DIGITS = 20
_RLIMITS = {
    getattr(resource, name): name.removeprefix("RLIMIT_").lower()
    for name in dir(resource)
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"  # an old name of NOFILE
}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Refused(Exception):
    """Something in the plan cannot be done in this container. ``code`` is docker's exit code for it."""

    def __init__(self, message: str, code: int = 126) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class User:
    """Ids and the home directory."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def _account_lines(path: str) -> list[list[str]]:
    try:
        fd = syscalls.openat2(
            syscalls.AT_FDCWD,
            path,
            os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
            0,
            syscalls.RESOLVE_NO_MAGICLINKS,
        )
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return []
        data = b""
        while len(data) < _MAX_ACCOUNT_FILE:
            piece = os.read(fd, 1 << 16)
            if not piece:
                break
            data += piece
    finally:
        os.close(fd)
    return [line.split(":") for line in data.decode("utf-8", "surrogateescape").splitlines()]


def _is_id(text: str) -> bool:
    """Decimal and short enough for int(), which refuses thousands of digits."""
    return text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS


def _number(text: str, what: str) -> int | None:
    """A decimal id, None for a name. Raises Refused for 0x0 and for what is too large (2**32-1)."""
    if not text.isascii() or not text.isdigit():
        if text[:1].isdigit() and text[1:2] in ("x", "X", "o", "b"):
            raise Refused(f"{what} {text!r} is not a decimal number")
        return None
    if not _is_id(text) or int(text) > _MAX_ID:
        raise Refused(f"{what} {text[:_ID_DIGITS]} is out of range (0 to {_MAX_ID})")
    return int(text)


def resolve_user(spec: str, extra_groups: list[str]) -> User:
    """``spec`` is "", "user", "uid", "user:group", "uid:gid" ...; names come from the container's files."""
    name, separator, group_name = spec.partition(":")
    name = name or "0"
    uid = _number(name, "user")
    gid, home, login = 0, "/", name
    found = uid is not None
    for fields in _account_lines("/etc/passwd"):
        if len(fields) < 6 or not _is_id(fields[2]) or not _is_id(fields[3]):
            continue
        if (uid is None and fields[0] == name) or (uid is not None and int(fields[2]) == uid):
            entry_uid, entry_gid = _number(fields[2], "user"), _number(fields[3], "group")
            uid, gid, home, login, found = entry_uid, entry_gid or 0, fields[5] or "/", fields[0], True
            break
    if not found or uid is None:
        raise Refused(f"unable to find user {name}: no matching entries in passwd file")
    groups = _account_lines("/etc/group") if group_name or extra_groups or name else []
    by_name = {f[0]: f for f in groups if len(f) >= 3 and _is_id(f[2])}
    supplementary: list[int] = []
    if separator and group_name:
        number = _number(group_name, "group")
        if number is None:
            if group_name not in by_name:
                raise Refused(f"unable to find group {group_name}: no matching entries in group file")
            number = int(by_name[group_name][2])
        gid = number
    else:
        for fields in by_name.values():
            if len(fields) >= 4 and login in fields[3].split(","):
                supplementary.append(int(fields[2]))
    for extra in extra_groups:
        number = _number(extra, "group")
        if number is None:
            if extra not in by_name:
                raise Refused(f"unable to find group {extra}: no matching entries in group file")
            number = int(by_name[extra][2])
        supplementary.append(number)
    return User(uid, gid, [g for g in dict.fromkeys(supplementary) if g <= _MAX_ID], home)


def check_mapped(plan: Plan, user: User) -> None:
    """The kernel knows no other ids in a user namespace (EINVAL of setresuid(2)). Raises Refused."""
    from runtime.kernel import idmap

    for number, ranges in ((user.uid, "uids"), *((gid, "gids") for gid in (user.gid, *user.groups))):
        if idmap.to_host(plan["userns"][ranges], number) < 0:
            last = max(inside + count for inside, _outside, count in plan["userns"][ranges]) - 1
            what = "user" if ranges == "uids" else "group"
            raise Refused(
                f"{what} id {number} is not in the container's user namespace, which has 0 to {last}"
                " (--userns auto:size=N makes a larger one)"
            )


def change_directory(path: str, create: bool, owner: User) -> None:
    """Enter ``path`` inside the root, never through a magic link, and prove that we are inside it.

    A working directory such as ``/proc/self/fd/7`` was a way out (CVE-2024-21626).
    """
    if create:
        _make_directories(path)
    try:
        fd = syscalls.openat2(
            syscalls.AT_FDCWD,
            path,
            os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC,
            0,
            syscalls.RESOLVE_NO_MAGICLINKS,
        )
    except OSError as error:
        raise Refused(f"cannot use working directory {path}: {error.strerror}", 126) from error
    try:
        os.fchdir(fd)
    except OSError as error:
        raise Refused(f"cannot use working directory {path}: {error.strerror}", 126) from error
    finally:
        os.close(fd)
    try:
        inside = os.getcwd().startswith("/")
    except OSError:
        inside = False
    if not inside:
        raise Refused(f"working directory {path} is outside the container", 126)


def _make_directories(path: str) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        return
    current = ""
    for part in parts:
        current += "/" + part
        try:
            os.mkdir(current, 0o755)
        except OSError:
            continue


def limits(plan: Plan) -> list[str]:
    """rlimits and oom_score_adj; what this machine refuses (no CAP_SYS_RESOURCE) comes back as warnings that
    tell what is in force instead."""
    warnings = []
    for number, soft, hard in plan["rlimits"]:
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError) as error:
            wanted, kept = _range(soft, hard), _range(*resource.getrlimit(number))
            name = _RLIMITS.get(number, str(number))
            warnings.append(f"ulimit {name}={wanted} could not be set ({_reason(error)}): it stays {kept}")
    if plan["oom_score_adj"]:
        try:
            procfs.write("/proc/self/oom_score_adj", str(plan["oom_score_adj"]))
        except OSError as error:
            warnings.append(f"oom_score_adj {plan['oom_score_adj']} could not be set ({_reason(error)})")
    return warnings + _withheld(plan)


def _reason(error: Exception) -> str:
    """CPython turns the EPERM of setrlimit(2) into a ValueError."""
    return error.strerror or "" if isinstance(error, OSError) else "not permitted"


def _range(soft: int, hard: int) -> str:
    return ":".join("unlimited" if value < 0 else str(value) for value in (soft, hard))


def _withheld(plan: Plan) -> list[str]:
    """Capabilities that are asked for and that we do not have ourselves: set_sets leaves them out."""
    caps = plan.get("caps")
    lacking = caps["permitted"] & ~capabilities.current()[1] if caps else 0
    if not lacking:
        return []
    return [f"not given, because this machine withholds them: {', '.join(capabilities.names_of(lacking))}"]


def confine(profile: str, *, stays: bool) -> None:
    """Under an AppArmor profile: from execve(2) on, or at once for who ``stays`` and starts the program
    (aa_change_onexec(2), aa_change_profile(2)). Before the privileges go: a kernel may let nobody else change
    (apparmor_restrict_unprivileged_unconfined). Raises Refused.

    At once under our own profile, too, which denies nothing that is still to be done: a change by execve(2)
    takes the parent-death signal away (apparmor_bprm_committing_creds). Under somebody else's profile a
    container whose monitor is killed lives until the next command finds it."""
    if not profile:
        return
    at_once = stays or profile == apparmor.DEFAULT
    name, word = ("current", "changeprofile") if at_once else ("exec", "exec")
    try:
        procfs.write(f"/proc/self/attr/apparmor/{name}", f"{word} {profile}")
    except OSError as error:
        reason = "it is not loaded" if error.errno == 2 else error.strerror
        raise Refused(f"AppArmor profile {profile}: {reason}", 126) from error


def apply(plan: Plan, user: User, program: bytes) -> None:
    """Become ``user`` with the plan's capabilities; install ``program`` (a BPF filter, b"" for none).

    Without no_new_privs the filter needs CAP_SYS_ADMIN (seccomp(2)), so it goes in before the
    capabilities are dropped; with it, last.
    """
    caps = plan["caps"]
    if program and not plan["no_new_privileges"]:
        seccomp.install(program)
    capabilities.drop_bounding(caps["bounding"])
    if user.uid != 0:
        capabilities.keep_caps()
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    if user.uid == 0:
        capabilities.set_sets(caps["effective"], caps["permitted"], 0)
    else:
        # As docker: a user other than root keeps the bounding set only, unless caps are ambient.
        ambient = caps["ambient"]
        capabilities.set_sets(ambient, ambient, ambient)
        capabilities.set_ambient(ambient)
    # A change of ids may have made us dumpable again (suid_dumpable, proc_sys_fs(5)).
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    if plan["no_new_privileges"]:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if program:
            seccomp.install(program)


def give_stdio(user: User) -> None:
    """Pipes and the terminal belong to the user, as docker does, so that /dev/stdout can be reopened."""
    for fd in range(3):
        info = os.fstat(fd)
        if info.st_rdev == os.makedev(1, 3):
            continue
        try:
            os.fchown(fd, user.uid, -1)
        except OSError:
            continue


def environment(pairs: list[str], user: User) -> dict[str, str]:
    env: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        env[key] = value
    env.setdefault("PATH", _DEFAULT_PATH)
    env.setdefault("HOME", user.home)
    return env


def find_program(name: str, env: dict[str, str]) -> str:
    """The path to execute, looked up as execvp(3) does, in the container. Raises Refused 127 or 126."""
    if not name:
        raise Refused("no command specified", 127)
    if "/" in name:
        candidates = [name]
    else:
        candidates = [f"{directory or '.'}/{name}" for directory in env["PATH"].split(":")]
    denied = False
    for candidate in candidates:
        try:
            info = os.stat(candidate)
        except OSError as error:
            denied = denied or isinstance(error, PermissionError)
            continue
        if stat.S_ISDIR(info.st_mode):
            if "/" in name:
                raise Refused(f"exec: {name!r}: is a directory", 126)
            denied = True
            continue
        if not os.access(candidate, os.X_OK):
            denied = True
            continue
        _refuse_magic_link(candidate, name)
        return candidate
    if denied:
        raise Refused(f"exec: {name!r}: permission denied", 126)
    if "/" in name:
        raise Refused(f"exec: {name!r}: stat {name}: no such file or directory", 127)
    raise Refused(f"exec: {name!r}: executable file not found in $PATH", 127)


def _refuse_magic_link(path: str, name: str) -> None:
    """``/proc/self/exe`` would run our own interpreter (CVE-2019-5736)."""
    flags = os.O_PATH | os.O_CLOEXEC
    try:
        os.close(syscalls.openat2(syscalls.AT_FDCWD, path, flags, 0, syscalls.RESOLVE_NO_MAGICLINKS))
    except OSError as error:
        raise Refused(f"exec: {name!r}: leads through a magic link of /proc", 126) from error


def execute(argv: list[str], env: dict[str, str]) -> None:
    """execve(2); comes back only by raising Refused."""
    program = find_program(argv[0], env)
    try:
        os.execve(program, argv, env)
    except OSError as error:
        if error.errno == 2:  # the script's or the loader's interpreter is missing
            raise Refused(
                f"exec: {argv[0]!r}: no such file or directory (missing interpreter?)", 127
            ) from error
        raise Refused(
            f"exec: {argv[0]!r}: {error.strerror.lower() if error.strerror else error}", 126
        ) from error


def fail(sync: _socket.socket, error: BaseException) -> None:
    """Tell the monitor why, and end."""
    code, message = 125, f"{type(error).__name__}: {error}"
    if isinstance(error, Refused):
        code, message = error.code, error.message
    elif isinstance(error, OSError):
        message = (
            str(error) if isinstance(error, syscalls.SyscallError) else f"{error.strerror}: {error.filename}"
        )
    try:
        sync.send(b"F" + marshal.dumps((code, message)))
    finally:
        os._exit(code)
