"""The Lua scripts as Redis gets them: key names, figures, prelude, then the script's own file."""

import hashlib
from dataclasses import dataclass
from importlib import resources

from state_store import attempts, keys, slots
from state_store.records import ACTIVITY_LENGTH, Settings
from state_store.repository import LEASE_SECONDS, RENEWAL_SECONDS

CLOCK_GRAIN_SECONDS = 1.0
"""How precisely it is remembered when leases were looked at last: it is written down once a second."""

LONGEST_PAUSE_SECONDS = RENEWAL_SECONDS + 1.0
"""As long as an instance lives, somebody looks at the leases at least so often."""


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text, and the digest by which Redis knows it once it is loaded."""

    name: str
    text: str
    digest: str


def load_scripts() -> dict[str, Script]:
    """Return every script of the `scripts` folder by its name."""
    folder = resources.files("state_store") / "scripts"
    head = keys.lua_names() + _figures() + (folder / "prelude.lua").read_text(encoding="utf-8")
    scripts = {}
    for file in folder.iterdir():
        name = file.name.removesuffix(".lua")
        if file.name.endswith(".lua") and name != "prelude":
            text = head + file.read_text(encoding="utf-8")
            digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            scripts[name] = Script(name, text, digest)
    return scripts


def _figures() -> str:
    figures = {
        "LEASE_MS": int(LEASE_SECONDS * 1000),
        "CLOCK_GRAIN_MS": int(CLOCK_GRAIN_SECONDS * 1000),
        "LONGEST_PAUSE_MS": int(LONGEST_PAUSE_SECONDS * 1000),
        "WINDOW_MS": int(attempts.WINDOW_SECONDS * 1000),
        "TICKET_MS": int(attempts.TICKET_SECONDS * 1000),
        "TURN_MS": int(attempts.TURN_SECONDS * 1000),
        "FREE_WRONG_PASSWORDS": attempts.FREE_WRONG_PASSWORDS,
        "LARGEST_SPARE": slots.LARGEST_SPARE,
        "ACTIVITY_LENGTH": ACTIVITY_LENGTH,
        "DEFAULT_MAX_CONNECTIONS": Settings().max_connections,
    }
    return "".join(f"local {name} = {value}\n" for name, value in figures.items())
