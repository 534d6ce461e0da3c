"""The Debian packages that are measured: installed as root, else named."""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

from private_folders import UNPACKED, UNPACKED_TESTING
from progress import Progress
from servers import ServerError

_INSTALLED = {
    "dovecot-core": Path("/usr/sbin/dovecot"),
    "dovecot-pop3d": Path("/usr/lib/dovecot/pop3"),
    "gcc": Path("/usr/bin/cc"),
    "wrk": Path("/usr/bin/wrk"),
}
"""The packages that are installed as usual, by one of their files."""

_UNPACKED = (
    *("courier-pop", "courier-base", "courier-authlib", "courier-authlib-userdb", "popa3d"),
    *("libcourier-unicode4", "libgamin0", "libgdbm6", "libidn12", "libltdl7", "libpcre3"),
)
"""The packages that conflict with Dovecot's POP3 package, and their dependencies: unpacked, not installed."""

_SERVERS = ("dovecot-core", "courier-pop", "popa3d")
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TESTING = f"deb [signed-by={_KEYS}] http://deb.debian.org/debian testing main\n"


def provide(folder: Path, progress: Progress) -> None:
    """Install what is missing, and unpack into `folder` what cannot be installed.

    Raises `ServerError`, naming what to install, where we may not. Packages that only other servers need
    may be missing: then these are not measured, and the report says so.
    """
    _install_missing(progress)
    if os.geteuid() == 0 and shutil.which("apt-get") is not None:
        _unpack_others(folder, progress)
        _unpack_testing(folder, progress)


def unpacked_versions(folder: Path) -> list[str]:
    """Return the names and versions of the measured servers whose packages `provide` has unpacked."""
    archives = (path for name in _SERVERS for path in folder.rglob(f"{name}_*.deb"))
    return [" ".join(unquote(path.name).split("_")[:2]) for path in archives]


def _unpack_others(folder: Path, progress: Progress) -> None:
    progress.say("fetching the packages of Courier and popa3d")
    archives = folder / "archives"
    archives.mkdir()
    done = _apt_get("download", *_UNPACKED, folder=archives)
    if done.returncode != 0:
        _apt_get("update")
        done = _apt_get("download", *_UNPACKED, folder=archives)
    if done.returncode != 0:
        progress.say(f"they cannot be had: {_last_line(done.stderr)}")
        return
    for archive in archives.iterdir():
        subprocess.run(["dpkg", "-x", archive, folder / UNPACKED], check=True)


def _unpack_testing(folder: Path, progress: Progress) -> None:
    progress.say("fetching the packages of Dovecot 2.4 from Debian testing")
    apt = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial", "sources"):
        (apt / name).mkdir(parents=True)
    # As if nothing were installed: what it needs comes along, the C library included.
    (apt / "status").touch()
    (apt / "sources" / "testing.list").write_text(_TESTING)
    places = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources" / "testing.list",
        "Dir::Etc::sourceparts": "/dev/null",
    }
    options = [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
    done = _apt_get(*options, "update")
    if done.returncode == 0:
        install = ("install", "-y", "--download-only", "--no-install-recommends")
        done = _apt_get(*options, *install, "dovecot-core", "dovecot-pop3d")
    if done.returncode != 0:
        progress.say(f"they cannot be had: {_last_line(done.stderr)}")
        return
    for archive in (apt / "cache" / "archives").glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, folder / UNPACKED_TESTING], check=True)


def _install_missing(progress: Progress) -> None:
    missing = [package for package, file in _INSTALLED.items() if not file.exists()]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerError(
            f"please install {' '.join(missing)} (Debian's names), or start again as root there"
        )
    progress.say(f"installing {' '.join(missing)}")
    _apt_get("update")
    done = _apt_get("install", "-y", "--no-install-recommends", *missing)
    if done.returncode != 0:
        raise ServerError(f"{' '.join(missing)} cannot be installed: {_last_line(done.stderr)}")


def _apt_get(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", *words]
    return subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
