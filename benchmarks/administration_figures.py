"""The figures of `administration.py`: plain data, and as tables."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """The figures of one kind of request."""

    request: str
    connections: int
    pipelined: int
    """Requests in flight per connection."""
    per_second: float
    per_cpu_second: float
    """Requests per second and core, by the CPU time of the front end and Valkey."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Listing:
    """The cost of `u?` with many users, and its effect on other sessions."""

    users: int
    octets: int
    seconds: float
    """From the command to the last octet of the reply."""
    cpu_seconds: float
    peak_growth_octets: int
    """The temporary growth of the gateway's memory."""
    longest_pause_ms: float
    """Latency of another session that repeats `cc?` meanwhile."""
    silent_growth_octets: int
    """The growth of the gateway's memory for a session that pipelines `u?` and reads nothing."""


@dataclass(frozen=True, slots=True)
class Administration:
    """Every figure of one run."""

    rates: list[Rate] = field(default_factory=list)
    listing: Listing | None = None

    def markdown(self) -> str:
        """Return the figures as tables."""
        lines = [
            "| request | connections | pipelined | a second | a second and core | p50 ms | p99 ms |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| `{rate.request}` | {rate.connections} | {rate.pipelined} | {rate.per_second:,.0f} "
                f"| {rate.per_cpu_second:,.0f} | {rate.p50_ms:.2f} | {rate.p99_ms:.2f} |"
                for rate in self.rates
            ),
        ]
        if self.listing is not None:
            lines += ["", _listing_row(self.listing)]
        return "\n".join(lines)


def _listing_row(listing: Listing) -> str:
    return (
        f"`u?` with {listing.users:,} users: {listing.seconds * 1000:.0f} ms, of CPU time "
        f"{listing.cpu_seconds * 1000:.0f} ms, for {listing.octets / 1e6:.1f} MB; the gateway's memory grows "
        f"by {listing.peak_growth_octets / 1e6:.1f} MB meanwhile, and another session's `cc?` waits "
        f"{listing.longest_pause_ms:.1f} ms at the longest; a session that pipelines `u?` and reads nothing "
        f"holds {listing.silent_growth_octets / 1e6:.1f} MB."
    )
