"""The figures of `administration.py`: plain data, and as tables."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """What one kind of request came to."""

    request: str
    connections: int
    pipelined: int
    """Requests that each connection keeps under way."""
    per_second: float
    per_cpu_second: float
    """Requests a second and core: of the CPU time of front end and Valkey."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Listing:
    """What `u?` with many users comes to, and does to others."""

    users: int
    octets: int
    seconds: float
    """From the command to the last octet of the answer."""
    cpu_seconds: float
    peak_growth_octets: int
    """How much more memory the gateway had for a while."""
    longest_pause_ms: float
    """Of another session that asks `cc?` again and again meanwhile."""
    silent_growth_octets: int
    """How much more memory the gateway has for a session that pipelines `u?` and reads nothing."""


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
