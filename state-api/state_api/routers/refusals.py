"""`/v1/refusals`: suspended users, banned and exempt networks."""

from ipaddress import ip_network
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Query, Request

from state_api import errors
from state_api import refusal_schemas as schemas
from state_api.confirmation import Confirmed
from state_api.dependencies import Administrator, Helper, Reader, RepositoryDependency
from state_api.errors import Refused
from state_api.routers.users import UsernamePath
from state_api.schemas import FieldError
from state_store.administrators import Role
from state_store.errors import UnknownRefusal, UnknownUser
from state_store.refusals import (
    MOST_FOR_HELPDESK,
    MOST_REFUSALS,
    NewRefusal,
    RefusalKind,
    RefusalOutcome,
    holds_everybody,
    is_in,
    refusal_id,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["refusals"], responses=errors.FOR_ADMINISTRATORS)

RefusalId = Annotated[str, Path(description="As the list shows it.", examples=["5f0c9e1b7a42"])]
Limit = Annotated[int, Query(ge=1, le=schemas.MAX_PAGE, description="Refusals a page.")]
After = Annotated[
    str, Query(max_length=schemas.MAX_TEXT, description="`next` of the page before; empty for the first one.")
]
OfKind = Annotated[RefusalKind | None, Query(description="Only those of this kind.")]
Text = Annotated[
    str,
    Query(
        max_length=schemas.MAX_TEXT,
        description="Only those with this in their subject, their reason, or the name of who has set them.",
    ),
]


@router.get("/refusals", summary="List suspensions, bans and exemptions")
async def list_refusals(
    repository: RepositoryDependency,
    _: Reader,
    kind: OfKind = None,
    text: Text = "",
    limit: Limit = schemas.DEFAULT_PAGE,
    after: After = "",
) -> schemas.RefusalPage:
    """Those in force, a page at a time. Slow-downs for wrong passwords are at `/v1/slow-downs`."""
    page = await repository.refusals(limit, after=after, kind=kind, text=text)
    return schemas.RefusalPage(
        refusals=list(map(schemas.shown, page.refusals)),
        next=page.next_after or None,
        counts=schemas.RefusalCounts(
            suspended=page.counts.suspended, banned=page.counts.banned, exempt=page.counts.exempt
        ),
    )


@router.post(
    "/refusals",
    summary="Suspend users, ban or exempt networks",
    responses=errors.problems(errors.NEEDS_CONFIRMATION, errors.TOO_LARGE),
)
async def set_refusals(
    body: schemas.NewRefusals,
    repository: RepositoryDependency,
    administrator: Administrator,
    confirm: Confirmed = False,
) -> schemas.RefusalsSet:
    """Answer once every live POP3 process applies them, at the latest after a second.

    By then the processes have ended the sessions of these users and networks, with the reason and without
    UPDATE. A ban or exemption of everybody, and a ban of your own address, have to be confirmed. Bans concern
    POP3 alone.
    """
    new = [one.stored() for one in body.refusals]
    if not confirm and (questions := _questions(new, administrator.address)):
        raise Refused(errors.NEEDS_CONFIRMATION, questions)
    done = await repository.refuse(new, by=administrator)
    for one, outcome in zip(new, done.outcomes, strict=True):
        _log(one, outcome, administrator.name)
    return schemas.RefusalsSet(
        results=[
            schemas.RefusalResult(
                id=refusal_id(one.kind, one.subject), kind=one.kind, subject=one.subject, outcome=outcome
            )
            for one, outcome in zip(new, done.outcomes, strict=True)
        ],
        is_obeyed=done.is_obeyed,
        ignorant=done.ignorant,
    )


@router.delete(
    "/refusals/{refusal_id}",
    summary="Lift a suspension, ban or exemption",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_REFUSAL),
)
async def lift_refusal(
    refusal_id: RefusalId, repository: RepositoryDependency, administrator: Administrator
) -> None:
    """Let a suspended user log in again at once, with the old password or one that was set since."""
    await repository.lift_refusal(refusal_id, by=administrator)
    log.info("refusal lifted", refusal=refusal_id, administrator=administrator.name)


@router.get(
    "/users/{username}/suspension",
    summary="Show why a user is suspended",
    responses=errors.problems(errors.UNKNOWN_REFUSAL),
)
async def show_suspension(
    username: UsernamePath, repository: RepositoryDependency, _: Reader
) -> schemas.Refusal:
    """404 if the user is not suspended."""
    found = await repository.suspension(username)
    if found is None:
        raise UnknownRefusal
    return schemas.shown(found)


@router.put(
    "/users/{username}/suspension",
    summary="Suspend a user",
    responses=errors.problems(errors.UNKNOWN_USER, errors.TOO_MANY_REFUSALS, errors.TOO_LARGE),
)
async def suspend_user(
    request: Request,
    username: UsernamePath,
    body: schemas.NewSuspension,
    repository: RepositoryDependency,
    helper: Helper,
) -> schemas.SuspensionSet:
    """End an open session with the reason; from now on logins with the right password get the reason too.

    Mail still arrives. The password stays, and so does the suspension when it is changed, or when the user is
    removed and added again.
    """
    new = body.of(username)
    role = request.state.proof.role
    most = MOST_REFUSALS if role is Role.ALL else MOST_FOR_HELPDESK
    done = await repository.refuse([new], by=helper, most=most)
    (outcome,) = done.outcomes
    _log(new, outcome, helper.name)
    match outcome:
        case RefusalOutcome.UNKNOWN_USER:
            raise UnknownUser
        case RefusalOutcome.FULL:
            raise Refused(errors.too_many_refusals(role))
        case RefusalOutcome.PAST:
            raise Refused(errors.INVALID, [FieldError(field="until", message="must be in the future")])
    return schemas.SuspensionSet(is_obeyed=done.is_obeyed, ignorant=done.ignorant)


@router.delete(
    "/users/{username}/suspension",
    summary="Lift a user's suspension",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_REFUSAL),
)
async def lift_suspension(username: UsernamePath, repository: RepositoryDependency, helper: Helper) -> None:
    """Let the user log in again at once."""
    await repository.lift_suspension(username, by=helper)
    log.info("suspension lifted", username=username, administrator=helper.name)


def _questions(new: list[NewRefusal], own_address: str) -> list[FieldError]:
    """Return what has to be confirmed, for each network that contains more than may be meant."""
    found = [
        FieldError(field=f"refusals.{number}.subject", message=why)
        for number, one in enumerate(new)
        if (why := _question(one, own_address))
    ]
    return found[: errors.MAX_FIELD_ERRORS]


def _question(one: NewRefusal, own_address: str) -> str:
    """Return what has to be confirmed about a refusal; empty if nothing."""
    if one.kind is RefusalKind.SUSPEND:
        return ""
    network = ip_network(one.subject)
    match one.kind:
        case RefusalKind.EXEMPT if holds_everybody(network):
            return "holds everybody: no ban counts any more, and nothing slows down who guesses passwords"
        case RefusalKind.BAN if holds_everybody(network):
            return "concerns everybody who is in no exempt network"
        case RefusalKind.BAN if is_in(own_address, network):
            return f"holds the address that you come from, {own_address}: no POP3 from there either"
    return ""


def _log(new: NewRefusal, outcome: RefusalOutcome, administrator: str) -> None:
    if outcome is RefusalOutcome.SET:
        log.info("refusal set", kind=new.kind.value, subject=new.subject, administrator=administrator)
