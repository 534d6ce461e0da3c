"""What may come in: bodies that are bounded and in time, paths that mean one thing only, HEAD for each GET.

Where all places for connections are busy, what comes in asks for the process's health only.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from state_api.errors import (
    LATE,
    PLAIN_DETAILS,
    TOO_LARGE,
    TOO_MANY_CONNECTIONS,
    Kind,
    problem_response,
)
from state_api.places import Standing

MAX_BODY_OCTETS = 64 * 1024
"""The largest honest request is a user with a password: some hundred octets."""


HEALTH_PATHS = frozenset({"/livez", "/readyz", "/healthz"})


class Intake:
    """ASGI middleware that hands on only requests within these bounds."""

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
        await self._app(scope, _Bounded(receive, scope["state"].get("body_seconds")), send)


class _Bounded:
    """A body, counted as it comes: it need not say its length. All of it has to be there in time."""

    def __init__(self, receive: Receive, seconds: float | None) -> None:
        self._receive = receive
        self._octets = 0
        self._is_whole = False
        self._end = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def __call__(self) -> Message:
        try:
            # What comes after the body is the client's going, which may be hours away.
            async with asyncio.timeout_at(None if self._is_whole else self._end):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(LATE.status) from None
        self._is_whole = not message.get("more_body", False)
        self._octets += len(message.get("body", b""))
        if self._octets > MAX_BODY_OCTETS:
            raise HTTPException(413)
        return message


def _refusal(scope: Scope) -> Kind | None:
    if scope["state"].get("standing") is Standing.HEALTH and scope["path"] not in HEALTH_PATHS:
        return TOO_MANY_CONNECTIONS
    # An encoded slash would be decoded before the routes are matched: `a%2Fpassword` is one user name
    # that nobody can have, not the password of `a`.
    if b"%2f" in scope.get("raw_path", b"").lower():
        return Kind(404, PLAIN_DETAILS[404])
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_OCTETS:
        return TOO_LARGE
    return None
