"""`/v1/administrators`: the administrators and their roles."""

import asyncio
from typing import Annotated

import structlog
from fastapi import APIRouter, Path

from state_api import administrator_schemas as schemas
from state_api import errors
from state_api.dependencies import Administrator, PasswordsDependency, Reader, RepositoryDependency

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/administrators", tags=["administrators"], responses=errors.FOR_ADMINISTRATORS)

NamePath = Annotated[str, Path(description="An administrator's name.", examples=["bob"])]

_CHANGE_ERRORS = errors.problems(
    errors.UNKNOWN_ADMINISTRATOR,
    errors.ADMINISTRATOR_OF_SETTINGS,
    errors.LAST_ADMINISTRATOR,
    errors.CHANGED_TOO_OFTEN,
    errors.TOO_LARGE,
)


@router.get("", summary="List the administrators")
async def list_administrators(repository: RepositoryDependency, _: Reader) -> schemas.Administrators:
    """Those from the services' settings, and those that were made while the services run."""
    known, of_settings = await asyncio.gather(
        repository.administrators(), repository.administrators_of_settings()
    )
    return schemas.Administrators(
        administrators=[
            schemas.Administrator(name=name, role=one.role, is_from_settings=name in of_settings)
            for name, one in sorted(known.items())
        ]
    )


@router.post(
    "",
    summary="Make an administrator",
    status_code=201,
    responses=errors.problems(errors.ADMINISTRATOR_EXISTS, errors.TOO_MANY, errors.TOO_LARGE),
)
async def add_administrator(
    body: schemas.NewAdministrator,
    repository: RepositoryDependency,
    passwords: PasswordsDependency,
    administrator: Administrator,
) -> schemas.Administrator:
    """He can sign in as soon as this is answered. If settings name him later, they win."""
    password_hash = await passwords.new_hash(body.password)
    await repository.add_administrator(body.name, body.role, password_hash, by=administrator)
    log.info("administrator added", name=body.name, role=body.role.value, administrator=administrator.name)
    return schemas.Administrator(name=body.name, role=body.role, is_from_settings=False)


@router.put(
    "/{name}/password",
    summary="Change an administrator's password",
    status_code=204,
    responses=_CHANGE_ERRORS,
)
async def change_administrator_password(
    name: NamePath,
    body: schemas.AdministratorPassword,
    repository: RepositoryDependency,
    passwords: PasswordsDependency,
    administrator: Administrator,
) -> None:
    """All of his sign-ins end: on the dashboard, over PEEP, and his streams of events."""
    password_hash = await passwords.new_hash(body.password)
    await repository.set_administrator_password(name, password_hash, by=administrator)
    log.info("administrator's password changed", name=name, administrator=administrator.name)


@router.put(
    "/{name}/role", summary="Change an administrator's role", status_code=204, responses=_CHANGE_ERRORS
)
async def change_administrator_role(
    name: NamePath,
    body: schemas.AdministratorRole,
    repository: RepositoryDependency,
    administrator: Administrator,
) -> None:
    """All of his sign-ins end. The last administrator with the role `all` keeps it."""
    await repository.set_administrator_role(name, body.role, by=administrator)
    log.info(
        "administrator's role changed", name=name, role=body.role.value, administrator=administrator.name
    )


@router.delete("/{name}", summary="Remove an administrator", status_code=204, responses=_CHANGE_ERRORS)
async def remove_administrator(
    name: NamePath, repository: RepositoryDependency, administrator: Administrator
) -> None:
    """All of his sign-ins end; API tokens that he has made stay valid. The last one with `all` stays."""
    await repository.remove_administrator(name, by=administrator)
    log.info("administrator removed", name=name, administrator=administrator.name)
