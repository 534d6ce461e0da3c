"""How a POP3 process is, as it tells the store with each renewal of its lease."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one instance has measured of itself."""

    certificate_expires_at: float = 0.0
    """In seconds since the epoch; 0 without a certificate."""
    round_trip: float = 0.0
    """How many seconds the store took to answer the renewal."""
    loop_lag: float = 0.0
    """By how many seconds its event loop was late at the most, since it last told."""
