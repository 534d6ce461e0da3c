"""Who changes something, and through which door: what the audit knows of each act."""

import json
import secrets
from dataclasses import dataclass
from enum import Enum

ACT_REPEATED_SECONDS = 60
"""For so long an act that is carried out again, because its answer was lost, is known to be the same one."""

AUDIT_ENTRIES = 100_000
"""The audit keeps so many entries, the latest ones."""


class Door(Enum):
    """The ways in which something is changed."""

    PEEP = "peep"
    HTTP = "http"
    DASHBOARD = "dashboard"
    MACHINE = "machine"
    """A command on the machine itself, or the settings that a service was started with."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an administrator, or whoever started a program on the machine."""

    name: str
    door: Door
    address: str = ""
    """Where the client is; with `Door.MACHINE` the name of the machine."""
    token: str = ""
    """The name of the API token that was used; empty without one."""

    def packed(self) -> str:
        """Return this actor as the scripts take it, for one act: every call begins another act."""
        return json.dumps([secrets.token_hex(8), self.name, self.door.value, self.address, self.token])
