"""`/livez`, `/readyz`, `/healthz`, for supervisors and load balancers. None needs a password."""

from fastapi import APIRouter

from state_api.dependencies import ServicesDependency
from state_api.errors import DRAINING, STORE_EMPTIED, STORE_UNAVAILABLE, Refused, problems
from state_api.schemas import Health, Readiness

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is this process alive?")
async def show_liveness() -> Health:
    """Says nothing about Redis: restarting this process would not bring it back."""
    return Health(status="alive")


@router.get("/healthz", summary="The same as /livez")
async def show_health() -> Health:
    """Another name that some tools ask by."""
    return await show_liveness()


@router.get(
    "/readyz",
    summary="Can requests be served?",
    responses=problems(STORE_UNAVAILABLE, STORE_EMPTIED, DRAINING),
)
async def show_readiness(services: ServicesDependency) -> Readiness:
    """Yes while Redis answers, has the users that it had, and the process is not about to stop."""
    if services.is_draining():
        raise Refused(DRAINING)
    await services.repository.attend()
    await services.repository.ping()
    return Readiness(status="ready", warnings=await services.repository.warnings())
