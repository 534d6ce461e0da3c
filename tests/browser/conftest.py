"""All services and one browser for a file's tests, each of which opens pages of its own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.dashboard import Dashboard, Open, RunningBrowser
from support.peep_services import Peep, start_peep


@pytest.fixture(scope="session")
def running_browser() -> Iterator[RunningBrowser]:
    """Give the browser, closed while services start and end: each runs an event loop in this thread."""
    with RunningBrowser() as browser:
        yield browser


@pytest.fixture(scope="module")
def peep(tmp_path_factory: pytest.TempPathFactory, running_browser: RunningBrowser) -> Iterator[Peep]:
    """Give the services, which run as long as the file's tests."""
    running_browser.close()
    with ExitStack() as stack:
        yield start_peep(stack, tmp_path_factory.mktemp("peep"))
        running_browser.close()


@pytest.fixture
def own_peep(tmp_path: Path, running_browser: RunningBrowser) -> Iterator[Peep]:
    """Give services of the test's own, which it may take away."""
    running_browser.close()
    with ExitStack() as stack:
        yield start_peep(stack, tmp_path)
        running_browser.close()


@pytest.fixture
def browser(request: pytest.FixtureRequest, running_browser: RunningBrowser) -> Browser:
    """Give the browser, once the services run that the test needs."""
    for name in ("peep", "own_peep"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    return running_browser.browser()


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
        dashboard.page.close()


@pytest.fixture
def dashboard(open_dashboard: Open) -> Dashboard:
    """Give the page, before anybody has signed in."""
    return open_dashboard()
