"""The HTTP application: routes, errors and documentation around one repository."""

from collections.abc import Callable

from fastapi import FastAPI
from starlette.middleware import Middleware

from service_runtime import VERSION
from state_api import documentation, errors
from state_api.dependencies import Services
from state_api.intake import Intake
from state_api.request_log import RequestLog
from state_api.routers import dashboard, health, metrics, monitoring, session, settings, users
from state_api.sign_in import SignIns
from state_store.authentication import Authenticator
from state_store.passwords import Passwords
from state_store.repository import StateRepository


def create_app(
    repository: StateRepository,
    authenticator: Authenticator,
    passwords: Passwords,
    *,
    is_draining: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Return the application over these parts; nothing is opened or started.

    While `is_draining` says so, `/readyz` asks for no more requests.
    """
    app = documentation.DocumentedApi(
        title="Peep state-api",
        version=VERSION,
        description=documentation.DESCRIPTION,
        openapi_tags=documentation.TAGS,
        # The framework's own pages load their scripts from elsewhere: ours works without the internet.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=errors.problems(errors.INTERNAL),
        middleware=[Middleware(RequestLog), Middleware(Intake)],
    )
    app.state.services = Services(repository, authenticator, passwords, is_draining, SignIns(repository))
    errors.install(app)
    for part in (settings, users, monitoring, health, metrics, documentation, session, dashboard):
        app.include_router(part.router)
    return app
