"""`/v1/password-hashes` and `/v1/password-schemes`: what is known of users' passwords."""

import structlog
from fastapi import APIRouter, Request

from state_api import errors, user_schemas
from state_api.dependencies import Administrator, Reader, RepositoryDependency
from state_api.routers.users import After, Limit
from state_store.credentials.hashes.imported import exported

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["users"], responses=errors.FOR_ADMINISTRATORS)


@router.get("/password-schemes", summary="Count the users who still have an imported password hash")
async def list_password_schemes(repository: RepositoryDependency, _: Reader) -> user_schemas.PasswordSchemes:
    """All others have hashes of our own: argon2id, with a verifier for SCRAM."""
    counts = await repository.hash_counts()
    schemes = counts.by_scheme
    return user_schemas.PasswordSchemes(
        users=counts.users,
        imported=sum(schemes.values()),
        schemes=[user_schemas.PasswordScheme(scheme=name, users=users) for name, users in schemes.items()],
    )


@router.get("/password-hashes", summary="List the users with their password hashes")
async def list_password_hashes(
    request: Request,
    repository: RepositoryDependency,
    administrator: Administrator,
    limit: Limit = user_schemas.DEFAULT_PAGE,
    after: After = None,
) -> user_schemas.UserHashPage:
    """For `peepctl users export`. Name and password are needed: the dashboard's cookie is not enough."""
    if "Authorization" not in request.headers:
        raise errors.Refused(errors.UNAUTHENTICATED)
    names = await repository.usernames_after(after or "", limit + 1)
    page = names[:limit]
    credentials = await repository.credentials(page)
    log.info("password hashes shown", administrator=administrator.name, users=len(page))
    return user_schemas.UserHashPage(
        users=[
            user_schemas.UserHash(username=name, password_hash=exported(credential))
            for name, credential in zip(page, credentials, strict=True)
            if credential is not None  # removed meanwhile
        ],
        next=page[-1] if len(names) > limit else None,
    )
