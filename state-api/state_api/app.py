"""The HTTP application: routes, errors and documentation around one repository."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service_runtime import VERSION
from state_api import documentation, errors
from state_api.conditional_answers import ConditionalAnswers
from state_api.dependencies import Services
from state_api.event_feed import EventFeed
from state_api.known_parameters import refuse_unknown_parameters
from state_api.request_limits import RequestLimits
from state_api.request_log import RequestLog
from state_api.routers import (
    administrators,
    api_tokens,
    audit,
    closing,
    dashboard,
    events,
    health,
    health_report,
    history,
    metrics,
    monitoring,
    own_password,
    password_hashes,
    refusals,
    session,
    settings,
    users,
)
from state_api.sign_in import SignIns
from state_api.user_list import UserLists
from state_store.credentials.authentication import Authenticator
from state_store.credentials.noted_sign_ins import NotedSignIns
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

ROUTERS = tuple(
    part.router
    for part in (
        settings,
        users,
        password_hashes,
        refusals,
        administrators,
        own_password,
        api_tokens,
        monitoring,
        closing,
        events,
        audit,
        history,
        health,
        health_report,
        metrics,
        documentation,
        session,
        dashboard,
    )
)


def create_app(
    repository: StateRepository,
    authenticator: Authenticator,
    passwords: Passwords,
    *,
    is_draining: Callable[[], bool] = lambda: False,
    proxies: Sequence[IPv4Network | IPv6Network] = (),
    metrics_need_token: bool = False,
) -> FastAPI:
    """Return the application over these parts; nothing is opened or started.

    While `is_draining()`, `/readyz` fails and streams of events end.
    X-Forwarded-For and X-Forwarded-Proto are believed from peers in `proxies` only. With
    `metrics_need_token`, `/metrics` answers to nobody without a token or a name.
    """
    app = _documented_api(proxies)
    app.state.services = Services(
        repository,
        authenticator,
        passwords,
        is_draining,
        SignIns(repository),
        NotedSignIns(repository),
        EventFeed(repository, is_draining),
        UserLists(repository),
        metrics_need_token,
    )
    errors.install(app)
    app.state.routes = [route for router in ROUTERS for route in router.routes]
    for router in ROUTERS:
        # Links to the page, from mails and the like, may bear parameters that are none of ours.
        is_page = router is dashboard.router
        app.include_router(router, dependencies=[] if is_page else [Depends(refuse_unknown_parameters)])
    return app


def _documented_api(proxies: Sequence[IPv4Network | IPv6Network]) -> documentation.DocumentedApi:
    trusted = [str(network) for network in proxies]
    forwarded = [Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)] if trusted else []
    return documentation.DocumentedApi(
        title="Peep state-api",
        version=VERSION,
        description=documentation.DESCRIPTION,
        openapi_tags=documentation.TAGS,
        # The framework's own pages load their scripts from elsewhere: ours works without the internet.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=errors.problems(errors.INTERNAL, errors.INVALID),
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            *forwarded,
            Middleware(RequestLog),
            Middleware(ConditionalAnswers),
            Middleware(RequestLimits),
        ],
    )
