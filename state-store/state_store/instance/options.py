"""What a `LiveInstance` is made with: the process's description, its limits, and callbacks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from state_store.vitals import Vitals


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """What an instance registers, and the limits that hold over all instances; 0 is no limit."""

    host: str
    process_id: int
    version: str
    worker: int = 1
    """The process's number among those of one service."""
    layout: str = ""
    """How it finds a user's maildir: equal for all that live at a time."""
    mail_directory: str = ""
    """Announced to the store with each registration; empty: none is."""
    login_delay_seconds: int = 0
    """How long after a login its user cannot log in again (RFC 2449, section 6.5)."""
    max_connections_per_address: int = 0
    login_records_days: int = 365
    """How long users' records are kept; 0: there are none."""


async def _close_nothing(_suspended: Mapping[str, str]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class InstanceCallbacks:
    """What an instance calls in the process's event loop."""

    directory_fault: Callable[[str], Awaitable[str]]
    """Returns why the process cannot use a proposed mail directory; empty if it can."""
    settings_changed: Callable[[], None]
    lease_lapsed: Callable[[], None]
    """All sessions have to close: their locks may belong to another instance."""
    close_session: Callable[[str], None] = lambda _: None
    """An administrator wants a session closed, which may be another instance's."""
    vitals: Callable[[], Vitals] = Vitals
    """Returns how the process is; called at the start and with each renewal of the lease."""
    refusals_changed: Callable[[Mapping[str, str]], Awaitable[None]] = _close_nothing
    """Networks may be banned now. Takes sessions whose user is suspended, by id, with the reason."""
    is_trusted: Callable[[str], bool] = lambda _: False
    """Returns whether a client's address is never banned, whatever operators set."""
