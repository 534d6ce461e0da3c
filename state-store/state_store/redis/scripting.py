"""The Lua scripts as Redis gets them: key names, figures, the prelude, then the script's own file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from state_store.credentials import attempts
from state_store.records import ACTIVITY_LENGTH, FRONT_END_SECONDS, LEASE_SECONDS, RENEWAL_SECONDS, Settings
from state_store.redis import keys

CLOCK_GRAIN_SECONDS = 1.0
"""The time when leases were last read is written down once a second."""

LONGEST_PAUSE_SECONDS = RENEWAL_SECONDS + 1.0
"""As long as an instance lives, leases are read at least this often."""

LARGEST_SPARE = 64
"""Connections beyond its open ones that an instance may hold slots for, to admit them without an exchange."""

_WITH_ALLOWANCES = {"begin_attempt", "end_attempt", "slow_downs", "lift_slow_down"}


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text, and the digest by which Redis knows it once it is loaded."""

    name: str
    text: str
    digest: str


def load_scripts() -> dict[str, Script]:
    """Return every script of the `scripts` folder by its name."""
    folder = resources.files("state_store.redis") / "scripts"
    head = keys.lua_names() + _figures() + (folder / "prelude.lua").read_text(encoding="utf-8")
    allowances = _figures_of_allowances() + (folder / "allowances.lua").read_text(encoding="utf-8")
    scripts = {}
    for file in folder.iterdir():
        name = file.name.removesuffix(".lua")
        if file.name.endswith(".lua") and name not in {"prelude", "allowances"}:
            text = head + (allowances if name in _WITH_ALLOWANCES else "") + file.read_text(encoding="utf-8")
            digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            scripts[name] = Script(name, text, digest)
    return scripts


def _figures() -> str:
    figures = {
        "LEASE_MS": int(LEASE_SECONDS * 1000),
        "FRONT_END_MS": int(FRONT_END_SECONDS * 1000),
        "CLOCK_GRAIN_MS": int(CLOCK_GRAIN_SECONDS * 1000),
        "LONGEST_PAUSE_MS": int(LONGEST_PAUSE_SECONDS * 1000),
        "KNOWN_MS": int(attempts.KNOWN_SECONDS * 1000),
        "KNOWN_REFRESH_MS": int(attempts.KNOWN_REFRESH_SECONDS * 1000),
        "KNOWN_NETWORKS": attempts.KNOWN_NETWORKS,
        "LARGEST_SPARE": LARGEST_SPARE,
        "ACTIVITY_LENGTH": ACTIVITY_LENGTH,
        "DEFAULT_MAX_CONNECTIONS": Settings().max_connections,
    }
    return _locals(figures)


def _figures_of_allowances() -> str:
    return _locals(
        {
            "BURST": attempts.BURST,
            "INTERVAL_MS": int(attempts.INTERVAL_SECONDS * 1000),
            "UNDER_CHECK_POLL_MS": int(attempts.UNDER_CHECK_POLL_SECONDS * 1000),
            "CHECK_MS": int(attempts.CHECK_SECONDS * 1000),
            "REFUSED_PASSWORDS": attempts.REFUSED_PASSWORDS,
            "REFUSED_MS": int(attempts.REFUSED_SECONDS * 1000),
            "EVENTS_OF_A_NETWORK": attempts.EVENTS_OF_A_NETWORK,
            "EVENTS_OF_A_NETWORK_MS": int(attempts.EVENTS_OF_A_NETWORK_SECONDS * 1000),
            "EVENTS_OF_ALL": attempts.EVENTS_OF_ALL,
            "EVENTS_OF_ALL_MS": int(attempts.EVENTS_OF_ALL_SECONDS * 1000),
            "UNTOLD_MS": int(attempts.UNTOLD_SECONDS * 1000),
            "SLOW_DOWNS": attempts.SLOW_DOWNS,
        }
    )


def _locals(figures: Mapping[str, int]) -> str:
    return "".join(f"local {name} = {value}\n" for name, value in figures.items())
