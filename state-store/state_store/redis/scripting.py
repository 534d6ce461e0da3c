"""The Lua scripts as Redis gets them: prelude and the script's own file, with keys and figures written in."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from state_store.activities import ACTIVITY_LENGTH
from state_store.administrators import MOST_ADMINISTRATORS, MOST_API_TOKENS, TOKEN_USE_SECONDS
from state_store.audit import (
    ACT_REPEATED_SECONDS,
    DEFAULT_DAYS,
    DEFAULT_ENTRIES,
    MOST_SIGN_INS,
    SIGN_IN_NOTED_SECONDS,
)
from state_store.credentials import attempts
from state_store.health import HEALTH_CHANGES_KEPT, HEALTH_TURN_SECONDS
from state_store.history import RINGS
from state_store.records import FRONT_END_SECONDS, LEASE_SECONDS, RENEWAL_SECONDS, Settings
from state_store.redis import keys
from state_store.refusals import REFUSALS_A_PAGE
from state_store.user_records import GROUPS

CLOCK_GRAIN_SECONDS = 1.0
"""The time when leases were last read is written down once a second."""

LONGEST_PAUSE_SECONDS = RENEWAL_SECONDS + 1.0
"""As long as an instance lives, leases are read at least this often."""

LARGEST_SPARE = 64
"""Connections beyond its open ones that an instance may hold slots for, to admit them without an exchange."""

ACTIVITIES_OF_AN_ENTRY = 32
"""Logins and logouts that share an entry of the stream, at most. The stream is trimmed by entries, so this
bounds how much it keeps."""

AUDIT_LOOKED_AT = 250
"""Entries of the audit that one script looks at: it holds Redis up for some two milliseconds."""

LOCKS_LOOKED_AT = 250
"""Locks of maildrops that one script looks at: it holds Redis up for a quarter of a millisecond."""

ACTIVITY_PAGE = 50
"""Entries of the stream that are read at once."""

MOST_NAMES_SORTED = 1000
"""Of so many logged-in users an overview reads all names, to show the first; of more it takes any."""

MOST_NOTES_OCTETS = 10_000_000
"""Notes of users that wait, at most. Instances take them at half of it, and eight of them that serve as
many logins as they can take over a minute to fill the rest."""

_PARTS = ("times", "audit", "allowances", "acts", "claims", "refusals", "credentials", "user_notes", "pieces")
"""Lua that stands at the head of the scripts, and of the later of these, that call one of its functions."""

_NAME = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
"""What may be the name of a key or figure. To search for each of them took four times as long."""

_FUNCTION = re.compile(r"local function (\w+)")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text, and the digest by which Redis knows it once it is loaded."""

    name: str
    text: str
    digest: str


@cache
def load_scripts() -> Mapping[str, Script]:
    """Return every script of the `scripts` folder by its name."""
    constants = keys.lua_literals() | _figures()
    texts = {
        # Not as locals: a tenth of what an exchange costs was to make and close over eighty of them.
        file.name.removesuffix(".lua"): _NAME.sub(
            lambda found: constants.get(found[0], found[0]), file.read_text(encoding="utf-8")
        )
        for file in (resources.files("state_store.redis") / "scripts").iterdir()
        if file.name.endswith(".lua")
    }
    prelude = texts.pop("prelude")
    parts = [(_functions(text), text) for text in map(texts.pop, _PARTS)]
    scripts = {}
    for name, own in texts.items():
        called, text = set(_WORD.findall(own)) - _functions(own), own
        for functions, part in reversed(parts):
            if functions & called:
                called |= set(_WORD.findall(part))
                text = part + text
        text = prelude + text
        scripts[name] = Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return MappingProxyType(scripts)


def _functions(text: str) -> set[str]:
    """Return the names of the functions that a Lua text defines."""
    return set(_FUNCTION.findall(text))


def _figures() -> dict[str, str]:
    """Return figures as they stand in Lua: `X_SECONDS` as `X_MS`, in milliseconds; all others as they are."""
    figures: dict[str, float] = {
        "LEASE_SECONDS": LEASE_SECONDS,
        "FRONT_END_SECONDS": FRONT_END_SECONDS,
        "CLOCK_GRAIN_SECONDS": CLOCK_GRAIN_SECONDS,
        "LONGEST_PAUSE_SECONDS": LONGEST_PAUSE_SECONDS,
        "LARGEST_SPARE": LARGEST_SPARE,
        "ACTIVITY_LENGTH": ACTIVITY_LENGTH,
        "ACTIVITIES_OF_AN_ENTRY": ACTIVITIES_OF_AN_ENTRY,
        "LOCKS_LOOKED_AT": LOCKS_LOOKED_AT,
        "ACTIVITY_PAGE": ACTIVITY_PAGE,
        "MOST_ADMINISTRATORS": MOST_ADMINISTRATORS,
        "MOST_API_TOKENS": MOST_API_TOKENS,
        "TOKEN_USE_SECONDS": TOKEN_USE_SECONDS,
        "ACT_REPEATED_SECONDS": ACT_REPEATED_SECONDS,
        "AUDIT_ENTRIES": DEFAULT_ENTRIES,
        "AUDIT_DAYS": DEFAULT_DAYS,
        "AUDIT_LOOKED_AT": AUDIT_LOOKED_AT,
        "SIGN_IN_NOTED_SECONDS": SIGN_IN_NOTED_SECONDS,
        "MOST_SIGN_INS": MOST_SIGN_INS,
        "HEALTH_CHANGES_KEPT": HEALTH_CHANGES_KEPT,
        "HEALTH_TURN_SECONDS": HEALTH_TURN_SECONDS,
        "MOST_NAMES_SORTED": MOST_NAMES_SORTED,
        "MOST_NOTES_OCTETS": MOST_NOTES_OCTETS,
        "USER_GROUPS": GROUPS,
        "REFUSALS_A_PAGE": REFUSALS_A_PAGE,
        "DEFAULT_MAX_CONNECTIONS": Settings().max_connections,
    }
    figures |= {name: value for name, value in vars(attempts).items() if isinstance(value, int | float)}
    literals = {}
    for name, value in figures.items():
        unit = 1000 if name.endswith("_SECONDS") else 1
        literals[name.replace("_SECONDS", "_MS")] = f"{value * unit:.0f}"
    rings = (f"{{{ring.step}, {ring.length}}}" for ring in RINGS)
    return literals | {"HISTORY_RINGS": f"{{{', '.join(rings)}}}"}
