"""`/v1/settings`: what operators change while the server runs."""

import re
from collections.abc import Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Response
from fastapi.exceptions import RequestValidationError
from pydantic import WithJsonSchema

from state_api import errors, schemas
from state_api.conditional_answers import ENTITY_TAG
from state_api.confirmation import Confirmed, require_confirmation
from state_api.dependencies import Administrator, Reader, RepositoryDependency
from state_store import records
from state_store.errors import SettingsChanged

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/settings", tags=["settings"], responses=errors.FOR_ADMINISTRATORS)

_ENTITY_TAGS = re.compile(rf"[\t ,]*{ENTITY_TAG}(?:[\t ]*,[\t ,]*{ENTITY_TAG})*[\t ,]*")

IfMatch = Annotated[
    # The pattern is for documentation: a little more is accepted.
    list[Annotated[str, WithJsonSchema({"type": "string", "pattern": r'^((W/)?"[!#-~]*"|\*)$'})]],
    Header(
        alias="If-Match",
        default_factory=list,
        description="The `ETag` that was seen, or several, or `*`: if the settings have another one by now, "
        "nothing is changed.",
        examples=[['"7"']],
    ),
]
TAGGED = {
    "description": "The settings in force.",
    "headers": {
        "ETag": {
            "description": "Their version, for `If-Match` and `If-None-Match`.",
            "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        }
    },
}


@router.get("", summary="Show the settings in force", responses={200: TAGGED})
async def show_settings(repository: RepositoryDependency, response: Response, _: Reader) -> schemas.Settings:
    """PEEP `c?`, `t?` and `m?` in one."""
    return in_answer(await repository.settings(), response)


@router.patch(
    "",
    summary="Change settings",
    responses={
        200: TAGGED,
        **errors.problems(
            errors.SETTINGS_CHANGED,
            errors.NEEDS_CONFIRMATION,
            errors.TOO_LARGE,
            errors.INVALID,
            errors.MAIL_DIRECTORY_REFUSED,
        ),
    },
)
async def change_settings(
    change: schemas.SettingsChange,
    repository: RepositoryDependency,
    response: Response,
    administrator: Administrator,
    if_match: IfMatch,
    confirm: Confirmed = False,
) -> schemas.Settings:
    """PEEP `c=`, `t=` and `m=`: at least one of the settings; all POP3 processes apply it within a second.

    All is changed in one step, or nothing: if a POP3 process cannot use the mail directory, or if
    `If-Match` is given and somebody else was faster. A limit below the connections that are open now,
    or below a tenth of the one in force, a timeout under a minute or none, and another mail directory have to
    be confirmed.
    """
    given = change.given()
    expected = await _expected(if_match, repository)
    if not confirm:
        await require_confirmation(given, repository)
    settings = await repository.change_settings(**given, by=administrator, if_version=expected)
    for name, value in given.items():
        log.info("setting changed", administrator=administrator.name, **{name: value})
    return in_answer(settings, response)


async def _expected(if_match: list[str], repository: RepositoryDependency) -> int | None:
    if not if_match:
        return None
    version = (await repository.settings()).version
    if not _fits(if_match, version):
        raise SettingsChanged
    return version


def _fits(if_match: Sequence[str], version: int) -> bool:
    """Return whether the lines of an `If-Match` header allow this version to be changed (RFC 9110, 13.1.1).

    A weak tag never fits. Raises `RequestValidationError` for what is no list of tags.
    """
    # A tag may hold commas, so the lines are never split at them.
    text = ",".join(if_match)
    if text.strip() == "*":
        return True
    if not _ENTITY_TAGS.fullmatch(text):
        message = 'must be entity tags in double quotes separated by commas, as "7", or *'
        raise RequestValidationError([{"type": "value_error", "loc": ("header", "If-Match"), "msg": message}])
    return _entity_tag(version) in re.findall(ENTITY_TAG, text)


def _entity_tag(version: int) -> str:
    return f'"{version}"'


def in_answer(settings: records.Settings, response: Response) -> schemas.Settings:
    """Return the settings as the API shows them, with their version as the `ETag`."""
    response.headers["ETag"] = _entity_tag(settings.version)
    return schemas.Settings.model_validate(settings)
