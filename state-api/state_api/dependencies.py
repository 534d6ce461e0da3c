"""What the routes depend on: the repository, the passwords, the administrator of a request."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPBasic

from line_server.listener import plain_host
from state_api.errors import FOREIGN_REQUEST, SIGNED_OUT, UNAUTHENTICATED, Refused
from state_api.event_feed import EventFeed
from state_api.sign_in import COOKIE, SignIns, comes_from_page, is_csrf_token, refuse_from_elsewhere
from state_store.audit import Actor, Door
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


def client_address(request: Request) -> str:
    """Return the address whose wrong passwords count together (P18).

    It is the socket's peer. X-Forwarded-For replaces it for the proxies of `PEEP_HTTP_PROXY_TRUSTED` only:
    other clients could forge it.
    """
    return plain_host(request.client.host) if request.client else "unknown"


class AdministratorScheme(HTTPBasic):
    """HTTP Basic in UTF-8 (RFC 7617), else the dashboard's cookie. Of both, Basic decides."""

    async def __call__(self, request: Request) -> Actor:  # type: ignore[override]
        """Return the request's administrator.

        Raises `Refused` without one (`UNAUTHENTICATED`, for the dashboard `SIGNED_OUT`), and for a change
        that comes with the cookie but not from the dashboard (`FOREIGN_REQUEST`, `HOST_REWRITTEN`).
        """
        by_name = "Authorization" in request.headers
        name = await (_named_administrator(request) if by_name else _signed_in_administrator(request))
        if name is None:
            raise Refused(SIGNED_OUT if comes_from_page(request) else UNAUTHENTICATED)
        request.state.administrator = name
        if not by_name:
            return Actor(name, Door.DASHBOARD, client_address(request))
        by = Actor(name, Door.HTTP, client_address(request))
        await _of(request).noted_sign_ins.note(by)
        return by


async def _named_administrator(request: Request) -> str | None:
    credentials = _basic_credentials(request.headers["Authorization"])
    if credentials is None:
        return None
    address = client_address(request)
    if not await _of(request).authenticator.check_administrator(*credentials, address):
        # Not the name: a slip of the hand may have put the password there.
        log.warning("administrator refused", address=address)
        await _of(request).repository.note_refused_sign_in(by=Actor("", Door.HTTP, address))
        return None
    return credentials[0]


async def _signed_in_administrator(request: Request) -> str | None:
    cookie = request.cookies.get(COOKIE)
    found = await _of(request).sign_ins.find(cookie) if cookie else None
    if found is None:
        return None
    if request.method not in SAFE_METHODS:
        refuse_from_elsewhere(request)
        if not is_csrf_token(request, found):
            raise Refused(FOREIGN_REQUEST)
    request.state.sign_in_id = found.sign_in_id
    return found.administrator


def _basic_credentials(header: str) -> tuple[str, str] | None:
    """Return the name and password of a header, None of one that is not well-formed."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


_administrator = AdministratorScheme(
    scheme_name="administrator", description="A PEEP administrator's name and password."
)

ServicesDependency = Annotated[Services, Depends(_services)]
RepositoryDependency = Annotated[StateRepository, Depends(_repository)]
PasswordsDependency = Annotated[Passwords, Depends(_passwords)]
Administrator = Annotated[Actor, Depends(_administrator)]
"""The request's administrator; a route with this dependency refuses all others."""
