"""What the routes are given: the repository, the passwords, and the administrator who asks."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from line_server.listener import plain_host
from state_api.errors import Unauthenticated
from state_store.authentication import Authenticator
from state_store.passwords import Passwords
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What the application stands on, made once at its start."""

    repository: StateRepository
    authenticator: Authenticator
    passwords: Passwords
    is_draining: Callable[[], bool]


class BasicScheme(HTTPBasic):
    """HTTP Basic in UTF-8 (RFC 7617); whatever is no well-formed header is a missing one."""

    async def __call__(self, request: Request) -> HTTPBasicCredentials:  # type: ignore[override]
        """Return the name and password of the request. Raises `Unauthenticated`."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            raise Unauthenticated
        try:
            name, colon, password = (
                base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
            )
        except (binascii.Error, ValueError):
            raise Unauthenticated from None
        if not colon:
            raise Unauthenticated
        return HTTPBasicCredentials(username=name, password=password)


_basic = BasicScheme(scheme_name="administrator", description="A PEEP administrator's name and password.")


def _of(request: Request) -> Services:
    # Not a dependency of the others: each costs a request some 20 us.
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return _of(request)


async def _repository(request: Request) -> StateRepository:
    return _of(request).repository


async def _passwords(request: Request) -> Passwords:
    return _of(request).passwords


async def _administrator(
    request: Request,
    credentials: Annotated[HTTPBasicCredentials, Depends(_basic)],
) -> str:
    # The socket's peer, never a header: anybody could write X-Forwarded-For to escape the rule of P18.
    address = plain_host(request.client.host) if request.client else "unknown"
    name = credentials.username
    if not await _of(request).authenticator.check_administrator(name, credentials.password, address):
        # Not the name: a slip of the hand may have put the password there.
        log.warning("administrator refused", address=address)
        raise Unauthenticated
    request.state.administrator = name
    return name


ServicesDependency = Annotated[Services, Depends(_services)]
RepositoryDependency = Annotated[StateRepository, Depends(_repository)]
PasswordsDependency = Annotated[Passwords, Depends(_passwords)]
Administrator = Annotated[str, Depends(_administrator)]
"""The name of the administrator who asks; a route that takes it answers nobody else."""
