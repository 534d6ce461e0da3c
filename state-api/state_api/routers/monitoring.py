"""`/v1/counters`, `/v1/sessions`, `/v1/logged-in-users`: what operators watch."""

import time
from datetime import UTC, datetime

from fastapi import APIRouter

from state_api import schemas
from state_api.dependencies import Administrator, RepositoryDependency
from state_api.errors import STORE_UNAVAILABLE, UNAUTHENTICATED, problems
from state_store import records

router = APIRouter(prefix="/v1", tags=["monitoring"], responses=problems(UNAUTHENTICATED, STORE_UNAVAILABLE))


@router.get("/counters", operation_id="show_counters", summary="Show every counter and gauge")
async def show_counters(repository: RepositoryDependency, _: Administrator) -> schemas.Counters:
    """PEEP `rb?`, `re?`, `xe?`, `cc?`, `hc?`, `hu?` and how many lines `cu?` has, over all instances."""
    return schemas.Counters.model_validate(await repository.counters())


@router.get("/sessions", operation_id="list_sessions", summary="List the open POP3 connections")
async def list_sessions(repository: RepositoryDependency, _: Administrator) -> schemas.Sessions:
    """PEEP knows only their number (`cc?`). The oldest comes first, logged in or not."""
    now = time.time()
    return schemas.Sessions(sessions=[_shown(session, now) for session in await repository.sessions()])


@router.get("/logged-in-users", operation_id="list_logged_in_users", summary="List who is logged in")
async def list_logged_in_users(repository: RepositoryDependency, _: Administrator) -> schemas.LoggedInUsers:
    """PEEP `cu?`."""
    return schemas.LoggedInUsers(users=await repository.logged_in_users())


def _shown(session: records.Session, now: float) -> schemas.Session:
    return schemas.Session(
        id=session.session_id,
        instance=session.instance_id,
        username=session.username,
        address=session.address,
        connected_at=datetime.fromtimestamp(session.connected_at, UTC),
        # The clocks of two machines may differ a little.
        seconds=round(max(0.0, now - session.connected_at), 3),
    )
