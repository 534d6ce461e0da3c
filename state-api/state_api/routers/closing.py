"""`DELETE /v1/sessions`: many POP3 connections at once."""

import time
from ipaddress import ip_network
from typing import Annotated

import structlog
from fastapi import APIRouter, Query
from pydantic import AfterValidator

from state_api import errors, schemas
from state_api.confirmation import Confirmed
from state_api.dependencies import Helper, RepositoryDependency
from state_api.user_schemas import Username
from state_store.records import SessionRow
from state_store.refusals import Network, canonical_network, holds_everybody, is_in

MOST = 500
"""Sessions that one request closes, so that it is answered in time and its client can show progress."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/sessions", tags=["monitoring"], responses=errors.FOR_ADMINISTRATORS)

OfNetwork = Annotated[
    Annotated[str, AfterValidator(canonical_network)] | None,
    Query(description="Only from this address or network.", max_length=64, examples=["192.0.2.0/24"]),
]
OfUser = Annotated[Username | None, Query(description="Only this user's.")]
Idle = Annotated[
    int | None,
    Query(
        ge=1,
        le=10**9,
        description="Only those that have neither sent nor received anything for so many seconds.",
        examples=[600],
    ),
]


@router.delete(
    "",
    summary="Close the POP3 connections of a network or user, idle ones, or all",
    responses=errors.problems(errors.NEEDS_CONFIRMATION),
)
async def close_sessions(
    repository: RepositoryDependency,
    helper: Helper,
    network: OfNetwork = None,
    username: OfUser = None,
    idle_seconds: Idle = None,
    confirm: Confirmed = False,
) -> schemas.ClosedSessions:
    """Close at most 500, the oldest first, each as PEEP `k-` does: repeat the request while some are `left`.

    Each is an entry of the audit. A session has to match all filters. Without a filter, or with only a
    network that contains everybody, the request has to be confirmed.
    """
    held = None if network is None else ip_network(network)
    idle_since = None if idle_seconds is None else time.time() - idle_seconds
    sessions = await repository.sessions()
    meant = [one for one in sessions if _is_meant(one, held, username, idle_since)]
    is_of_all = username is None and idle_since is None and (held is None or holds_everybody(held))
    if is_of_all and not confirm:
        filtered = "no filter is given" if held is None else f"{network} holds everybody"
        why = f"closes all {len(meant)} sessions: {filtered}"
        raise errors.Refused(errors.NEEDS_CONFIRMATION, [schemas.FieldError(field="confirm", message=why)])
    asked = [one.session_id for one in meant[:MOST]]
    unclosed = await repository.close_sessions(asked, by=helper)
    closed = len(asked) - len(unclosed)
    log.info(
        "sessions closed by an administrator",
        administrator=helper.name,
        network=network,
        username=username,
        idle_seconds=idle_seconds,
        closed=closed,
        unclosed=len(unclosed),
    )
    return schemas.ClosedSessions(closed=closed, unclosed=unclosed, left=len(meant) - len(asked))


def _is_meant(
    session: SessionRow, network: Network | None, username: str | None, idle_since: float | None
) -> bool:
    """Return whether a session matches all filters; one of an earlier version never counts as idle."""
    return (
        (username is None or session.username == username)
        and (idle_since is None or 0.0 < session.active_at <= idle_since)
        and (network is None or is_in(session.address, network))
    )
