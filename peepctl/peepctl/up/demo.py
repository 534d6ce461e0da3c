"""The demo user and its sample mail, for the first `peepctl up`."""

import os
import shutil
import socket
import time
from importlib import resources
from pathlib import Path

from service_runtime.errors import StartError
from service_runtime.maildir_layout import MaildirLayout
from state_store.audit import on_this_machine
from state_store.credentials.passwords import Passwords
from state_store.errors import StateError, UserExists
from state_store.repository import StateRepository

DEMO_USER = "demo"
DEMO_USER_WITH_DOMAIN = "demo@example.org"
DEMO_PASSWORD = "demo"  # noqa: S105 - as public as the samples


def demo_user(layout: MaildirLayout) -> str:
    """Return the demo user's name: `demo`, with a domain if `layout` needs one."""
    return DEMO_USER if layout.folder_of(DEMO_USER) is not None else DEMO_USER_WITH_DOMAIN


def demo_maildir(mail_directory: Path, layout: MaildirLayout) -> Path:
    """Return the demo user's maildir under `mail_directory`."""
    folder = layout.folder_of(demo_user(layout))
    assert folder is not None, "one of the two names has a maildir in any layout"
    return mail_directory / folder


async def add_demo_user(redis_url: str, username: str) -> None:
    """Add the POP3 user `username` with the password `demo`, unless it exists.

    Raises StartError if the server at `redis_url` cannot serve Peep.
    """
    repository = StateRepository(redis_url)
    passwords = Passwords()
    try:
        await repository.prepare()
        credential = await passwords.new_credential(DEMO_PASSWORD)
        await repository.add_user(username, credential, by=on_this_machine("peepctl up"))
    except UserExists:
        return
    except StateError as error:
        raise StartError(f"the store cannot be used: {error}") from error
    finally:
        passwords.close()
        await repository.close()


def make_mail_directory(mail_directory: Path, layout: MaildirLayout) -> int:
    """Create `mail_directory` with the samples, or not at all; return the number of samples."""
    unfinished = mail_directory.with_name(f"{mail_directory.name}.{os.getpid()}")
    try:
        number = deliver_samples(demo_maildir(unfinished, layout))
        unfinished.rename(mail_directory)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return number


def deliver_samples(maildir: Path) -> int:
    """Create `maildir`, deliver the samples to it, and return their number.

    Each is written to `tmp` and renamed into `new`, as Maildir demands: no reader sees half a message.
    """
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = resources.files("peepctl.up") / "samples"
    samples = sorted(folder.iterdir(), key=lambda entry: entry.name)
    delivered_at = int(time.time())
    for number, sample in enumerate(samples, 1):
        name = f"{delivered_at}.M{number:06}P{os.getpid()}Q{number}.{_host_name()}"
        (maildir / "tmp" / name).write_bytes(sample.read_bytes())
        (maildir / "tmp" / name).rename(maildir / "new" / name)
    return len(samples)


def _host_name() -> str:
    # As Maildir specifies: these two characters would end the field or the name.
    return socket.gethostname().replace("/", "\\057").replace(":", "\\072")
