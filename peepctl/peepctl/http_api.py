"""The HTTP API of a Peep, for what PEEP cannot carry: its arguments have 128 octets at most."""

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from peepctl.endpoint import API_PORT
from peepctl.sources import WrongSettings

ANSWER_SECONDS = 120.0
"""A request with passwords in the clear has each of them hashed."""

PATIENCE_SECONDS = 60.0
"""How long a request is sent again while the service, or its Redis, is away for a moment."""

_TRY_LATER = {429, 503}

_AS_AFTER_IT_WAS_DONE = {404, 409}
"""What is there already, or is gone, may be so by an earlier try whose answer was lost."""


class ApiError(Exception):
    """The API cannot do it; the text is one line for a person."""


class ApiUnreachable(ApiError):
    """There is no connection, or no answer."""


class ApiWrongLogin(ApiError):
    """The API takes no such administrator, or no such token."""


class ApiRefused(ApiError):
    """The API answers with an error: `kind` is its name in the documentation; `faults`: field, reason."""

    def __init__(self, text: str, kind: str, faults: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.kind = kind
        self.faults = faults

    @property
    def reasons(self) -> list[str]:
        """The reasons without their fields."""
        return [reason for _, reason in self.faults]

    @property
    def why(self) -> str:
        """The reasons in one line; the whole answer where it has none."""
        return "; ".join(self.reasons) or str(self)


def by_name(user: str, password: str) -> str:
    """Return the header `Authorization` of an administrator."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def by_token(token: str) -> str:
    """Return the header `Authorization` of an API token."""
    return f"Bearer {token}"


class HttpApi:
    """Requests to one Peep, one after the other over one connection.

    A request may be carried out twice: after a cut connection it is sent again.
    """

    def __init__(
        self,
        url: str,
        authorization: str,
        tls: Callable[[], ssl.SSLContext],
        patience_seconds: float = PATIENCE_SECONDS,
        answer_seconds: float | None = None,
    ) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise WrongSettings(
                f"{url} is no address of the HTTP API: http://HOST[:{API_PORT}] or https://HOST"
            )
        self.url = url.rstrip("/")
        self.was_repeated = False
        """Whether the last request was sent again, so that an earlier try may have been carried out."""
        self._patience_seconds = patience_seconds
        self._path = parts.path.rstrip("/")
        # Who is patient has passwords hashed; who is not wants to know now.
        seconds = ANSWER_SECONDS if patience_seconds >= PATIENCE_SECONDS else patience_seconds
        self.answer_seconds = seconds = answer_seconds or seconds
        """How long an answer may take."""
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=seconds, context=tls()
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=seconds)
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        """Return what is at a path. Raises `ApiError`."""
        return self._request("GET", path, None)

    def pages(self, path: str, query: Mapping[str, str], cursor: str) -> Iterator[Any]:
        """Yield the answers for a query, each asked for when it is wanted; `cursor` takes the `next` of one.

        Raises `ApiError`.
        """
        place: dict[str, str] = {}
        while True:
            page = self.get(f"{path}?{urlencode({**query, **place})}")
            yield page
            if page["next"] is None:
                return
            place = {cursor: page["next"]}

    def text(self, path: str) -> str:
        """Return what is at a path, which is not JSON. Raises `ApiError`."""
        return self._request("GET", path, None, is_json=False)  # type: ignore[no-any-return]

    def post(self, path: str, body: object) -> Any:
        """Return the answer to a body. Raises `ApiError`."""
        return self._request("POST", path, json.dumps(body).encode())

    def put(self, path: str, body: object) -> Any:
        """Put a body at a path. Raises `ApiError`."""
        return self._request("PUT", path, json.dumps(body).encode())

    def patch(self, path: str, body: object) -> Any:
        """Change a part of what is at a path. Raises `ApiError`."""
        return self._request("PATCH", path, json.dumps(body).encode())

    def delete(self, path: str) -> Any:
        """Delete what is at a path; return the answer. Raises `ApiError`."""
        return self._request("DELETE", path, None)

    def _request(self, method: str, path: str, body: bytes | None, *, is_json: bool = True) -> Any:
        patience_ends = time.monotonic() + self._patience_seconds
        self.was_repeated = False
        while True:
            try:
                status, text, retry_after = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if time.monotonic() > patience_ends or isinstance(
                    error, ssl.SSLError | ConnectionRefusedError
                ):
                    raise ApiUnreachable(f"{self.url}: {error or type(error).__name__}") from None
                self.was_repeated = True
                time.sleep(1)
                continue
            if status not in _TRY_LATER or time.monotonic() > patience_ends:
                is_whole = status == http.HTTPStatus.OK and not is_json
                return text.decode() if is_whole else self._answer(status, text)
            self.was_repeated = True
            time.sleep(retry_after)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float]:
        self._connection.request(method, self._path + path, body, self._headers)
        response = self._connection.getresponse()
        seconds = response.headers.get("Retry-After", "1")
        return response.status, response.read(), min(float(seconds), 10.0) if seconds.isdecimal() else 1.0

    def _answer(self, status: int, text: bytes) -> Any:
        if status == http.HTTPStatus.NO_CONTENT:
            return None
        try:
            answer = json.loads(text)
        except ValueError:
            raise ApiError(f"{self.url} does not answer as Peep's HTTP API does (status {status})") from None
        if status == http.HTTPStatus.UNAUTHORIZED:
            raise ApiWrongLogin(self.url)
        if status >= http.HTTPStatus.BAD_REQUEST:
            is_done = self.was_repeated and status in _AS_AFTER_IT_WAS_DONE
            end = " This was another try: an earlier one may have been carried out." if is_done else ""
            raise _refused(f"{self.url} answers {status}: ", answer if isinstance(answer, dict) else {}, end)
        return answer


def _refused(begin: str, problem: dict[str, Any], end: str) -> ApiRefused:
    kind = str(problem.get("type")).rpartition("#")[2]
    faults = [(str(one.get("field")), str(one["message"])) for one in problem.get("errors", [])]
    # What fits every such request says nothing of this one.
    wrong = "; ".join(map(": ".join, faults)) if kind == "invalid-request" else ""
    said = wrong or str(problem.get("detail") or "no reason given")
    return ApiRefused(begin + said + end, kind, faults)
