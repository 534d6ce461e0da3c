"""`/v1/slow-downs`: who has to wait for wrong passwords (P18), and an end to it."""

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path

from state_api import schemas
from state_api.dependencies import Administrator, RepositoryDependency
from state_api.errors import (
    STORE_UNAVAILABLE,
    TOO_MANY_ATTEMPTS,
    UNAUTHENTICATED,
    UNKNOWN_SLOW_DOWN,
    problems,
)
from state_store.credentials import attempts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(
    prefix="/v1/slow-downs",
    tags=["monitoring"],
    responses=problems(UNAUTHENTICATED, TOO_MANY_ATTEMPTS, STORE_UNAVAILABLE),
)

SlowDownId = Annotated[str, Path(description="As the list shows it.", examples=["5f0c9e1b7a42"])]


@router.get("", operation_id="list_slow_downs", summary="List who is slowed down for wrong passwords")
async def list_slow_downs(repository: RepositoryDependency, _: Administrator) -> schemas.SlowDowns:
    """PEEP `g?`. Strangers share the allowances of their network and of their user.

    Who has logged in from a network lately has one there for themselves alone.
    """
    return schemas.SlowDowns(slow_downs=[_shown(one) for one in await repository.slow_downs()])


@router.delete(
    "/{slow_down_id}",
    operation_id="lift_slow_down",
    summary="Lift a slow-down",
    status_code=204,
    responses=problems(UNKNOWN_SLOW_DOWN),
)
async def lift_slow_down(
    slow_down_id: SlowDownId, repository: RepositoryDependency, administrator: Administrator
) -> None:
    """PEEP `g-`. Its allowance is whole at once; who goes on guessing uses it up again."""
    await repository.lift_slow_down(slow_down_id)
    log.info("slow-down lifted", slow_down=slow_down_id, administrator=administrator)


def _shown(one: attempts.SlowDown) -> schemas.SlowDown:
    return schemas.SlowDown(
        id=one.slow_down_id,
        network=one.network or None,
        username=one.user or None,
        is_administrator=one.is_administrator,
        since=datetime.fromtimestamp(one.since, UTC),
        attempts=one.attempts,
        until=datetime.fromtimestamp(one.until, UTC),
    )
