"""`/v1/health`: all checks, and their changes."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from state_api import errors
from state_api.dependencies import Reader, RepositoryDependency
from state_api.health_report import current_checks, worst
from state_api.health_schemas import Check, HealthChange, HealthChanges, HealthReport
from state_api.schemas import Moment
from state_api.times import time_of
from state_store import health
from state_store.health import HEALTH_CHANGES_KEPT

router = APIRouter(prefix="/v1/health", tags=["monitoring"], responses=errors.FOR_ADMINISTRATORS)

Since = Annotated[
    Moment | None,
    Query(description="RFC 3339, or seconds since the epoch; without it the oldest that is kept."),
]
Limit = Annotated[int, Query(ge=1, le=HEALTH_CHANGES_KEPT, description="At most so many, the newest.")]


@router.get("", summary="Show all checks of health")
async def show_health_report(repository: RepositoryDependency, _: Reader) -> HealthReport:
    """Certificates, Redis, the mail's disks, each process and the clocks, each with what to do."""
    checks = await current_checks(repository)
    return HealthReport(
        state=worst(checks).value,
        checks=[Check(**(asdict(one) | {"state": one.state.value})) for one in checks],
    )


@router.get("/changes", summary="Show which checks became bad, and well again")
async def list_health_changes(
    repository: RepositoryDependency, _: Reader, since: Since = None, limit: Limit = 100
) -> HealthChanges:
    """List the newest first. One state-api process checks every ten seconds, whether anybody asks or not.

    What two checks in a row have found is a change; changes at one moment are one for each check and state.
    The last 1,000 are kept. What changes while Redis is away, or no state-api runs, is noted afterwards.
    """
    changes = await repository.health_changes(since.timestamp() if since else 0.0, limit)
    return HealthChanges(changes=list(map(_change, changes)))


def _change(change: health.HealthChange) -> HealthChange:
    return HealthChange(
        at=time_of(change.at),
        name=change.name,
        subject=change.subject,
        state=change.state,
        text=change.text,
        count=change.count,
    )
