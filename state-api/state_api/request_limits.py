"""Limits of a request: a small body that comes in time, a path with one meaning, HEAD for each GET."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from state_api.connection_limits import Access
from state_api.errors import LATE, NOT_FOUND, TOO_LARGE, TOO_MANY_CONNECTIONS, Kind, problem_response

MAX_BODY_OCTETS = 64 * 1024
"""The largest honest request is a user with a password: some hundred octets."""

HEALTH_PATHS = frozenset({"/livez", "/readyz", "/healthz"})
"""What a connection with `Access.HEALTH` may ask for."""


class RequestLimits:
    """ASGI middleware that refuses requests beyond these limits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal is not None:
            await problem_response(refusal, scope["state"]["request_id"])(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # The server itself leaves out the body of an answer to HEAD.
            scope = {**scope, "method": "GET"}
            scope["state"]["wants_no_body"] = True
        await self._app(scope, _LimitedBody(receive, scope["state"].get("body_seconds")), send)


class _LimitedBody:
    """Receives a body and counts its octets, which it need not announce. All of it has to come in time."""

    def __init__(self, receive: Receive, seconds: float | None) -> None:
        self._receive = receive
        self._octets = 0
        self._is_whole = False
        self._end = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def __call__(self) -> Message:
        try:
            # After the body comes the client's disconnect, perhaps hours later.
            async with asyncio.timeout_at(None if self._is_whole else self._end):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(LATE.status) from None
        self._is_whole = not message.get("more_body", False)
        self._octets += len(message.get("body", b""))
        if self._octets > MAX_BODY_OCTETS:
            raise HTTPException(TOO_LARGE.status)
        return message


def _refusal(scope: Scope) -> Kind | None:
    if scope["state"].get("access") is Access.HEALTH and scope["path"] not in HEALTH_PATHS:
        return TOO_MANY_CONNECTIONS
    # An encoded slash would be decoded before the routes are matched: `a%2Fpassword` is one user name
    # that nobody can have, not the password of `a`.
    if b"%2f" in scope.get("raw_path", b"").lower():
        return NOT_FOUND
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_OCTETS:
        return TOO_LARGE
    return None
