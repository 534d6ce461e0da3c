"""The content of the data directory before the first start of the services."""

import os
import pwd
from pathlib import Path

from peepctl.up.directory_lock import LOCK_FILE
from peepctl.up.settings import UpSettings
from service_runtime.errors import StartError
from state_store.credentials.administrators import FIRST_ADMINISTRATOR, new_password

READ, CHANGE, ENTER = os.R_OK, os.R_OK | os.W_OK, os.R_OK | os.W_OK | os.X_OK
NEEDED = {"": ENTER, LOCK_FILE: CHANGE, "redis": ENTER, "mail": ENTER, "admins": READ}
"""The content of a data directory, and the access to each part that a start needs."""


def make_directories(settings: UpSettings) -> None:
    """Create the data directory, closed to other users.

    Raises StartError if that fails, or if this user has no access to an existing one or to its content.
    """
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"PEEP_DATA_DIR={settings.data_dir}: cannot be created: {error.strerror}") from error
    for name, needed in NEEDED.items():
        path = settings.directory / name
        if path.exists() and not os.access(path, needed):
            owner, user = _user(path.stat().st_uid), _user(os.geteuid())
            raise StartError(
                f"PEEP_DATA_DIR={settings.data_dir}: {path} belongs to {owner}, and {user} has no access:"
                " start as its owner, or set another directory"
            )


def _user(number: int) -> str:
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def make_administrator(path: Path) -> str | None:
    """Write an administrator with a random password to `path`, unless that exists.

    Returns the pair `name:password` to show once, or None if the file exists.
    """
    if path.exists():
        return None
    pair = f"{FIRST_ADMINISTRATOR}:{new_password()}"
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{pair}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return pair
