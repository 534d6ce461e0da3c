"""What a first `peepctl up` puts into an empty data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from peepctl.local_settings import UpSettings
from service_runtime.errors import StartError

FIRST_ADMINISTRATOR = "admin"
PASSWORD_OCTETS = 15  # of randomness, 20 characters


def make_directories(settings: UpSettings) -> None:
    """Make the data directory, closed to other users; raise StartError if the system refuses."""
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"PEEP_DATA_DIR={settings.data_dir}: cannot be made: {error.strerror}") from error


def make_administrator(path: Path) -> str | None:
    """Write one administrator with a random password to `path` unless it exists.

    Returns the pair `name:password` to be shown once, or None when there was nothing to do.
    """
    if path.exists():
        return None
    pair = f"{FIRST_ADMINISTRATOR}:{secrets.token_urlsafe(PASSWORD_OCTETS)}"
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{pair}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return pair
