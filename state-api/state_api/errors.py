"""Every error as application/problem+json (RFC 9457). No other module writes the body of an error."""

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from state_api.schemas import FieldError, Problem
from state_api.user_schemas import BODY_FORMS
from state_store.administrators import Role
from state_store.errors import (
    AdministratorExists,
    AdministratorOfSettings,
    ApiTokenExists,
    ChangedTooOften,
    LastAdministrator,
    MailDirectoryRefused,
    NotUndoable,
    SettingsChanged,
    SlowedDown,
    StateError,
    StoreEmptied,
    StoreUnavailable,
    StoreUnusable,
    TooMany,
    UnknownAdministrator,
    UnknownApiToken,
    UnknownRefusal,
    UnknownSession,
    UnknownSlowDown,
    UnknownUser,
    UserExists,
)
from state_store.refusals import MOST_FOR_HELPDESK, MOST_REFUSALS

PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 10
MAX_FIELD_NAME = 64
"""Field names come from the client: neither their length nor their number may make an answer large."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of error; `name` is its anchor in the documentation, empty where its status is enough."""

    status: int
    detail: str
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    """The role that is missing."""

    @property
    def title(self) -> str:
        """The name in words, or the status's phrase."""
        return self.name.replace("-", " ").capitalize() or http.HTTPStatus(self.status).phrase


class Refused(Exception):
    """The request is answered with an error of this kind; `errors` are the faults of its fields."""

    def __init__(self, kind: Kind, errors: list[FieldError] | None = None) -> None:
        super().__init__(kind.title)
        self.kind = kind
        self.errors = errors


UNAUTHENTICATED = Kind(
    401,
    "This needs the name and password of an administrator (HTTP Basic), or an API token (Bearer).",
    "unauthenticated",
    {"WWW-Authenticate": 'Basic realm="Peep", charset="UTF-8"'},
)
# No scheme that browsers know: they leave it to the page to ask for the password.
_NO_DIALOGUE = {"WWW-Authenticate": 'Cookie realm="Peep"'}
SIGNED_OUT = Kind(401, "Nobody is signed in here, or no longer.", "signed-out", _NO_DIALOGUE)
WRONG_PASSWORD = Kind(401, "No administrator has this name and password.", "wrong-password", _NO_DIALOGUE)
WRONG_TOKEN = Kind(
    401,
    "This is no API token, or it has ended or was revoked, or it does not serve this client's network.",
    "wrong-token",
    {"WWW-Authenticate": 'Bearer realm="Peep", error="invalid_token"'},
)
ROLE_NEEDED = Kind(
    403, "This needs another role than the administrator or token has.", "role-needed", role="all"
)
TOKEN_HAS_NO_PASSWORD = Kind(
    403, "An API token has no password: sign in with a name and a password.", "token-has-no-password"
)
FOREIGN_REQUEST = Kind(
    403,
    "A change with the dashboard's cookie needs its token in X-CSRF-Token, and has to come from its page.",
    "foreign-request",
)
HOST_REWRITTEN = Kind(
    403,
    "The browser says that this comes from the page of another host than the request's Host header names. "
    "If there is a proxy, let it pass on the browser's Host (nginx: `proxy_set_header Host $http_host;`), "
    "or serve https: docs/http-behind-a-proxy.md.",
    "host-rewritten",
)
UNKNOWN_USER = Kind(404, "No POP3 user has this name.", "unknown-user")
UNKNOWN_SESSION = Kind(404, "No open POP3 session has this id.", "unknown-session")
UNKNOWN_SLOW_DOWN = Kind(404, "No slow-down of guessing has this id, or it is over.", "unknown-slow-down")
UNKNOWN_REFUSAL = Kind(404, "No suspension, ban or exemption has this id, or it is over.", "unknown-refusal")
USER_EXISTS = Kind(409, "This user name is already in use.", "user-exists")
UNKNOWN_ADMINISTRATOR = Kind(404, "No administrator has this name.", "unknown-administrator")
UNKNOWN_API_TOKEN = Kind(404, "No API token has this name.", "unknown-token")
ADMINISTRATOR_EXISTS = Kind(409, "An administrator has this name already.", "administrator-exists")
ADMINISTRATOR_OF_SETTINGS = Kind(
    409,
    "The settings of a running PEEP or HTTP service (PEEP_ADMINS, PEEP_ADMINS_FILE) name this administrator: "
    "change them there. They win over what is changed here.",
    "administrator-of-settings",
)
LAST_ADMINISTRATOR = Kind(
    409,
    "Nobody else has the role all: make another such administrator first, or nobody could make any again.",
    "last-administrator",
)
CHANGED_TOO_OFTEN = Kind(
    409,
    "You have changed your password very often within this hour: try again in some minutes.",
    "changed-too-often",
)
API_TOKEN_EXISTS = Kind(409, "An API token has this name already.", "token-exists")
TOO_MANY = Kind(409, "There are 1,000 already, which is the limit: remove one first.", "too-many")
TOO_MANY_REFUSALS = Kind(
    409,
    f"There are {MOST_REFUSALS:,} suspensions, bans and exemptions already, which is the limit: "
    "lift some first.",
    "too-many-refusals",
)
SETTINGS_CHANGED = Kind(
    412, "The settings have changed since: read them again before you change them.", "settings-changed"
)
NEEDS_CONFIRMATION = Kind(
    409,
    "This change may do harm, as `errors` says: if you mean it, send it again with `?confirm=true`.",
    "needs-confirmation",
)
NOT_UNDOABLE = Kind(
    409,
    "Only a change of the connection limit, the timeout or the mail directory can be undone, and only if "
    "there was a value before it.",
    "not-undoable",
)
CHANGED_AGAIN = Kind(
    409,
    "The setting no longer has the value that this change set: `?even_if_changed=true` still undoes it.",
    "changed-again",
)
UNKNOWN_ACT = Kind(404, "The audit has no entry with this id, or no longer.", "unknown-act")
NOT_FOUND = Kind(404, "There is nothing at this path.")
WRONG_METHOD = Kind(405, "This path does not take this method.")
LATE = Kind(408, "The whole request did not arrive in time.", headers={"Connection": "close"})
TOO_LARGE = Kind(413, "The body is larger than 64 KiB.")
INVALID = Kind(422, "Something in the request is missing or wrong; `errors` names it.", "invalid-request")
MAIL_DIRECTORY_REFUSED = Kind(
    422,
    "No POP3 process answered for this mail directory, or one of them cannot list and write it: "
    "`errors` says which, and why.",
    "mail-directory-refused",
)
INVALID_SPAN = Kind(
    422,
    "`from` has to be before `to`, and at most 10,000 steps lie between them: ask for a longer `step`.",
    "invalid-span",
)
TOO_MANY_ATTEMPTS = Kind(
    429,
    "Too many wrong passwords came from this network: yours was not checked. Try again in some seconds.",
    "too-many-attempts",
    {"Retry-After": "3"},  # attempts.INTERVAL_SECONDS
)
INTERNAL = Kind(500, "This is a defect of Peep; find the request id in the service's log.")
STORE_UNAVAILABLE = Kind(
    503,
    "Redis does not answer, or takes no writes (the log says which); try again soon.",
    "store-unavailable",
    {"Retry-After": "1"},
)
STORE_EMPTIED = Kind(
    503,
    "Redis has lost the users of this deployment: restore a backup, or go on without them with "
    "`peepctl store accept`.",
    "store-emptied",
    {"Retry-After": "10"},
)
DRAINING = Kind(503, "The service is about to stop.", "draining", {"Retry-After": "1"})
TOO_MANY_CONNECTIONS = Kind(
    503,
    "The limit of requests at a time is reached, for this client's network or in all; try again soon.",
    "too-many-connections",
    {"Retry-After": "1", "Connection": "close"},
)
TOO_MANY_STREAMS = Kind(
    503,
    "The limit of streams of events at a time is reached; try again later.",
    "too-many-streams",
    {"Retry-After": "10"},
)

