"""`/v1/settings`: what operators change while the server runs."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Response
from pydantic import WithJsonSchema

from state_api import preconditions, schemas
from state_api.dependencies import Administrator, RepositoryDependency
from state_api.errors import (
    INVALID,
    MAIL_DIRECTORY_REFUSED,
    SETTINGS_CHANGED,
    STORE_UNAVAILABLE,
    TOO_LARGE,
    UNAUTHENTICATED,
    problems,
)
from state_store import records
from state_store.errors import SettingsChanged

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(
    prefix="/v1/settings", tags=["settings"], responses=problems(UNAUTHENTICATED, STORE_UNAVAILABLE)
)

IfMatch = Annotated[
    list[Annotated[str, WithJsonSchema({"type": "string", "pattern": preconditions.PATTERN})]],
    Header(
        alias="If-Match",
        default_factory=list,
        description="The `ETag` that was seen, or several, or `*`: where the settings have another by now, "
        "nothing is changed.",
        examples=[['"7"']],
    ),
]
_TAGGED = {
    "description": "The settings in force.",
    "headers": {
        "ETag": {
            "description": "Their version, for `If-Match`.",
            "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        }
    },
}


@router.get("", operation_id="show_settings", summary="Show the settings in force", responses={200: _TAGGED})
async def show_settings(
    repository: RepositoryDependency, response: Response, _: Administrator
) -> schemas.Settings:
    """PEEP `c?`, `t?` and `m?` in one."""
    return _shown(await repository.settings(), response)


@router.patch(
    "",
    operation_id="change_settings",
    summary="Change settings",
    responses={200: _TAGGED, **problems(SETTINGS_CHANGED, TOO_LARGE, INVALID, MAIL_DIRECTORY_REFUSED)},
)
async def change_settings(
    change: schemas.SettingsChange,
    repository: RepositoryDependency,
    response: Response,
    administrator: Administrator,
    if_match: IfMatch,
) -> schemas.Settings:
    """PEEP `c=`, `t=` and `m=`: any of the settings, at least one; live instances obey within a second.

    All of it is done in one step, or nothing: when a POP3 instance cannot use the mail directory, or when
    `If-Match` is given and somebody else was faster.
    """
    given = change.given()
    settings = await repository.change_settings(**given, if_version=await _expected(if_match, repository))
    for name, value in given.items():
        log.info("setting changed", administrator=administrator, **{name: value})
    return _shown(settings, response)


async def _expected(if_match: list[str], repository: RepositoryDependency) -> int | None:
    if not if_match:
        return None
    version = (await repository.settings()).version
    if not preconditions.fits(if_match, version):
        raise SettingsChanged
    return version


def _shown(settings: records.Settings, response: Response) -> schemas.Settings:
    response.headers["ETag"] = preconditions.entity_tag(settings.version)
    return schemas.Settings.model_validate(settings)
