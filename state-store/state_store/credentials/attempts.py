"""The rule for wrong passwords (P18): its figures, and the values that the guard and the store exchange."""

import hashlib
from dataclasses import dataclass, field
from enum import Enum

BURST = 20
"""The wrong answers that an allowance gives at once: enough for a person's slips and a dozen devices."""

INTERVAL_SECONDS = 3.0
"""After the burst, the time in which one more answer becomes free: 20 a minute, 28,800 a day."""

UNDER_CHECK_POLL_SECONDS = 0.1
"""How often a waiting attempt asks again while checks are under way: right passwords give answers back."""

CHECK_SECONDS = 5.0
"""A check that takes longer belonged to a process that is gone, and counts as ended."""

KNOWN_SECONDS = 30 * 86_400.0
"""How long a pair of user and network is known after its last login."""

KNOWN_REFRESH_SECONDS = 86_400.0
"""A login of a known pair is written down at most this often: most logins cost the store no write."""

KNOWN_NETWORKS = 32
"""The networks that are known of one user, the latest ones: bounds the memory that a traveller takes."""

REFUSED_PASSWORDS = 32
REFUSED_SECONDS = 900.0
"""How many refused passwords of one pair are recognised, and how long after each was last tried. Devices try
every few minutes; what a guesser leaves behind must not fill the memory."""

EVENTS_OF_A_NETWORK = 3
EVENTS_OF_A_NETWORK_SECONDS = 20.0
EVENTS_OF_ALL = 60
EVENTS_OF_ALL_SECONDS = 6.0
"""Activities about wrong passwords: at most so many at once, then one in so many seconds. Those left out are
counted in the next one. A flood must not push logins out of the activities that the store remembers."""

UNTOLD_SECONDS = 600.0
"""How long a network's refusals without an activity of their own are counted."""

SLOW_DOWNS = 1000
"""How many slow-downs are remembered for operators, the latest ones."""

LONGEST_NAME_OCTETS = 128
"""The longest name of a user. Clients may send longer ones, which belong to nobody, and which no line of `g?`
has room for."""

ADMINISTRATOR = "administrator"
USER = "user"
API_TOKEN = "token"  # noqa: S105 - a kind of subject


def subject(kind: str, name: str) -> str:
    """Return the subject of an attempt, as the store's keys have it: `user alice`, `administrator admin`.

    Users, administrators and API tokens of one name are different subjects. A name that is too long is given
    as a digest.
    """
    octets = name.encode("utf-8", "surrogatepass")
    if len(octets) > LONGEST_NAME_OCTETS:
        name = hashlib.sha256(octets).hexdigest()
    return f"{kind} {name}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A password that is tried for `subject` from a network."""

    subject: str
    network: str
    digest: str = field(default="", repr=False)
    """Keyed digest by which the password is recognised when it is tried again; empty: it cannot be."""
    is_trusted: bool = False
    """Whether its network is never slowed."""

    @property
    def allowances(self) -> tuple[str, str, str]:
        """The allowances it may draw on: its pair's, then those of network and user, which go together."""
        return (
            f"pair {self.network} {self.subject}",
            f"network {self.network}",
            f"user {self.subject}",
        )


class Verdict(Enum):
    """The store's verdict on an attempt."""

    GO = "go"
    """The password may be checked."""
    REPEATED = "repeated"
    """It was refused for this network lately: it is wrong, and counts as no new attempt."""
    WAIT = "wait"
    """An allowance is used up."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The store's answer to an attempt."""

    verdict: Verdict
    from_pair: bool = False
    """With GO: an answer was taken from the known pair's allowance: a right password is answered."""
    from_network: bool = False
    """With GO: one was taken from those of network and user: a wrong password is answered too."""
    wait_seconds: float = 0.0
    """With WAIT: after so long it may ask again. 0: once it is the first to wait for this allowance."""
    allowance: str = ""
    """With WAIT: the allowance it waits for."""
    refused_entry: str = field(default="", repr=False)
    """With GO: what the store remembers of the password if it is wrong, bound to the current credential."""


class Outcome(Enum):
    """The outcome of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    UNCHECKED = "unchecked"
    """It could not be checked, or its client has left before that."""
    UNANSWERED = "unanswered"
    """It was wrong, and its network's allowance had no answer left to say so."""


class RefusalReason(Enum):
    """Why a login was refused; used in logs, metrics, activities and users' records."""

    WRONG_PASSWORD = "wrong password"  # noqa: S105
    UNKNOWN_USER = "unknown user"
    REPEATED = "wrong password again"
    SLOWED_DOWN = "slowed down"
    IN_USE = "maildrop in use"
    TOO_SOON = "too soon"
    SUSPENDED = "suspended"
    BANNED = "banned"
    TLS_WANTED = "TLS wanted"
    MAILDROP_UNREADABLE = "maildrop unreadable"
    CONNECTION_LIMIT = "connection limit"
    """All slots, or all of the client's address, are taken: before a name is known."""


@dataclass(frozen=True, slots=True)
class SlowDown:
    """An allowance that was used up and is not whole again."""

    slow_down_id: str
    """What `lift_slow_down` takes: 12 hexadecimal digits."""
    network: str
    """Empty: all networks that this user has not logged in from lately."""
    user: str
    """Empty: all users who have not logged in from this network lately."""
    is_administrator: bool
    """Whether `user` is the name of an administrator, or the beginning of an API token's digest."""
    since: float
    """When the first attempt had to wait, in seconds since the epoch."""
    attempts: int
    """How many have had to wait since."""
    until: float
    """When the allowance is whole again if nobody tries until then, in seconds since the epoch."""


def slow_down_id(allowance: str) -> str:
    """Return the id by which operators lift a slow-down."""
    return hashlib.sha1(allowance.encode(), usedforsecurity=False).hexdigest()[:12]


def slow_down(allowance: str, since: float, attempts: int, until: float) -> SlowDown:
    """Return the slow-down of an allowance that was used up."""
    kind, _, rest = allowance.partition(" ")
    network, _, subject_text = ("", "", rest) if kind == USER else rest.partition(" ")
    subject_kind, _, name = subject_text.partition(" ")
    is_administrator = subject_kind in {ADMINISTRATOR, API_TOKEN}
    return SlowDown(slow_down_id(allowance), network, name, is_administrator, since, attempts, until)
