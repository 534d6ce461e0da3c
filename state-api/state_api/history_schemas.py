"""The bodies of responses about the history of the main figures."""

from typing import Literal

from pydantic import BaseModel, Field

from state_store.history import Metric


class Series(BaseModel):
    """One metric's figures, one for each of `times`; null where nothing is known."""

    metric: Metric
    kind: Literal["gauge", "counter", "quantile"] = Field(
        description="`gauge`: the largest seen in the step. `counter`: the counter at its end. "
        "`quantile`: of the durations in it, in seconds.",
        examples=["counter"],
    )
    values: list[int | float | None] = Field(examples=[[5120, 6144]])
    rates: list[float | None] | None = Field(
        description="By how much a counter has grown a second since the step before; null for other kinds.",
        examples=[[None, 102.4]],
    )


class History(BaseModel):
    """Figures of some metrics over a time, in equal steps."""

    step_seconds: int = Field(description="Which may be longer than was asked for.", examples=[10])
    times: list[float] = Field(
        description="Seconds since the epoch: when the last sample of each step was taken, or the step's end "
        "where there is none.",
        examples=[[1764233670.1, 1764233680.2]],
    )
    series: list[Series]
