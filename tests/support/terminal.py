"""A terminal in which the commands of the pages for operators are typed, beside a `make up`."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from support.peepctl_up import Up


class Terminal:
    """A folder as that of the repository; a `make up` that is started in it has free ports.

    What the pages name and what is elsewhere in a test is in `places`: ports, folders, hosts.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        # What is installed beside the repository is not found through the link that .venv is here.
        self.places = {".venv/bin/python": sys.executable}
        self.up: Up | None = None
        self._environment = dict(environment or {})
        folder.mkdir(exist_ok=True)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "home").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.up is not None:
            self.up.clean_up()

    def start(self, **settings: str) -> Up:
        """Start `make up`, and return it when it is ready."""
        self.up = Up(self.folder, settings).ready()
        return self.up

    def stop(self) -> None:
        """End it, as by Ctrl-C."""
        assert self.up is not None
        self.up.stop()
        self.up.clean_up()
        self.up = None

    def type(self, script: str) -> str:
        """Return what the commands print, all of which have to succeed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PEEP")}
        places, found = dict(self.places), dict[str, str]()
        if self.up is not None:
            lines = self.up.lines
            places |= {
                "127.0.0.1:1110": lines["pop3"],
                "127.0.0.1:8110": lines["http"].removeprefix("http://"),
            }
            found = {"PEEPCTL_HOST": lines["peep"], "PEEPCTL_HTTP": lines["http"]}
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", replaced(script, places)),
            cwd=self.folder,
            env=kept | self._environment | found | {"HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout


def replaced(text: str, places: Mapping[str, str]) -> str:
    """Return the text with each place's name changed, in one pass: none is changed twice."""
    names = sorted(map(re.escape, places), key=len, reverse=True)
    return re.sub(f"(?:{'|'.join(names)})(?![0-9])", lambda found: places[found[0]], text)
