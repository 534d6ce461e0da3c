"""One log event a request, the request's id, and what becomes of an exception."""

import re
import time
import traceback
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from state_api.errors import INTERNAL, problem_response
from state_api.proof import Proof
from state_store.audit import Actor, Door

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

PRIVATE_PREFIXES = ("/v1/", "/session")
"""Below them every answer is for one administrator at one moment, and not to be cached."""

QUIET_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Programs request these every few seconds: they are logged at debug only."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """ASGI middleware around everything else. It never logs headers, bodies or queries."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and log its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        answer = _Answer(send, request_id, is_private=scope["path"].startswith(PRIVATE_PREFIXES))
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                await self._fail(error, answer, scope, receive)
            finally:
                _log_request(scope, answer.status, time.perf_counter() - started)

    async def _fail(self, error: Exception, answer: "_Answer", scope: Scope, receive: Receive) -> None:
        # Formatted here: a renderer might add the variables of each frame, passwords included.
        log.error("request failed", exception="".join(traceback.format_exception(error)))
        if answer.status is not None:
            # A part of an answer is out: only a closed connection shows that it is not complete.
            raise error
        await problem_response(INTERNAL, answer.request_id)(scope, receive, answer)


class _Answer:
    """Sends an answer, with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str, *, is_private: bool) -> None:
        self._send = send
        self._is_private = is_private
        self.request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            if self._is_private:
                headers["Cache-Control"] = "no-store"
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _is_page_that_looks(scope: Scope, status: int | None, actor: Actor | None) -> bool:
    """Return whether an open dashboard has read what it shows, as it does all the time."""
    is_page = actor is not None and actor.door is Door.DASHBOARD
    return is_page and scope["method"] == "GET" and status is not None and status < 400


def _log_request(scope: Scope, status: int | None, seconds: float) -> None:
    proof: Proof | None = scope["state"].get("proof")
    actor = proof.actor if proof is not None else None
    is_quiet = scope["path"] in QUIET_PATHS or _is_page_that_looks(scope, status, actor)
    write = log.debug if is_quiet else log.info
    write(
        "request",
        method=scope["method"],
        # As it came, still percent-encoded: nothing in it can break a line of the log.
        path=scope.get("raw_path", b"").decode("ascii", "replace"),
        status=status,
        milliseconds=round(seconds * 1000, 1),
        administrator=actor.name if actor else None,
        **({"token": actor.token} if actor and actor.token else {}),
        address=scope["client"][0] if scope.get("client") else None,
    )
