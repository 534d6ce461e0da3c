"""`/v1/own-password`: administrators of any role change their own password."""

import structlog
from fastapi import APIRouter, Request, Response

from state_api import errors
from state_api.administrator_schemas import OwnPassword
from state_api.dependencies import Reader, ServicesDependency, note_wrong_password
from state_api.routers.session import set_cookie
from state_api.schemas import FieldError
from state_store.audit import Door
from state_store.errors import UnknownAdministrator

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/own-password", tags=["administrators"], responses=errors.FOR_ADMINISTRATORS)


@router.put(
    "",
    summary="Change your own password",
    status_code=204,
    responses=errors.problems(
        errors.TOKEN_HAS_NO_PASSWORD,
        errors.ADMINISTRATOR_OF_SETTINGS,
        errors.CHANGED_TOO_OFTEN,
        errors.TOO_LARGE,
    ),
)
async def change_own_password(
    body: OwnPassword,
    request: Request,
    response: Response,
    services: ServicesDependency,
    administrator: Reader,
) -> None:
    """All sign-ins with the old password end; a dashboard that sent the request gets a new cookie.

    The present password is needed, so that a page left open, or a stolen cookie, is not enough. A wrong one
    counts like one at a sign-in.
    """
    if administrator.token:
        raise errors.Refused(errors.TOKEN_HAS_NO_PASSWORD)
    name = administrator.name
    known = await services.authenticator.check_administrator(
        name, body.current_password, administrator.address
    )
    if known is None:
        await note_wrong_password(services, administrator.door, administrator.address)
        wrong = FieldError(field="current_password", message="is not your password")
        raise errors.Refused(errors.INVALID, [wrong])
    password_hash = await services.passwords.new_hash(body.password)
    await services.repository.set_administrator_password(name, password_hash, by=administrator)
    log.info("administrator's password changed", name=name, administrator=name)
    if administrator.door is Door.DASHBOARD:
        changed = await services.repository.administrator(name)
        if changed is None:
            raise UnknownAdministrator
        cookie, _ = await services.sign_ins.begin(changed)
        set_cookie(response, request, cookie)