KINDS: Mapping[type[StateError], Kind] = {
    UnknownUser: UNKNOWN_USER,
    UnknownSession: UNKNOWN_SESSION,
    UnknownSlowDown: UNKNOWN_SLOW_DOWN,
    UnknownRefusal: UNKNOWN_REFUSAL,
    SlowedDown: TOO_MANY_ATTEMPTS,
    UserExists: USER_EXISTS,
    UnknownAdministrator: UNKNOWN_ADMINISTRATOR,
    UnknownApiToken: UNKNOWN_API_TOKEN,
    AdministratorExists: ADMINISTRATOR_EXISTS,
    AdministratorOfSettings: ADMINISTRATOR_OF_SETTINGS,
    LastAdministrator: LAST_ADMINISTRATOR,
    ChangedTooOften: CHANGED_TOO_OFTEN,
    ApiTokenExists: API_TOKEN_EXISTS,
    TooMany: TOO_MANY,
    SettingsChanged: SETTINGS_CHANGED,
    NotUndoable: NOT_UNDOABLE,
    MailDirectoryRefused: MAIL_DIRECTORY_REFUSED,
    StoreEmptied: STORE_EMPTIED,
    StoreUnavailable: STORE_UNAVAILABLE,
    StoreUnusable: STORE_UNAVAILABLE,
}
"""The one table from the store's errors to HTTP. Any other exception is a bug, answered with `INTERNAL`."""

NAMED_KINDS = tuple(kind for kind in list(globals().values()) if isinstance(kind, Kind) and kind.name)
"""The kinds that the documentation explains, in the order above."""

_FRAMEWORK_KINDS = {kind.status: kind for kind in (NOT_FOUND, WRONG_METHOD, LATE, TOO_LARGE)}
"""The framework's own errors, by their status."""

_PARTS_OF_A_REQUEST = {"body", "path", "query", "header", "cookie"}
_NO_JSON = "must be JSON"
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is no field of this request",
    "json_invalid": _NO_JSON,
    "model_attributes_type": "must be a JSON object, sent as Content-Type: application/json",
}


