"""Repairs of the embedded server's file are in the audit as soon as that server runs again."""

import json
from pathlib import Path

from state_store.audit import Actor, Door, on_this_machine
from state_store.errors import StateError
from state_store.repository import StateRepository

FILE = "repairs-to-note"
"""In the data directory: a line for each repair that is in no audit yet."""


def remember(directory: Path, lost: str, copy: Path) -> None:
    """Write down that the file was repaired, by whom, and what was lost."""
    by = on_this_machine()
    line = json.dumps([by.name, by.address, str(copy), lost])
    with (directory / FILE).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


async def note(directory: Path, redis_url: str) -> None:
    """Have in the audit what was written down. What cannot be noted now is noted at the next start."""
    path = directory / FILE
    if not path.exists():
        return
    repository = StateRepository(redis_url)
    try:
        for line in path.read_text("utf-8").splitlines():
            name, address, copy, lost = json.loads(line)
            by = Actor(name, Door.MACHINE, address)
            await repository.note_elsewhere("store.repair", copy, lost, "", by=by)
        path.unlink()
    except (StateError, OSError, ValueError):
        return
    finally:
        await repository.close()
