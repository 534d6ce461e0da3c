"""`/v1/audit`: who has done what, and the undoing of a setting's change."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from state_api import audit_schemas, errors, schemas
from state_api.audit_export import MEDIA_TYPES, lines, shown, wanted_format
from state_api.audit_schemas import Format
from state_api.confirmation import Confirmed, require_confirmation
from state_api.dependencies import Administrator, Reader, RepositoryDependency, Services, ServicesDependency
from state_api.routers.settings import TAGGED, in_answer
from state_store.audit import Act, Page
from state_store.errors import NotUndoable, SettingsChanged
from state_store.repository import StateRepository
from state_store.repository.settings import is_undoable

POLL_SECONDS = 0.5
"""How often a request that waits asks for new entries."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=errors.FOR_ADMINISTRATORS)

ActId = Annotated[audit_schemas.ActId, Path(description="As the list shows it.")]


@router.get(
    "",
    summary="Show who has done what",
    response_model=audit_schemas.Acts,
    responses={
        200: {
            "description": "A page; or, as JSON lines or CSV, a file of every entry that is asked for, the "
            "oldest first: all before `before` or after `after`, and with `limit` those of that page.",
            "headers": {"Link": {"description": "To the next page.", "schema": {"type": "string"}}},
            "content": {MEDIA_TYPES[Format.JSON_LINES]: {}, MEDIA_TYPES[Format.CSV]: {}},
        }
    },
)
async def list_acts(
    request: Request,
    response: Response,
    services: ServicesDependency,
    _: Reader,
    query: Annotated[audit_schemas.Query, Query()],
) -> Response | audit_schemas.Acts:
    """List every change through any door, and every sign-in of an administrator, the newest first.

    Sign-ins of one administrator from one network by PEEP or HTTP make one entry an hour; so do all refused
    sign-ins together.
    """
    form = wanted_format(query.format, request.headers.get("Accept", ""))
    if form is not Format.JSON:
        name = {"Content-Disposition": f'attachment; filename="audit.{form.value}"'}
        rows = lines(_acts_of_file(services, query), form)
        return StreamingResponse(rows, headers=name, media_type=MEDIA_TYPES[form])
    page = await _page(services, query)
    if query.after is None and page.next_id:
        response.headers["Link"] = f'<{_page_address(request, page.next_id)}>; rel="next"'
    return audit_schemas.Acts(acts=[shown(act) for act in page.acts], next=page.next_id or None)


@router.get("/{act_id}", summary="Show one entry", responses=errors.problems(errors.UNKNOWN_ACT))
async def show_act(act_id: ActId, repository: RepositoryDependency, _: Reader) -> audit_schemas.Act:
    """Show it as the list does."""
    return shown(await _known(act_id, repository))


@router.post(
    "/{act_id}/undo",
    summary="Undo a change of a setting",
    responses={
        200: TAGGED,
        **errors.problems(
            errors.UNKNOWN_ACT,
            errors.NOT_UNDOABLE,
            errors.CHANGED_AGAIN,
            errors.NEEDS_CONFIRMATION,
            errors.MAIL_DIRECTORY_REFUSED,
        ),
    },
)
async def undo_act(
    act_id: ActId,
    repository: RepositoryDependency,
    response: Response,
    administrator: Administrator,
    confirm: Confirmed = False,
    even_if_changed: Annotated[
        bool, Query(description="Also if the setting has another value by now than this change set.")
    ] = False,
) -> schemas.Settings:
    """Set a setting to the value that it had before this change (an entry `settings.change`)."""
    act = await _known(act_id, repository)
    if not is_undoable(act):
        raise NotUndoable
    if not confirm:
        await require_confirmation(_set_back(act), repository)
    try:
        settings = await repository.undo(act, by=administrator, even_if_changed=even_if_changed)
    except SettingsChanged:
        raise errors.Refused(errors.CHANGED_AGAIN) from None
    log.info("setting set back", administrator=administrator.name, **{act.object: act.old})
    return in_answer(settings, response)


async def _known(act_id: str, repository: StateRepository) -> Act:
    act = await repository.act(act_id)
    if act is None:
        raise errors.Refused(errors.UNKNOWN_ACT)
    return act


def _set_back(act: Act) -> dict[str, str | int]:
    return {act.object: int(act.old) if act.old.isdecimal() else act.old}


async def _acts_of_file(services: Services, query: audit_schemas.Query) -> AsyncIterator[Act]:
    if query.has_limit:
        page = await _page(services, query)
        for act in page.acts if query.after is not None else reversed(page.acts):
            yield act
        return
    if query.after is not None and query.wait:
        await _arrived(services, query.after, query)
    async for act in services.repository.all_acts(query.wanted(), query.after or "", query.before or ""):
        yield act


async def _page(services: Services, query: audit_schemas.Query) -> Page:
    if query.after is not None:
        return await _arrived(services, query.after, query)
    return await services.repository.acts_before(query.before or "", query.limit, query.wanted())


async def _arrived(services: Services, after: str, query: audit_schemas.Query) -> Page:
    loop = asyncio.get_running_loop()
    end = loop.time() + query.wait
    while True:
        page = await services.repository.acts_after(after, query.limit, query.wanted())
        if page.acts or loop.time() >= end or services.is_draining():
            return page
        after = page.next_id
        await asyncio.sleep(min(POLL_SECONDS, end - loop.time()))


def _page_address(request: Request, before: str) -> str:
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "before"]
    return f"/v1/audit?{urlencode([*query, ('before', before)])}"
