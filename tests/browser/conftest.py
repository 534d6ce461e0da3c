"""All services for a file's tests, and a fresh browser for each of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.dashboard import Dashboard, Open, chromium
from support.peep_services import Peep, start_peep


@pytest.fixture(scope="module")
def peep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peep]:
    """Give the services, which run as long as the file's tests."""
    with ExitStack() as stack:
        yield start_peep(stack, tmp_path_factory.mktemp("peep"))


@pytest.fixture
def own_peep(tmp_path: Path) -> Iterator[Peep]:
    """Give services of the test's own, which it may take away."""
    with ExitStack() as stack:
        yield start_peep(stack, tmp_path)


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Give a browser that ends with the test: none may be there when asyncio runs another test."""
    # The services come first and go last: their fixtures run loops of their own.
    for name in ("peep", "own_peep"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_dashboard(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Open]:
    """Give a function that opens the page; at the end nothing may have gone wrong in any."""
    services: Peep = request.getfixturevalue("own_peep" if "own_peep" in request.fixturenames else "peep")
    opened: list[Dashboard] = []

    def open_one(**options: object) -> Dashboard:
        opened.append(Dashboard(browser, services.api.url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for dashboard in opened:
        dashboard.check()


@pytest.fixture
def dashboard(open_dashboard: Open) -> Dashboard:
    """Give the page, before anybody has signed in."""
    return open_dashboard()
