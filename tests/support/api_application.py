"""The HTTP application, whose routes are built once and not for each test."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

from fastapi import FastAPI

from state_api.app import create_app
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

_idle: defaultdict[tuple[str, ...], list[FastAPI]] = defaultdict(list)


@contextmanager
def application(
    repository: StateRepository,
    authenticator: Authenticator,
    passwords: Passwords,
    *,
    is_draining: Callable[[], bool] = lambda: False,
    proxies: Sequence[str] = (),
    metrics_need_token: bool = False,
) -> Iterator[FastAPI]:
    """Give an application over these parts.

    The first request to an application builds its routes, which takes 0.1 s. All that differs between two
    applications with equal proxies are their services: one that an earlier test has left gets new ones.
    """
    networks = [ip_network(proxy) for proxy in proxies]
    made = create_app(
        repository,
        authenticator,
        passwords,
        is_draining=is_draining,
        proxies=networks,
        metrics_need_token=metrics_need_token,
    )
    idle = _idle[tuple(proxies)]
    app = idle.pop() if idle else made
    app.state.services = made.state.services
    try:
        yield app
    finally:
        idle.append(app)
