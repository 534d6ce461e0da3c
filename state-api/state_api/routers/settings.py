"""`/v1/settings`: what operators change while the server runs."""

import structlog
from fastapi import APIRouter

from state_api import schemas
from state_api.dependencies import Administrator, RepositoryDependency
from state_api.errors import (
    INVALID,
    MAIL_DIRECTORY_REFUSED,
    STORE_UNAVAILABLE,
    TOO_LARGE,
    UNAUTHENTICATED,
    problems,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(
    prefix="/v1/settings", tags=["settings"], responses=problems(UNAUTHENTICATED, STORE_UNAVAILABLE)
)


@router.get("", operation_id="show_settings", summary="Show the settings in force")
async def show_settings(repository: RepositoryDependency, _: Administrator) -> schemas.Settings:
    """PEEP `c?`, `t?` and `m?` in one."""
    return schemas.Settings.model_validate(await repository.settings())


@router.patch(
    "",
    operation_id="change_settings",
    summary="Change settings",
    responses=problems(TOO_LARGE, INVALID, MAIL_DIRECTORY_REFUSED),
)
async def change_settings(
    change: schemas.SettingsChange, repository: RepositoryDependency, administrator: Administrator
) -> schemas.Settings:
    """PEEP `c=`, `t=` and `m=`: any of the settings, at least one; live instances obey within a second.

    A mail directory that some POP3 instance cannot use is refused, and then nothing else is changed either.
    """
    given = change.given()
    settings = await repository.change_settings(**given)
    for name, value in given.items():
        log.info("setting changed", administrator=administrator, **{name: value})
    return schemas.Settings.model_validate(settings)
