"""Administrators and API tokens, and what their roles allow."""

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_network

from state_store.refusals import is_in

MOST_ADMINISTRATORS = 1000
"""Administrators that are made while the services run; those of settings come on top."""

MOST_API_TOKENS = 1000

TOKEN_USE_SECONDS = 60
"""The last use of a token is written down at most this often."""


class Role(Enum):
    """What an administrator or an API token may do; each one includes those above it."""

    READ = "read"
    """See everything but secrets; change nothing."""
    HELPDESK = "helpdesk"
    """Help users: their passwords, suspensions, sessions, slow-downs and login records."""
    ALL = "all"

    def covers(self, demanded: "Role") -> bool:
        """Return whether this role is enough for what demands another."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(demanded)


@dataclass(frozen=True, slots=True)
class Administrator:
    """An administrator of PEEP and HTTP."""

    name: str
    role: Role
    password_hash: str = field(repr=False)
    """argon2id's."""
    role_given_by: str = ""
    """The id of the act that has given him this role; empty for the role he was made with."""

    @property
    def identity(self) -> str:
        """What is another one with each new password or role: a sign-in of another identity is over."""
        return f"{self.role.value} {self.password_hash} {self.role_given_by}".rstrip()


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token that programs use over HTTP instead of a name and a password."""

    name: str
    role: Role
    networks: tuple[str, ...] = ()
    """Where it may be used from; empty: anywhere."""
    ends_at: float = 0.0
    """Seconds since the epoch; 0: never."""
    made_at: float = 0.0
    made_by: str = ""
    used_at: float = 0.0
    """0: not yet. Up to `TOKEN_USE_SECONDS` late."""
    used_from: str = ""
    """The client's address at its last use."""

    def refusal(self, address: str, now: float) -> str:
        """Return why it does not serve this address at this time of the store; empty where it does."""
        if self.ends_at and now >= self.ends_at:
            return "has ended"
        if self.networks and not any(is_in(address, ip_network(network)) for network in self.networks):
            return "not for this network"
        return ""
