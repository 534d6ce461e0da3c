"""`/v1/users`: the POP3 users. Their mail is never touched here."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

import structlog
from fastapi import APIRouter, Depends, Path, Query, Response

from state_api import errors, user_details, user_schemas
from state_api.dependencies import (
    Administrator,
    Helper,
    PasswordsDependency,
    Reader,
    RepositoryDependency,
    UserListsDependency,
)
from state_api.many_users import add_many
from state_api.routers.monitoring import session_of
from state_api.schemas import FieldError
from state_api.times import time_if_any
from state_api.user_list import UserQuery, UserSort
from state_store.repository.user_records import STRANGERS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/users", tags=["users"], responses=errors.FOR_ADMINISTRATORS)

UsernamePath = Annotated[user_schemas.Username, Path()]
Limit = Annotated[int, Query(ge=1, le=user_schemas.MAX_PAGE, description="Users a page.")]
After = Annotated[
    user_schemas.Username | None,
    Query(description="`next` of the page before; without it the list begins at its start."),
]
Prefix = Annotated[
    user_schemas.UsernamePrefix, Query(description="Only names that begin with this; empty for all.")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a list of users is sorted and filtered."""

    sort: Annotated[
        UserSort | None,
        Query(description="`today`, `week`, `month`: by octets sent; `maildrop`: by its octets."),
    ] = None
    descending: Annotated[bool, Query(description="The largest, or the latest, first.")] = False
    search: Annotated[
        str, Query(max_length=128, description="Only names that contain this; case does not count.")
    ] = ""
    not_since_days: Annotated[
        int | None, Query(ge=0, le=3650, description="Only users without a login in so many days.")
    ] = None
    refused_days: Annotated[
        int | None, Query(ge=0, le=3650, description="Only users refused within so many days.")
    ] = None
    suspended: Annotated[bool | None, Query(description="Only users who are, or are not, suspended.")] = None
    scheme: Annotated[
        str | None, Query(max_length=64, description="Only users whose password's hash has this scheme.")
    ] = None
    offset: Annotated[
        int, Query(ge=0, le=10_000_000, description="How many users to leave out: those of earlier pages.")
    ] = 0

    def query(self, prefix: str) -> UserQuery | None:
        """Return the query for the list in memory; None for users by name, whatever the prefix."""
        if self == _ALL:
            return None
        return UserQuery(
            self.sort or UserSort.NAME,
            self.descending,
            prefix,
            self.search.lower(),
            self.not_since_days,
            self.refused_days,
            self.suspended,
            self.scheme,
        )


_ALL = Wanted()
_AFTER_BY_NAME = FieldError(
    field="after", message="leads through the list by name: pages of a sorted or filtered one go by offset"
)


@router.get(
    "",
    summary="List the users",
    responses={
        200: {
            "description": "A page of users.",
            "headers": {
                "Link": {
                    "description": 'Leads to the next page, as `<...>; rel="next"`; missing on the last one.',
                    "schema": {"type": "string"},
                }
            },
        }
    },
)
async def list_users(
    repository: RepositoryDependency,
    lists: UserListsDependency,
    response: Response,
    _: Reader,
    limit: Limit = user_schemas.DEFAULT_PAGE,
    after: After = None,
    prefix: Prefix = "",
    wanted: Annotated[Wanted, Depends()] = _ALL,
) -> user_details.UserPage:
    """PEEP `u?`, a page at a time, sorted by the octets of the names; with figures of each user.

    If it is sorted by anything else, or filtered, the list is some seconds old, and pages are taken by
    `offset`.
    """
    query = wanted.query(prefix)
    since = time_if_any(await repository.recorded_since())
    if query is not None:
        if after is not None:
            raise errors.Refused(errors.INVALID, [_AFTER_BY_NAME])
        selection = await lists.page(query, wanted.offset, limit)
        users = list(map(user_details.listed, selection.users))
        answer = user_details.UserPage(users=users, next=None, total=selection.total, recorded_since=since)
        if wanted.refused_days is not None:
            strangers = await repository.user_records([STRANGERS])
            answer.refused_unknown_names = user_details.refused_unknown_names(strangers)
        return answer
    # One name more than the page has shows whether there is a next one.
    found = await repository.listed_users(after or "", limit + 1, prefix)
    page = found[:limit]
    next_after = page[-1].username if len(found) > limit else None
    if next_after is not None:
        response.headers["Link"] = f'<{_page_address(limit, prefix, next_after)}>; rel="next"'
    users = list(map(user_details.listed, page))
    return user_details.UserPage(users=users, next=next_after, total=None, recorded_since=since)


