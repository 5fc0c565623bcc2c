"""The base image's other contents: tools, files under /etc, certificates, terminals, empty directories."""

from __future__ import annotations

import os
import re
from pathlib import Path

from runtime.errors import Unavailable
from runtime.images.base_plan import BasePlan

__all__ = ["CERTIFICATES", "add_directories", "add_etc", "add_terminals", "add_tools", "environment", "shell"]

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_COREUTILS = """
[ arch b2sum base32 base64 basename basenc cat chgrp chmod chown chroot cksum comm cp csplit cut date dd
df dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join
link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pr
printenv printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum
sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true
truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes
"""

_TOOLS = """
grep egrep fgrep sed mawk gawk awk find xargs diff cmp tar gzip gunzip zcat bzip2 bunzip2 bzcat xz unxz
xzcat zstd unzstd hostname ps top free uptime kill pgrep pkill pidof vmstat w watch sysctl mount umount
findmnt more getopt setsid flock taskset ionice renice nsenter unshare lscpu lsblk dmesg logger rev column
getent iconv locale ldd ldconfig clear tput reset which tempfile less ip ss ping
"""

_LIBRARIES = """
libgcc_s.so.1 libstdc++.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2
libnsl.so.1 libanl.so.1 libatomic.so.1 libnss_files.so.2 libnss_dns.so.2 libnss_compat.so.2
"""

_TERMINALS = """
ansi dumb linux rxvt rxvt-unicode rxvt-unicode-256color screen screen-256color screen.xterm-256color tmux
tmux-256color vt100 vt102 vt220 xterm xterm-color xterm-256color xterm-direct alacritty xterm-kitty
"""

_DIRECTORIES = """
/boot /dev /etc /home /media /mnt /opt /proc /run /srv /sys /usr/local/bin /usr/local/lib /usr/local/sbin
/usr/share /var/cache /var/lib /var/log /var/mail /var/www /var/backups /var/spool
"""

_PASSWD = """\
root:x:0:0:root:/root:{shell}
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""

_GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
kmem:x:15:
www-data:x:33:
backup:x:34:
shadow:x:42:
utmp:x:43:
video:x:44:
staff:x:50:
users:x:100:
nogroup:x:65534:
"""

_NSSWITCH = """\
passwd:    files
group:     files
shadow:    files
hosts:     files dns
networks:  files
protocols: files
services:  files
ethers:    files
rpc:       files
"""

_PROFILE = """\
export PATH="${PATH:-%s}"
if [ -n "${BASH-}" ] && [ "$BASH" != /bin/sh ]; then
  PS1='\\u@\\h:\\w\\$ '
else
  PS1='$ '
fi
"""


def shell() -> str:
    """The image's shell, by name: bash where the machine has it."""
    return "bash" if Path("/bin/bash").exists() or Path("/usr/bin/bash").exists() else "sh"


def environment() -> tuple[str, ...]:
    language = ("LANG=C.UTF-8",) if _locale() is not None else ()
    return (f"PATH={_PATH}", *language)


def add_tools(plan: BasePlan) -> None:
    """The shell first, since scripts need it. Raises Unavailable without one; other tools may be missing."""
    if not plan.program("sh"):
        raise Unavailable("the base image needs a shell, and this machine has no /bin/sh")
    plan.program("dash")
    plan.program("bash")
    for name in (_COREUTILS + _TOOLS).split():
        plan.program(name)
    plan.program("nologin")
    for name in _LIBRARIES.split():
        plan.optional_library(name)


def add_etc(plan: BasePlan, pip_configuration: str) -> None:
    """Generated where the machine's own would tell of it; copied where it is public knowledge."""
    plan.text("/etc/passwd", _PASSWD.format(shell=f"/bin/{shell()}"))
    plan.text("/etc/group", _GROUP)
    plan.text("/etc/nsswitch.conf", _NSSWITCH)
    plan.text("/etc/host.conf", "multi on\n")
    plan.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    plan.text("/etc/hostname", "")
    plan.text("/etc/resolv.conf", "")
    plan.text("/etc/profile", _PROFILE % _PATH)
    plan.text("/etc/bash.bashrc", "[ -z \"$PS1\" ] || PS1='\\u@\\h:\\w\\$ '\n")
    plan.text("/etc/shells", "/bin/sh\n/bin/bash\n" if shell() == "bash" else "/bin/sh\n")
    plan.text("/etc/ld.so.conf", f"/usr/local/lib\n{plan.library_directory}\n")
    plan.text("/etc/pip.conf", pip_configuration)
    for name in ("/etc/services", "/etc/protocols", "/etc/ssl/openssl.cnf", "/etc/debian_version"):
        if Path(name).is_file():
            plan.copy(Path(name), name)
    release = next(
        (path for path in map(Path, ("/usr/lib/os-release", "/etc/os-release")) if path.is_file()), None
    )
    if release is not None:
        plan.copy(release, "/usr/lib/os-release")
        plan.link("/etc/os-release", "../usr/lib/os-release")
    _add_certificates(plan)


def _add_certificates(plan: BasePlan) -> None:
    """One bundle where Debian has it, and links from where this Python's OpenSSL looks."""
    bundle = _certificates()
    if bundle is None:
        return
    plan.data(CERTIFICATES, bundle)
    import ssl

    paths = ssl.get_default_verify_paths()
    for target in {paths.openssl_cafile, "/usr/lib/ssl/cert.pem", "/etc/ssl/cert.pem"}:
        if target.startswith(("/usr/", "/etc/")) and target != CERTIFICATES:
            plan.link(target, CERTIFICATES)
    for target in {paths.openssl_capath, "/usr/lib/ssl/certs"}:
        if target.startswith("/usr/"):
            plan.link(target, "/etc/ssl/certs")
    plan.link("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")


def _certificates() -> bytes | None:
    """The machine's trusted certificates; nothing but the certificates of the file."""
    named = os.environ.get("SSL_CERT_FILE")
    candidates = [
        *([named] if named else []),
        CERTIFICATES,
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ]
    for name in candidates:
        try:
            data = Path(name).read_bytes()
        except OSError:
            continue
        blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", data, re.DOTALL)
        if blocks:
            return b"\n".join(blocks) + b"\n"
    return None


def add_terminals(plan: BasePlan) -> None:
    """terminfo entries of common terminals, and the C.UTF-8 locale."""
    for name in _TERMINALS.split():
        for directory in ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"):
            path = Path(directory, name[0], name)
            if path.is_file():
                plan.copy(path, f"/usr/share/terminfo/{name[0]}/{name}")
                break
    locale = _locale()
    if locale is not None:
        for path in sorted(locale.rglob("*")):
            if path.is_file():
                plan.copy(path, f"/usr/lib/locale/C.utf8/{path.relative_to(locale)}")


def _locale() -> Path | None:
    found = (Path(name) for name in ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"))
    return next((path for path in found if path.is_dir()), None)


def add_directories(plan: BasePlan) -> None:
    """The skeleton, as Debian's image has it, with /usr merged."""
    for name in ("bin", "sbin", "lib"):
        plan.link(f"/{name}", f"usr/{name}")
        plan.directory(f"/usr/{name}")
    if any(target.startswith("/usr/lib64/") for target in plan.files):
        plan.link("/lib64", "usr/lib64")
    for name in _DIRECTORIES.split():
        plan.directory(name)
    for name in ("/tmp", "/var/tmp"):
        plan.directory(name, 0o1777)
    plan.directory("/run/lock", 0o1777)
    plan.directory("/root", 0o700)
    plan.link("/var/run", "/run")
    plan.link("/var/lock", "/run/lock")
