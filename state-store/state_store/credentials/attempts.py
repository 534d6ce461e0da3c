"""The rule for wrong passwords (P18): its figures, and what travels between the guard and the store."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

BURST = 20
"""So many wrong answers of an allowance come at once; a person's slips and a dozen of devices fit into it."""

INTERVAL_SECONDS = 3.0
"""After the burst an answer becomes free so often: 20 a minute, 28,800 a day."""

UNDER_CHECK_POLL_SECONDS = 0.1
"""Who waits while checks are under way asks again so soon: a right password gives its answer back."""

CHECK_SECONDS = 5.0
"""A check that has not ended for so long belonged to a process that is gone; nobody waits for its end."""

KNOWN_SECONDS = 30 * 86_400.0
"""A pair of user and network is known for so long after its last login."""

KNOWN_REFRESH_SECONDS = 86_400.0
"""So often at the most a login of a known pair is written down: all others cost the store no write."""

KNOWN_NETWORKS = 32
"""So many networks of one user are known, the latest ones: it bounds what a traveller takes of memory."""

REFUSED_PASSWORDS = 32
REFUSED_SECONDS = 900.0
"""So many refused passwords of one pair are recognised, for so long after each came last: devices ask
every few minutes, and what a guesser leaves behind shall not fill the memory."""

EVENTS_OF_A_NETWORK = 3
EVENTS_OF_A_NETWORK_SECONDS = 20.0
EVENTS_OF_ALL = 60
EVENTS_OF_ALL_SECONDS = 6.0
"""Events about wrong passwords: at most so many at once, then one in so many seconds. What is left out is
counted in the next one. A flood must not push logins out of what the store remembers."""

UNTOLD_SECONDS = 600.0
"""A network's refusals that no event has told are counted for so long."""

SLOW_DOWNS = 1000
"""So many slow-downs are remembered for operators, the latest ones."""

LONGEST_NAME_CHARACTERS = 128
"""A user's longest name. Clients may send longer ones, which belong to nobody."""

ADMINISTRATOR = "administrator"
USER = "user"


def subject(kind: str, name: str) -> str:
    """Return whose password is tried, as the store's keys have it: `user alice`, `administrator admin`.

    No user may have the name of an administrator's subject. A name longer than anybody's is a digest.
    """
    if len(name) > LONGEST_NAME_CHARACTERS:
        name = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind} {name}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One password that is tried for `subject` from a network."""

    subject: str
    network: str
    digest: str = field(default="", repr=False)
    """Keyed digest of the password, by which it is recognised when it comes again; empty: it cannot be."""
    is_trusted: bool = False
    """Whether its network is never slowed."""

    @property
    def allowances(self) -> tuple[str, str, str]:
        """Those that it may draw on: its pair's own, then its network's and its user's, which go together."""
        return (
            f"pair {self.network} {self.subject}",
            f"network {self.network}",
            f"user {self.subject}",
        )


class Verdict(Enum):
    """What the store says to an attempt."""

    GO = "go"
    """The password may be checked."""
    REPEATED = "repeated"
    """It was refused here lately: it is wrong, and counts as no new attempt."""
    WAIT = "wait"
    """An allowance is used up."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The store's answer to an attempt."""

    verdict: Verdict
    from_pair: bool = False
    """With GO: an answer was taken from the known pair's allowance, so a right password is answered."""
    from_network: bool = False
    """With GO: one was taken from those of the network and of the user, so a wrong one is answered too."""
    wait_seconds: float = 0.0
    """With WAIT: when it may ask again. 0: as soon as it is the first to wait for this allowance."""
    allowance: str = ""
    """With WAIT: which one it waits for."""
    refused_entry: str = field(default="", repr=False)
    """With GO: what the store remembers of the password if it is wrong, bound to the credential of now."""


class Outcome(Enum):
    """What became of a password that was allowed to be checked."""

    RIGHT = "right"
    WRONG = "wrong"
    UNCHECKED = "unchecked"
    """It could not be checked, or its client has gone before that."""
    UNANSWERED = "unanswered"
    """It was wrong, and there was nothing left of its network's allowance to say so."""


class RefusalReason(Enum):
    """Why a login's password was not taken: in logs, in metrics and in events."""

    WRONG_PASSWORD = "wrong password"  # noqa: S105
    UNKNOWN_USER = "unknown user"
    REPEATED = "wrong password again"
    SLOWED_DOWN = "slowed down"


@dataclass(frozen=True, slots=True)
class SlowDown:
    """An allowance that was used up, and is not whole again."""

    slow_down_id: str
    """What `lift_slow_down` takes: 12 hexadecimal digits."""
    network: str
    """Empty: all networks from which this user has not logged in lately."""
    user: str
    """Empty: everybody who has not logged in from this network lately."""
    is_administrator: bool
    """Whether `user` is the name of an administrator."""
    since: float
    """When the first attempt had to wait, in seconds since the epoch."""
    attempts: int
    """How many have had to wait since."""
    until: float
    """When the allowance is whole again, if nobody tries until then."""


def slow_down_id(allowance: str) -> str:
    """Return the name by which operators lift a slow-down."""
    return hashlib.sha1(allowance.encode(), usedforsecurity=False).hexdigest()[:12]


def slow_down(allowance: str, since: float, attempts: int, until: float) -> SlowDown:
    """Return what operators see of an allowance that was used up."""
    kind, _, rest = allowance.partition(" ")
    network, whose = "", ""
    if kind != "user":
        network, _, whose = rest.partition(" ")
    else:
        whose = rest
    whose_kind, _, name = whose.partition(" ")
    return SlowDown(
        slow_down_id(allowance), network, name, whose_kind == ADMINISTRATOR, since, attempts, until
    )


def ahead_flags(attempt: Attempt, ahead: Collection[str]) -> list[int]:
    """Return for each allowance of an attempt whether others wait for it already."""
    return [int(one in ahead) for one in attempt.allowances]
