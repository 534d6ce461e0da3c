"""`DELETE /v1/sessions`: many POP3 connections at once."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Query
from pydantic import AfterValidator

from state_api import errors, schemas
from state_api.confirmation import Confirmed
from state_api.dependencies import Helper, RepositoryDependency
from state_api.user_schemas import Username
from state_store.records import SessionRow
from state_store.refusals import canonical_network, holds_everybody, is_in

MOST = 500
"""Sessions that one request closes: it is answered while a client still waits, and shows how far it is."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(
    prefix="/v1/sessions",
    tags=["monitoring"],
    responses=errors.problems(errors.UNAUTHENTICATED, errors.INVALID, errors.STORE_UNAVAILABLE),
)

OfNetwork = Annotated[
    Annotated[str, AfterValidator(canonical_network)] | None,
    Query(description="Only from this address or network.", max_length=64, examples=["192.0.2.0/24"]),
]
OfUser = Annotated[Username | None, Query(description="Only this user's.")]


@router.delete(
    "",
    operation_id="close_sessions",
    summary="Close the POP3 connections of a network or user, or all",
    responses=errors.problems(errors.NEEDS_CONFIRMATION),
)
async def close_sessions(
    repository: RepositoryDependency,
    helper: Helper,
    network: OfNetwork = None,
    username: OfUser = None,
    confirm: Confirmed = False,
) -> schemas.ClosedSessions:
    """Close at most 500, the oldest first, each as PEEP `k-` does: repeat it while some are `left`.

    Each is an entry of the audit. Without a filter, or with a network of everybody, it has to be confirmed.
    """
    meant = [one for one in await repository.sessions() if _is_meant(one, network, username)]
    is_of_all = username is None and (network is None or holds_everybody(network))
    if is_of_all and not confirm:
        filtered = "no network and no user is given" if network is None else f"{network} holds everybody"
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
        closed=closed,
        unclosed=len(unclosed),
    )
    return schemas.ClosedSessions(closed=closed, unclosed=unclosed, left=len(meant) - len(asked))


def _is_meant(session: SessionRow, network: str | None, username: str | None) -> bool:
    return (username is None or session.username == username) and (
        network is None or is_in(session.address, network)
    )
