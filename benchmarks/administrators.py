"""PEEP and HTTP as a section of the report: the measurements of `administration.py`."""

from dataclasses import asdict

import administration
from administration_figures import Administration
from ratios import figure
from sections import Json, Options, Section, SectionResult

_QUICK_SECONDS = 1.0
_GOAL_A_SECOND = 10_000
_GOAL_P99_MS = 10
_GOAL_CONNECTIONS = 64


def measure(options: Options) -> SectionResult:
    """Measure the gateway and state-api, and return their tables."""
    options.progress.say("PEEP and HTTP: about a minute for each second of a figure")
    found = (
        administration.measure(seconds=_QUICK_SECONDS, users=administration.QUICK_USERS)
        if options.is_quick
        else administration.measure(seconds=options.seconds)
    )
    return SectionResult(_goal(found) + "\n" + found.markdown() + "\n", _figures(found))


def _goal(found: Administration) -> str:
    (rate,) = (
        rate
        for rate in found.rates
        if (rate.request, rate.connections, rate.pipelined) == ("cc?", _GOAL_CONNECTIONS, 1)
    )
    return (
        f"`cc?` over {_GOAL_CONNECTIONS} connections, each waiting for its answer: "
        f"{figure(rate.per_cpu_second)} a second and core (goal {_GOAL_A_SECOND:,}), "
        f"p99 {figure(rate.p99_ms)} ms (goal {_GOAL_P99_MS}).\n"
    )


def _figures(found: Administration) -> dict[str, Json]:
    rates: list[Json] = [asdict(rate) for rate in found.rates]
    listing: Json = asdict(found.listing) if found.listing is not None else None
    return {"rates": rates, "listing": listing}


SECTION = Section("administrators", "PEEP and HTTP", measure)
