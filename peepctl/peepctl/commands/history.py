"""`history`, `health`: the main figures over time, and the checks of health."""

import csv
import enum
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from peepctl.http_api import ApiError, ApiWrongLogin
from peepctl.moments import local_second, span
from peepctl.options import AsJson, complain, connected
from peepctl.output import amount, duration, say, say_json, say_table
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings
from peepctl.sparkline import blocks_for, sparkline, thinned

MONITORING_SECONDS = 5.0
"""Monitoring systems end a plug-in after ten seconds or so."""

MOST_CHANGES = 1000
"""As many as are kept."""

PLOTTED = 40
"""Blocks of a sparkline, at most."""


class Form(enum.Enum):
    """How the history is printed."""

    LINES = "lines"
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class Health(enum.IntEnum):
    """The exit codes of `health`, as plug-ins of monitoring systems have them."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def _seconds(text: str) -> int:
    """Return a time span in seconds, as `moments.span` reads it; one of nothing is refused."""
    seconds = span(text)
    if not seconds:
        raise typer.BadParameter("must be a number and a unit: 30m, 24h, 7d, 1y")
    return seconds


def _moment(text: str) -> float:
    """Return a time such as `2026-11-29T03:00`, here where no zone is given, in seconds since the epoch."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter("must be a time: 2026-11-29T03:00, or with a zone: ...+01:00") from None


Metrics = Annotated[
    list[str] | None,
    typer.Argument(metavar="METRIC", help="Only these; all of them without it.", show_default=False),
]
Last = Annotated[int, typer.Option(metavar="SPAN", parser=_seconds, help="How far back: 30m, 24h, 7d, 1y.")]
To = Annotated[
    float | None,
    typer.Option(
        "--to", metavar="TIME", parser=_moment, help="When it ends: 2026-11-29T03:00.", show_default="now"
    ),
]
Step = Annotated[
    int | None,
    typer.Option(metavar="SPAN", parser=_seconds, help="Between two figures: 10s, 1m, 1h, 1d."),
]
Format = Annotated[Form, typer.Option("--format", help="How it is printed.")]


@connected
def history(
    server: Server,
    metrics: Metrics = None,
    last: Last = "1h",  # type: ignore[assignment]
    until: To = None,
    step: Step = None,
    form: Format = Form.LINES,
    as_json: AsJson = False,
) -> None:
    """Show connections, users, messages, octets, latencies and load over time.

    There are figures for every 10 seconds of the last hour, every minute of the last day, every hour of the
    last year. Counters are shown as their growth a second. It talks to the HTTP API.
    """
    ends = time.time() if until is None else until
    query = [
        ("from", f"{ends - last:.3f}"),
        ("to", f"{ends:.3f}"),
        *(("metric", one) for one in metrics or ()),
    ]
    if step is not None:
        query.append(("step", str(step)))
    elif form is Form.LINES and not as_json:
        query.append(("step", str(max(1, last // (PLOTTED - 2)))))  # as steps begin at round times
    with server.api() as api:
        told = api.get(f"/v1/history?{urlencode(query)}")
    if as_json or form is Form.JSON:
        say_json(told)
    elif form is Form.LINES:
        _say_lines(told)
    else:
        rows = [("time", *(series["metric"] for series in told["series"])), *_rows(told)]
        if form is Form.CSV:
            csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
        else:
            say_table([cell.upper() for cell in rows[0]], rows[1:])


@connected
def health(
    server: Server,
    changes: Annotated[
        int | None,
        typer.Option(
            "--changes",
            metavar="SPAN",
            parser=_seconds,
            help="Show which checks became bad, and well again, within 24h, 7d, 1y.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show all checks of health, certificates too, and what to do.

    The exit code is for monitoring systems: 0 ok, 1 warning, 2 critical or unreachable, 3 wrong login
    or settings. It talks to the HTTP API.
    """
    if changes is not None:
        return _say_changes(server, changes, as_json=as_json)
    try:
        with server.api(MONITORING_SECONDS) as api:
            told = api.get("/v1/health")
    except (ApiWrongLogin, WrongSettings) as error:
        complain(f"UNKNOWN: {server.explain(error)[1]}")
        return Health.UNKNOWN
    except ApiError as error:
        complain(f"CRITICAL: {server.explain(error)[1]}")
        return Health.CRITICAL
    if as_json:
        say_json(told)
    else:
        _say_checks(told)
    return Health[told["state"].upper()]


def _say_checks(told: dict[str, Any]) -> None:
    order = ["critical", "warning", "unknown", "ok"]
    checks = sorted(told["checks"], key=lambda check: order.index(check["state"]))
    bad = [check for check in checks if check["state"] == told["state"] != "ok"]
    # Monitoring systems show the first line.
    what = "; ".join(f"{_where(check)}: {check['text']}" for check in bad) or f"{len(checks)} checks"
    say(f"{told['state'].upper()}: {what}")
    say_table(
        ("STATE", "WHAT", "WHERE", "HOW IT IS", "WHAT TO DO"),
        [
            (check["state"], check["name"], check["subject"] or "-", check["text"], check["advice"])
            for check in checks
        ],
    )


def _say_changes(server: Server, span_seconds: int, *, as_json: bool) -> Exit:
    query = urlencode({"since": f"{max(0.0, time.time() - span_seconds):.3f}", "limit": MOST_CHANGES})
    with server.api() as api:
        told = api.get(f"/v1/health/changes?{query}")
    if as_json:
        say_json(told)
        return Exit.DONE
    say_table(
        ("TIME", "STATE", "WHAT", "WHERE", "HOW IT WAS"),
        [
            (local_second(one["at"]), one["state"], one["name"], _place(one), one["text"])
            for one in reversed(told["changes"])
        ],
    )
    return Exit.DONE


def _place(change: dict[str, Any]) -> str:
    others = change["count"] - 1
    return (change["subject"] or "-") + (f" and {others:,} more" if others else "")


def _where(check: dict[str, str]) -> str:
    return f"{check['name']} {check['subject']}".rstrip()


def _figures(series: dict[str, Any]) -> list[float | None]:
    """Return what people want to see: of counters the rates."""
    figures: list[float | None] = series["values" if series["rates"] is None else "rates"]
    return figures


def _rows(told: dict[str, Any]) -> list[tuple[str, ...]]:
    columns = [_figures(series) for series in told["series"]]
    times = [datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") for at in told["times"]]
    return [
        (at, *("" if figure is None else f"{figure:g}" for figure in figures))
        for at, *figures in zip(times, *columns, strict=True)
    ]


def _say_lines(told: dict[str, Any]) -> None:
    rows, blocks = [], blocks_for(sys.stdout.encoding)
    for series in told["series"]:
        known = [figure for figure in _figures(series) if figure is not None]
        words = (
            [_in_words(series, figure) for figure in (min(known), max(known), known[-1])]
            if known
            else ["-"] * 3
        )
        line = sparkline(thinned(_figures(series), PLOTTED), PLOTTED, blocks)
        rows.append((series["metric"], *words, line))
    say_table(("METRIC", "LEAST", "MOST", "LAST", "OVER TIME"), rows)
    say(f"each figure is of {duration(told['step_seconds'])}; where there is no block there is no figure")


def _in_words(series: dict[str, Any], figure: float) -> str:
    if series["metric"].endswith("_seconds"):
        return f"{figure * 1000:,.1f} ms"
    text = (
        amount(figure)
        if series["metric"] == "retrieved_bytes"
        else f"{figure:,.3g}"
        if figure < 1000
        else f"{figure:,.0f}"
    )
    return text if series["rates"] is None else f"{text}/s"
