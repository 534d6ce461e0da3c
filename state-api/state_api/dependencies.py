"""What the routes depend on: the repository, the passwords, the administrator of a request."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBasic, SecurityScopes

from line_server.listener import plain_host
from state_api.errors import FOREIGN_REQUEST, SIGNED_OUT, UNAUTHENTICATED, WRONG_TOKEN, Refused, role_needed
from state_api.event_feed import EventFeed
from state_api.proof import Proof
from state_api.sign_in import COOKIE, SignIns, comes_from_page, is_csrf_token, refuse_from_elsewhere
from state_api.user_list import UserLists
from state_store import administrators
from state_store.administrators import Role
from state_store.audit import Actor, Door
from state_store.credentials.api_tokens import PREFIX, token_digest
from state_store.credentials.authentication import Authenticator
from state_store.credentials.noted_sign_ins import NotedSignIns
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing, and so need no token beside the cookie."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the application, made once at its start."""

    repository: StateRepository
    authenticator: Authenticator
    passwords: Passwords
    is_draining: Callable[[], bool]
    sign_ins: SignIns
    noted_sign_ins: NotedSignIns
    event_feed: EventFeed
    user_lists: UserLists
    metrics_need_token: bool = False


def _of(request: Request) -> Services:
    # No dependency that the others have in common: each dependency costs a request some 20 us.
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return _of(request)


async def _repository(request: Request) -> StateRepository:
    return _of(request).repository


async def _passwords(request: Request) -> Passwords:
    return _of(request).passwords


async def _user_lists(request: Request) -> UserLists:
    return _of(request).user_lists


def client_address(request: Request) -> str:
    """Return the address whose wrong passwords count together (P18).

    It is the socket's peer. X-Forwarded-For replaces it for the proxies of `PEEP_HTTP_PROXY_TRUSTED` only:
    other clients could forge it.
    """
    return plain_host(request.client.host) if request.client else "unknown"


class AdministratorScheme(HTTPBasic):
    """HTTP Basic in UTF-8 (RFC 7617), an API token (RFC 6750), else the dashboard's cookie.

    A header decides, where both are there.
    """

    async def __call__(self, request: Request, demanded: SecurityScopes) -> Actor:  # type: ignore[override]
        """Return who sends the request.

        Raises `Refused` without an administrator (`UNAUTHENTICATED`, for the dashboard `SIGNED_OUT`), for one
        whose role is not enough (`ROLE_NEEDED`), and for a change that another site's page has a browser
        send, or that comes with the cookie but not from the dashboard (`FOREIGN_REQUEST`, `HOST_REWRITTEN`).
        """
        proof = await find_proof(request)
        for role in map(Role, demanded.scopes):
            if not proof.role.covers(role):
                raise Refused(role_needed(role, proof.role))
        return proof.actor


async def find_proof(request: Request) -> Proof:
    """Return who sends the request, and what he may do. Raises `Refused` as a route does."""
    header = request.headers.get("Authorization")
    found = await (_from_cookie(request) if header is None else _from_header(request, header))
    if found is None:
        raise Refused(SIGNED_OUT if comes_from_page(request) else UNAUTHENTICATED)
    request.state.proof = found
    return found


async def _from_header(request: Request, header: str) -> Proof | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() == "bearer" and text.strip().startswith(PREFIX):
        return await _from_token(request, text.strip())
    credentials = _basic_credentials(text) if scheme.lower() == "basic" else None
    if credentials is None:
        return None
    if request.method not in SAFE_METHODS:
        refuse_from_elsewhere(request)  # browsers send a password that they keep for us whoever asks
    address = client_address(request)
    administrator = await check_sign_in(_of(request), *credentials, Door.HTTP, address)
    if administrator is None:
        return None
    actor = Actor(administrator.name, Door.HTTP, address)
    return Proof(actor, administrator.role, administrator.identity)


async def check_sign_in(
    services: Services, name: str, password: str, door: Door, address: str
) -> administrators.Administrator | None:
    """Return whose name and password these are, or None; either way the audit and the log have it."""
    administrator = await services.authenticator.check_administrator(name, password, address)
    if administrator is None:
        await note_wrong_password(services, door, address)
        return None
    await services.noted_sign_ins.note(Actor(administrator.name, door, address))
    return administrator


async def note_wrong_password(services: Services, door: Door, address: str) -> None:
    """Have a wrong password of an administrator in the audit and the log."""
    # Not the name: a slip of the hand may have put the password there.
    log.warning("administrator refused", address=address)
    await services.repository.note_refused_sign_in(by=Actor("", door, address))


async def _from_token(request: Request, text: str) -> Proof:
    address = client_address(request)
    token = await _of(request).authenticator.check_token(text, address)
    if token is None:
        await _of(request).repository.note_refused_sign_in(by=Actor("", Door.HTTP, address))
        raise Refused(WRONG_TOKEN)
    # Whoever made it answers for what is done with it.
    actor = Actor(token.made_by, Door.HTTP, address, token.name)
    await _of(request).noted_sign_ins.note(actor)
    return Proof(actor, token.role, token_digest=token_digest(text))


async def _from_cookie(request: Request) -> Proof | None:
    cookie = request.cookies.get(COOKIE)
    found = await _of(request).sign_ins.find(cookie) if cookie else None
    if found is None:
        return None
    if request.method not in SAFE_METHODS:
        refuse_from_elsewhere(request)
        if not is_csrf_token(request, found):
            raise Refused(FOREIGN_REQUEST)
    administrator = found.administrator
    actor = Actor(administrator.name, Door.DASHBOARD, client_address(request))
    return Proof(actor, administrator.role, administrator.identity, found.sign_in_id)


def _basic_credentials(text: str) -> tuple[str, str] | None:
    """Return the name and password of a header, None of one that is not well-formed."""
    try:
        name, colon, password = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


_caller = AdministratorScheme(
    scheme_name="administrator", description="A PEEP administrator's name and password."
)

ServicesDependency = Annotated[Services, Depends(_services)]
RepositoryDependency = Annotated[StateRepository, Depends(_repository)]
UserListsDependency = Annotated[UserLists, Depends(_user_lists)]
PasswordsDependency = Annotated[Passwords, Depends(_passwords)]

# Who may send a request: each route names one of these, and refuses all whose role does not cover it.
Reader = Annotated[Actor, Security(_caller, scopes=[Role.READ.value])]
Helper = Annotated[Actor, Security(_caller, scopes=[Role.HELPDESK.value])]
Administrator = Annotated[Actor, Security(_caller, scopes=[Role.ALL.value])]
