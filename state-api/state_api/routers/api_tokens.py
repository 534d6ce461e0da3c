"""`/v1/tokens`: API tokens, which programs use instead of a name and a password."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Path

from state_api import administrator_schemas as schemas
from state_api import errors
from state_api.dependencies import Administrator, Reader, RepositoryDependency
from state_api.times import time_if_any, time_of
from state_store.administrators import ApiToken
from state_store.credentials.api_tokens import new_token, token_digest

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/tokens", tags=["administrators"], responses=errors.FOR_ADMINISTRATORS)

NamePath = Annotated[str, Path(description="A token's name.", examples=["prometheus"])]


@router.get("", summary="List the API tokens")
async def list_tokens(repository: RepositoryDependency, _: Reader) -> schemas.ApiTokens:
    """Without the tokens themselves, of which only digests are kept."""
    return schemas.ApiTokens(tokens=[_shown(token) for token in await repository.api_tokens()])


@router.post(
    "",
    summary="Make an API token",
    status_code=201,
    responses=errors.problems(errors.API_TOKEN_EXISTS, errors.TOO_MANY, errors.TOO_LARGE),
)
async def make_token(
    body: schemas.NewApiToken, repository: RepositoryDependency, administrator: Administrator
) -> schemas.MadeApiToken:
    """Only this answer ever shows the token. It belongs to nobody, so it outlives whoever has made it."""
    token = new_token()
    await repository.make_api_token(
        body.name,
        token_digest(token),
        body.role,
        networks=body.networks,
        ends_at=body.ends_at.timestamp() if body.ends_at is not None else 0.0,
        by=administrator,
    )
    log.info("API token made", token=body.name, role=body.role.value, administrator=administrator.name)
    return schemas.MadeApiToken(name=body.name, token=token)


@router.delete(
    "/{name}",
    summary="Revoke an API token",
    status_code=204,
    responses=errors.problems(errors.UNKNOWN_API_TOKEN),
)
async def revoke_token(
    name: NamePath, repository: RepositoryDependency, administrator: Administrator
) -> None:
    """From now on all replicas refuse it, and its streams of events end."""
    await repository.revoke_api_token(name, by=administrator)
    log.info("API token revoked", token=name, administrator=administrator.name)


def _shown(token: ApiToken) -> schemas.ApiToken:
    return schemas.ApiToken(
        name=token.name,
        role=token.role,
        networks=list(token.networks),
        ends_at=time_if_any(token.ends_at),
        made_at=time_of(token.made_at),
        made_by=token.made_by,
        used_at=time_if_any(token.used_at),
        used_from=token.used_from or None,
    )
