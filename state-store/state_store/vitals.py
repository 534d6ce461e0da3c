"""How a POP3 process is, as it tells the store with each renewal of its lease (D99)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one instance has measured of itself. It is kept in the instance's hash, by these names."""

    told_at: float = 0.0
    """By its machine's clock, in seconds since the epoch."""
    certificate_expires_at: float = 0.0
    """In seconds since the epoch; 0 without a certificate."""
    round_trip: float = 0.0
    """How many seconds the store took to answer the renewal."""
    loop_lag: float = 0.0
    """By how many seconds its event loop was late at the most, since it last told."""
    threads: int = 0
    is_draining: int = 0
    """1 once it was asked to stop."""
    disk_look: float = 0.0
    """How many seconds the last look at the mail directory took, or has taken so far."""
    disk_fault: str = ""
    """Why the mail directory cannot be looked at; empty when it can."""
    disk_octets: int = 0
    """Of the file system; 0 while nothing is known."""
    disk_free: int = 0
    disk_inodes: int = 0
    """0 also on file systems that make them when they are needed."""
    disk_free_inodes: int = 0

    @classmethod
    def told(cls, row: Mapping[str, str]) -> Self | None:
        """Return those of an instance's hash; None before the first. Older versions tell none."""
        if "told_at" not in row:
            return None
        defaults = asdict(cls())
        return cls(**{name: type(defaults[name])(row[name]) for name in defaults if name in row})
