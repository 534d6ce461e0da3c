"""CORS: which other web pages may ask. Only installed where the settings name some."""

from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from state_api.errors import CROSS_ORIGIN_REFUSED, problem_response

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "If-Match", "Last-Event-ID", "X-CSRF-Token", "X-Request-ID")
RESPONSE_HEADERS = ("ETag", "Link", "Location", "Retry-After", "X-Request-ID")


class CrossOrigin(CORSMiddleware):
    """Starlette's middleware, whose refusals are problems like all others."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer the browser's question whether a request may be sent."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        headers = {"Vary": response.headers["vary"]}
        return problem_response(CROSS_ORIGIN_REFUSED, request_id, headers=headers)


def middleware(origins: Sequence[str]) -> list[Middleware]:
    """Return what the application needs to be asked from pages of these origins: nothing without any."""
    if not origins:
        return []
    return [
        Middleware(
            CrossOrigin,
            allow_origins=list(origins),
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            # An EventSource cannot set headers: its browser has to send what it knows.
            allow_credentials=True,
        )
    ]
