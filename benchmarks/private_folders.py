"""Programs of Debian packages that cannot be installed together, run as if each were.

Their packages are unpacked, not installed. A process gets a view of the file system of its own, in which
their files lie over /usr and /etc. What a configuration writes there is in memory, and goes with the process.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from servers import ServerError

UNPACKED: Final = "unpacked"
UNPACKED_TESTING: Final = "unpacked-testing"
"""The folders of the unpacked packages, of this system and of Debian testing, in the folder of programs."""

_ENTER = """
set -e
own=$1 unpacked=$2 begin=$3
mount -t tmpfs tmpfs "$own/memory"
for part in etc usr; do
  mkdir "$own/memory/$part" "$own/memory/$part-work"
  lower="lowerdir=$own/$part:$unpacked/$part:/$part"
  upper="upperdir=$own/memory/$part,workdir=$own/memory/$part-work"
  mount -t overlay overlay -o "$lower,$upper" "/$part"
done
mount -t tmpfs tmpfs /run
eval "$begin"
"""


def command(folder: Path, unpacked: Path, files: Mapping[str, str], begin: str) -> Sequence[str | Path]:
    """Return a command that runs the shell's lines `begin` with `unpacked` packages over /usr and /etc.

    `files` are written over those too: paths below / and what is in them, readable by root alone where the
    name is `shadow`. Raises `ServerError` where it cannot be done.
    """
    if os.geteuid() != 0:
        raise ServerError("it is not installed, and only root can lay it beside others")
    if not unpacked.exists():
        raise ServerError("its packages cannot be had (apt-get download)")
    for part in ("etc", "usr", "memory"):
        (folder / part).mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600 if path.name == "shadow" else 0o644)
    enter: list[str | Path] = ["sh", "-c", _ENTER, "sh", folder, unpacked, begin]
    return ["unshare", "--mount", "--propagation", "private", *enter]