def problem_response(
    kind: Kind,
    request_id: str | None,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer for a kind of error."""
    return Response(
        json.dumps(_problem(kind, request_id, errors), separators=(",", ":")),
        kind.status,
        {**kind.headers, **(headers or {})},
        PROBLEM_MEDIA_TYPE,
    )


def _problem(kind: Kind, request_id: str | None, errors: list[FieldError] | None) -> dict[str, Any]:
    problem = Problem(
        type=f"/docs#{kind.name}" if kind.name else "about:blank",
        title=kind.title,
        status=kind.status,
        detail=kind.detail,
        request_id=request_id,
        errors=errors,
        role=kind.role or None,
    )
    return problem.model_dump(exclude_none=True)


def role_needed(demanded: Role, had: Role) -> Kind:
    """Return the kind of error for a request that demands another role."""
    detail = f"This needs the role {demanded.value}; {had.value} is not enough."
    return replace(ROLE_NEEDED, detail=detail, role=demanded.value)


def too_many_refusals(had: Role) -> Kind:
    """Return the kind of error for a refusal that there is no room for, or none for this role."""
    if had is Role.ALL:
        return TOO_MANY_REFUSALS
    return replace(
        TOO_MANY_REFUSALS,
        detail=f"There are {MOST_FOR_HELPDESK:,} suspensions, bans and exemptions or more, and room for "
        f"{MOST_REFUSALS - MOST_FOR_HELPDESK:,} more is kept for the role all: lift some suspensions first, "
        "or ask somebody with that role.",
    )


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's errors, by status."""
    if UNAUTHENTICATED in kinds:
        # Any password or token may be wrong or slowed down, and any role insufficient.
        kinds += (WRONG_TOKEN, ROLE_NEEDED, TOO_MANY_ATTEMPTS)
    by_status: dict[int | str, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _documented(alike) for status, alike in by_status.items()}


def _documented(kinds: list[Kind]) -> dict[str, Any]:
    headers = {name: value for kind in kinds for name, value in kind.headers.items()}
    return {
        "model": Problem,
        "description": " Or: ".join(kind.detail for kind in kinds),
        "headers": {
            name: {"description": f"For example `{value}`.", "schema": {"type": "string"}}
            for name, value in headers.items()
        },
        "content": {
            "application/json": {
                "examples": {kind.title: {"value": _problem(kind, "0c1f9a", None)} for kind in kinds}
            }
        },
    }


FOR_ADMINISTRATORS = problems(UNAUTHENTICATED, STORE_UNAVAILABLE)
"""What every route for administrators may answer; `INTERNAL` and `INVALID` are documented for all routes."""


def install(app: FastAPI) -> None:
    """Answer every error of `app`, the framework's own included, from the table."""
    ours: tuple[type[Exception], ...] = (Refused, *KINDS)
    for error_class in ours:
        app.add_exception_handler(error_class, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _from_framework)


async def _refused(request: Request, error: Exception) -> Response:
    known = (KINDS[one] for one in type(error).__mro__ if one in KINDS)
    kind = error.kind if isinstance(error, Refused) else next(known)
    fields = error.errors if isinstance(error, Refused) else None
    if isinstance(error, MailDirectoryRefused):
        faults = error.faults[:MAX_FIELD_ERRORS]
        fields = [FieldError(field="mail_directory", message=fault) for fault in faults]
    return problem_response(kind, request.state.request_id, fields)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [field_error(one) for one in error.errors()[:MAX_FIELD_ERRORS]]
    return problem_response(INVALID, request.state.request_id, errors)


async def _from_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    request_id, status = request.state.request_id, error.status_code
    if status == 400:
        # The framework's answer to a body on which the JSON parser fails otherwise than by a syntax error.
        return problem_response(INVALID, request_id, [FieldError(field="body", message=_NO_JSON)])
    kind = _FRAMEWORK_KINDS.get(status) or Kind(status, http.HTTPStatus(status).phrase)
    headers = {"Allow": _allowed_methods(request)} if kind is WRONG_METHOD else error.headers
    return problem_response(kind, request_id, headers=headers)


def _allowed_methods(request: Request) -> str:
    # The framework names the methods of one route only, though several may share the path.
    methods = {"HEAD"}
    for route in request.app.state.routes:
        if isinstance(route, Route) and route.path_regex.match(request.url.path):
            methods.update(route.methods or ())
    return ", ".join(sorted(methods if "GET" in methods else methods - {"HEAD"}))


def field_error(error: Mapping[str, Any]) -> FieldError:
    """Return pydantic's error as the API shows it."""
    place = [str(part) for part in error["loc"] if part not in BODY_FORMS]
    if error["type"] == "json_invalid":
        place = place[:1]
    elif place[0] in _PARTS_OF_A_REQUEST:
        place = place[1:] or place
    where = ".".join(place)
    # Never the input itself: it may be a password.
    message = _MESSAGES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    return FieldError(field=where[:MAX_FIELD_NAME], message=message)
