"""`/session`: the dashboard's sign-in. It belongs to the page, not to the interface for programs."""

import structlog
from fastapi import APIRouter, Request, Response

from state_api import schemas
from state_api.dependencies import ServicesDependency, check_sign_in, client_address
from state_api.errors import FOREIGN_REQUEST, SIGNED_OUT, WRONG_PASSWORD, Refused
from state_api.sign_in import COOKIE, SignIn, came_by_https, is_csrf_token, refuse_from_elsewhere
from state_store.audit import Door

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/session", include_in_schema=False)


@router.post("")
async def sign_in(
    given: schemas.NamedPassword, request: Request, response: Response, services: ServicesDependency
) -> schemas.SignedIn:
    """Set the cookie for an administrator. A wrong password counts as one with HTTP Basic does (P18)."""
    # Another site could sign a browser in with a password that it knows.
    refuse_from_elsewhere(request)
    address = client_address(request)
    administrator = await check_sign_in(services, given.name, given.password, Door.DASHBOARD, address)
    if administrator is None:
        raise Refused(WRONG_PASSWORD)
    cookie, begun_sign_in = await services.sign_ins.begin(administrator)
    set_cookie(response, request, cookie)
    log.info("administrator signed in", administrator=given.name, address=address)
    return _shown(begun_sign_in)


@router.get("")
async def show_sign_in(request: Request, services: ServicesDependency) -> schemas.SignedIn:
    """Return the signed-in administrator and the token, for a page that was loaded anew."""
    found = await services.sign_ins.find(request.cookies.get(COOKIE, ""))
    if found is None:
        raise Refused(SIGNED_OUT)
    return _shown(found)


@router.delete("", status_code=204)
async def sign_out(request: Request, response: Response, services: ServicesDependency) -> None:
    """End the sign-in of the cookie, if there is one, and delete the cookie."""
    found = await services.sign_ins.find(request.cookies.get(COOKIE, ""))
    if found is not None:
        if not is_csrf_token(request, found):
            raise Refused(FOREIGN_REQUEST)
        await services.sign_ins.end(found, client_address(request))
        log.info("administrator signed out", administrator=found.administrator.name)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=came_by_https(request))


def set_cookie(response: Response, request: Request, cookie: str) -> None:
    """Have the browser keep a sign-in, out of reach of scripts and other sites."""
    response.set_cookie(
        COOKIE, cookie, path="/", httponly=True, samesite="strict", secure=came_by_https(request)
    )


def _shown(found: SignIn) -> schemas.SignedIn:
    administrator = found.administrator
    return schemas.SignedIn(
        administrator=administrator.name, role=administrator.role.value, csrf_token=found.csrf_token
    )
