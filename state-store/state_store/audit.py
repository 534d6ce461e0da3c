"""The audit: who has changed what, when, through which door, and from which value to which."""

import json
import os
import pwd
import secrets
import socket
from dataclasses import dataclass
from enum import Enum

ACT_REPEATED_SECONDS = 60
"""How long an act that is sent again, because its answer was lost, is recognised as the same one."""

SIGN_IN_NOTED_SECONDS = 3600
"""Sign-ins of one administrator from one network, by one door and token, make one entry in so long; so do all
refused sign-ins together."""

MOST_SIGN_INS = 20
"""How many sign-ins of one administrator by one door and token, and sign-outs, are entries in that time: more
than anybody needs, and too few to push other entries out."""

DEFAULT_DAYS = 365
DEFAULT_ENTRIES = 50_000

SETTINGS_CHANGED = "settings.change"
"""The action of a change of a setting; its object is a field of `records.Settings`."""


class Door(Enum):
    """The ways by which something is changed."""

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
    """The client's address; with `Door.MACHINE` the machine's name."""
    token: str = ""
    """The name of the API token that was used; empty without one."""

    def packed(self) -> str:
        """Return this actor as an argument of a script, for one act: every call stands for a new act."""
        return json.dumps([secrets.token_hex(8), self.name, self.door.value, self.address, self.token])


@dataclass(frozen=True, slots=True)
class Act:
    """An entry of the audit; ids grow with time."""

    act_id: str
    at: float
    """Seconds since the epoch, by the store's clock."""
    by: Actor
    action: str
    """Such as `user.add`, `settings.change`."""
    object: str
    """What was acted on; several names are separated by spaces."""
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted; an empty field matches all."""

    who: str = ""
    door: str = ""
    action: str = ""
    """An action, or the part before its dot; several, separated by spaces, match any of them."""
    object: str = ""
    """The whole object, or one of its words."""
    since: float | None = None
    """Seconds since the epoch; the entry at this time is wanted, that at `until` is not."""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, and the id at which the next page begins; empty when there are no more."""

    acts: list[Act]
    next_id: str


def on_this_machine(program: str = "") -> Actor:
    """Return the actor of a program's settings or, without one, of a command that somebody has typed here."""
    return Actor(program or _account(), Door.MACHINE, socket.gethostname())


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run under any number
        return f"uid {os.getuid()}"