def _page_address(limit: int, prefix: str, after: str) -> str:
    query = {"limit": limit, "after": after, **({"prefix": prefix} if prefix else {})}
    return f"/v1/users?{urlencode(query)}"


@router.post(
    "",
    summary="Add a user, or many",
    status_code=201,
    response_model=None,
    responses={
        200: {"description": "What became of each of many users.", "model": user_schemas.AddedUsers},
        201: {
            "description": "The user is there.",
            "model": user_schemas.User,
            "headers": {"Location": {"description": "The path of the user.", "schema": {"type": "string"}}},
        },
        **errors.problems(errors.USER_EXISTS, errors.TOO_LARGE),
    },
)
async def add_user(
    body: user_schemas.NewUsersBody,
    repository: RepositoryDependency,
    passwords: PasswordsDependency,
    response: Response,
    administrator: Administrator,
) -> user_schemas.User | user_schemas.AddedUsers:
    """PEEP `u+`. The user can log in as soon as this is answered.

    Many users are added in one step, each with an outcome of its own; repeating the request does no harm.
    """
    if isinstance(body, user_schemas.NewUsers):
        response.status_code = 200
        added = await add_many(body, repository, passwords, by=administrator)
        if not body.dry_run:
            outcomes = Counter(one.outcome.value for one in added.results)
            log.info("many users added", administrator=administrator.name, **outcomes)
        return added
    await repository.add_user(body.username, await body.credential(passwords), by=administrator)
    log.info("user added", username=body.username, administrator=administrator.name)
    response.headers["Location"] = f"/v1/users/{quote(body.username, safe='')}"
    return user_schemas.User(username=body.username)


@router.get("/{username}", summary="Show a user", responses=errors.problems(errors.UNKNOWN_USER))
async def show_user(
    username: UsernamePath, repository: RepositoryDependency, _: Helper
) -> user_details.UserDetails:
    """Why logins were refused, the last login, traffic, and the session that is open now.

    Exact at the moment of the request. The `Location` of an added user leads here. If no user has the name,
    `errors` says how many logins under unknown names were refused.
    """
    credential, found, session, suspension = await asyncio.gather(
        repository.credential(username),
        repository.user_records([username, STRANGERS]),
        repository.session_of(username),
        repository.suspension(username),
    )
    if credential is None:
        raise errors.Refused(errors.UNKNOWN_USER, user_details.about_unknown_names(found))
    shown = session_of(session, time.time()) if session else None
    return user_details.details(username, credential, found, shown, suspension)


@router.delete(
    "/{username}", summary="Remove a user", status_code=204, responses=errors.problems(errors.UNKNOWN_USER)
)
async def remove_user(
    username: UsernamePath, repository: RepositoryDependency, administrator: Administrator
) -> None:
    """PEEP `u-`. The mail stays where it is, and an open session may go on to its end."""
    await repository.remove_user(username, by=administrator)
    log.info("user removed", username=username, administrator=administrator.name)


@router.put(
    "/{username}/password",
    summary="Change a user's password",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_USER, errors.TOO_LARGE),
)
async def change_password(
    username: UsernamePath,
    change: user_schemas.NewPasswordBody,
    repository: RepositoryDependency,
    passwords: PasswordsDependency,
    administrator: Helper,
) -> None:
    """PEEP `p=`. From now on the old password opens no session; open sessions go on."""
    await repository.set_credential(username, await change.credential(passwords), by=administrator)
    log.info("password changed", username=username, administrator=administrator.name)
