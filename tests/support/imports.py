"""`python -m pop3_service unique-ids import` as a process of the tests."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended, and what it reported in JSON."""

    exit_code: int
    users: list[dict[str, Any]]
    summary: dict[str, Any]

    @property
    def report(self) -> dict[str, Any]:
        """The report about the only user."""
        (report,) = self.users
        return report


def import_unique_ids(mail: Path, *arguments: str, layout: str = "") -> Imported:
    """Run an import for the maildirs below `mail`."""
    done = subprocess.run(
        [sys.executable, "-m", "pop3_service", "unique-ids", "import", "--json", *arguments],
        env={**os.environ, "PEEP_MAIL_DIR": str(mail), "PEEP_MAILDIR_LAYOUT": layout},
        stdout=subprocess.PIPE,
        timeout=40,
        check=False,
    )
    answer = json.loads(done.stdout)
    return Imported(done.returncode, answer["users"], answer["summary"])
