"""All services for a file's tests and one browser for all files; each test opens pages of its own."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.dashboard import Dashboard, Open, RunningBrowser
from support.peep_services import Peep, start_peep

BROWSER = RunningBrowser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Close the browser before tests of other folders: its event loop runs in this thread."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path.parent != item.path.parent:
            BROWSER.close()


@contextmanager
def services(folder: Path) -> Iterator[Peep]:
    """Give all services. They start and end in a thread of their own, since both run an event loop."""
    stack = ExitStack()
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(start_peep, stack, folder).result()
        finally:
            thread.submit(stack.close).result()


@pytest.fixture(scope="module")
def peep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peep]:
    """Give the services, which run as long as the file's tests."""
    with services(tmp_path_factory.mktemp("peep")) as peep:
        yield peep


@pytest.fixture
def own_peep(tmp_path: Path) -> Iterator[Peep]:
    """Give services of the test's own, which it may take away."""
    with services(tmp_path) as peep:
        yield peep


@pytest.fixture
def browser() -> Browser:
    """Give the browser."""
    return BROWSER.browser()


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
