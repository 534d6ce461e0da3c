"""What may come in: bodies of a bounded size, paths that mean one thing only, HEAD wherever there is GET."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from state_api.errors import PLAIN_DETAILS, TOO_LARGE, Kind, problem_response

MAX_BODY_OCTETS = 64 * 1024
"""The largest honest request is a user with a password: some hundred octets."""


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
        await self._app(scope, _Bounded(receive), send)


class _Bounded:
    """A body that comes without saying its length, counted as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._octets = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._octets += len(message.get("body", b""))
        if self._octets > MAX_BODY_OCTETS:
            raise HTTPException(413)
        return message


def _refusal(scope: Scope) -> Kind | None:
    # An encoded slash would be decoded before the routes are matched: `a%2Fpassword` is one user name
    # that nobody can have, not the password of `a`.
    if b"%2f" in scope.get("raw_path", b"").lower():
        return Kind(404, PLAIN_DETAILS[404])
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_OCTETS:
        return TOO_LARGE
    return None
