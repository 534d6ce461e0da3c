"""The Debian packages that are measured: installed where we may, else named."""

import os
import shutil
import subprocess
from pathlib import Path

from progress import Progress
from servers import ServerError

_INSTALLED = {
    "dovecot-core": Path("/usr/sbin/dovecot"),
    "dovecot-pop3d": Path("/usr/lib/dovecot/pop3"),
    "gcc": Path("/usr/bin/cc"),
}
"""What is installed as usual, by a file of it."""


def provide(folder: Path, progress: Progress) -> None:
    """Install what is missing, and unpack into `folder` what must lie beside it.

    Raises `ServerError`, naming what to install, where we may not.
    """
    missing = [package for package, file in _INSTALLED.items() if not file.exists()]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerError(
            f"please install {' '.join(missing)} (Debian's names), or start again as root there"
        )
    progress.say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    command = ["apt-get", "install", "-yq", "--no-install-recommends", *missing]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerError(f"{' '.join(missing)} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
