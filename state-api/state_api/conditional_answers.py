"""Entity tags of answers, and what `If-None-Match` saves (RFC 9110, sections 8.8.3 and 13.1.2)."""

import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'

_CONTENT_HEADERS = ("content-length", "content-type")


def weak_tag(state: object) -> str:
    """Return the tag of an answer that says the same as long as `state` has the same `repr`."""
    return f"W/{_tag(repr(state).encode())}"


def _tag(octets: bytes) -> str:
    return f'"{hashlib.blake2b(octets, digest_size=12).hexdigest()}"'


class ConditionalAnswers:
    """ASGI middleware: whole JSON answers to GET below `/v1` get an `ETag`, and 304 if the client has them.

    A route may give its answer a tag of its own. Streams pass as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and tag its answer."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/v1/"):
            send = _Tagging(send, ",".join(Headers(scope=scope).getlist("if-none-match")))
        await self._app(scope, receive, send)


class _Tagging:
    """Holds the head of an answer back until its body is known."""

    def __init__(self, send: Send, if_none_match: str) -> None:
        self._send = send
        self._if_none_match = if_none_match
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_whole_answer(message):
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            headers = MutableHeaders(scope=head)
            tag = headers.setdefault("ETag", _tag(message["body"]))
            if self._is_known(tag):
                head["status"], message = 304, {**message, "body": b""}
                for name in _CONTENT_HEADERS:
                    del headers[name]
            await self._send(head)
        await self._send(message)

    def _is_known(self, tag: str) -> bool:
        # Compared weakly: the client only wants to know whether it can keep what it has.
        tags = {one.removeprefix("W/") for one in re.findall(ENTITY_TAG, self._if_none_match)}
        return tag.removeprefix("W/") in tags or self._if_none_match.strip() == "*"


def _is_whole_answer(head: Message) -> bool:
    headers = Headers(raw=head["headers"])
    return (
        head["status"] == 200
        and headers.get("content-type") == "application/json"
        and "content-length" in headers
    )
