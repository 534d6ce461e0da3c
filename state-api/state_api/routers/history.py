"""`/v1/history`: the main figures over time."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from state_api import errors
from state_api.dependencies import Reader, RepositoryDependency
from state_api.history_schemas import History, Series
from state_api.schemas import Moment
from state_store import history as past
from state_store.history import MOST_POINTS, Kind, Metric, Span

DEFAULT_SECONDS = 3600

router = APIRouter(prefix="/v1", tags=["monitoring"], responses=errors.FOR_ADMINISTRATORS)

Metrics = Annotated[
    list[Metric] | None,
    Query(alias="metric", description="May be given several times; all of them without it."),
]
Start = Annotated[
    Moment | None,
    Query(alias="from", description="RFC 3339, or seconds since the epoch; an hour before `to` without it."),
]
End = Annotated[
    Moment | None,
    Query(alias="to", description="RFC 3339, or seconds since the epoch; now without it."),
]
StepSeconds = Annotated[
    int | None,
    Query(
        ge=1,
        le=366 * 86_400,
        description="Seconds, rounded up to a multiple of the interval of the samples; without it the "
        "shortest that gives at most 1,500 steps.",
        examples=[60],
    ),
]


@router.get(
    "/history",
    summary="Show the history of the main figures",
    responses=errors.problems(errors.INVALID, errors.INVALID_SPAN),
)
async def show_history(
    repository: RepositoryDependency,
    _: Reader,
    metrics: Metrics = None,
    start: Start = None,
    end: End = None,
    step: StepSeconds = None,
) -> History:
    """PEEP `cc?`, `cu?`, `hc?`, `hu?`, `rb?`, `re?`, `xe?` as they were; refused passwords, latencies, load.

    There is a sample for every 10 seconds of the last hour, every minute of the last day, every hour of the
    last year. Where no POP3 process ran there is none.
    """
    now = time.time()
    ends = now if end is None else end.timestamp()
    starts = ends - DEFAULT_SECONDS if start is None else start.timestamp()
    span = Span.of(starts, ends, step or 0, now)
    if not 0 < span.points <= MOST_POINTS or starts >= ends:
        raise errors.Refused(errors.INVALID_SPAN)
    found = await repository.history(span)
    series = await asyncio.to_thread(_series, found, list(dict.fromkeys(metrics or Metric)))
    return History(step_seconds=span.step, times=found.times, series=series)


def _series(history: past.History, metrics: Sequence[Metric]) -> list[Series]:
    return [
        Series(
            metric=metric,
            kind=metric.kind.value,
            values=history.values(metric),
            rates=history.rates(metric) if metric.kind is Kind.COUNTER else None,
        )
        for metric in metrics
    ]
