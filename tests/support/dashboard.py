"""The dashboard in a real browser, watched for everything that it must never do."""

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from support.api_process import ADMINISTRATOR
from support.clients import lack

CHROMIUM = "/usr/bin/chromium"
NAME_OF_LOOPBACK = "peep.example.org"
"""Under this name the browser finds this machine, and takes it for another one."""

_OPTIONS = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME_OF_LOOPBACK} 127.0.0.1"]
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
DESKTOP = (1280, 800)
TELEPHONE = (360, 740)
VIEWS = (
    *("Overview", "Health", "Sessions", "Instances", "Refusals", "Users"),
    *("Moves", "Settings", "Access", "Audit"),
)
MOST_TABS = 60
EVERY_MILLISECONDS = 2500
"""So often most views are read anew."""

# What the page announces goes away by itself, however late the test looks.
_REMEMBER_ANNOUNCEMENTS = """
  addEventListener("DOMContentLoaded", () => {
    const told = document.documentElement.dataset;
    new MutationObserver((changes) => {
      for (const line of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        told.announced = `${told.announced ?? ""}${line.textContent}\n`;
      }
    }).observe(document.getElementById("announcement"), { childList: true });
  });
"""

_AXE = Axe().axe_script
_VIOLATIONS = "axe.run({ resultTypes: ['violations'] }).then(found => found.violations)"

Scheme = Literal["light", "dark"]

# What a browser writes into its console when an answer is an error, whatever the page makes of it.
_ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_CUT = re.compile(r"Failed to load resource: net::ERR_")

# Chromium drops what is under way whenever a network interface of the machine comes or goes, as those of
# containers do; no option keeps it from that.
_NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"

EXPECTING_SECONDS = 30.0
"""Far more than anything takes, even on a busy machine."""

expect.set_options(timeout=1000 * EXPECTING_SECONDS)


def beside_the_browser(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a thread of its own: a browser's event loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser; without one the test is skipped, or fails where it must run."""
    program = shutil.which("chromium") or CHROMIUM
    if not Path(program).exists():
        lack("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class RunningBrowser:
    """A browser that is started when it is needed, and again after it was closed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser: Browser | None = None

    def browser(self) -> Browser:
        """Return the browser, which runs from now on."""
        if self._browser is None:
            self._browser = self._stack.enter_context(chromium())
        return self._browser

    def close(self) -> None:
        """End it, if it runs."""
        self._stack.close()
        self._browser = None


class Dashboard:
    """One page of the dashboard, as a person sees it."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        scheme: Scheme = "light",
        viewport: tuple[int, int] = DESKTOP,
    ) -> None:
        self.url = url
        self.expected_statuses = {401}
        """Error statuses that this test provokes; the first question who is signed in is always one."""
        self.may_be_cut_off = False
        self._complaints: list[str] = []
        width, height = viewport
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
        )
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self._complaints.append(f"exception: {error}"))
        self.page.on("request", self._note_request)
        self.page.add_init_script(_REMEMBER_ANNOUNCEMENTS)
        self._was_dropped = False
        self._load(lambda: self.page.goto(url))

    def reload(self) -> None:
        """Load the page anew."""
        self._load(self.page.reload)

    def check(self) -> None:
        """Fail if anything went wrong that nobody would have seen on the page."""
        assert not self._complaints, "\n".join(self._complaints)

    def sign_in(self, password: str = ADMINISTRATOR[1], name: str = ADMINISTRATOR[0]) -> None:
        """Fill the form and send it."""
        form = self.page.locator("#sign-in")
        form.get_by_label("Name").fill(name)
        form.get_by_label("Password", exact=True).fill(password)
        form.get_by_role("button", name="Sign in").click()

    def enter(self, view: str = "Overview") -> None:
        """Sign in, and go to a view."""
        self.sign_in()
        expect(self.page.locator("#condition-text")).to_have_text("Live")
        if view != "Overview":
            self.go_to(view)

    def go_to(self, view: str) -> None:
        """Follow a link of the navigation."""
        self.page.get_by_role("navigation", name="Sections").get_by_role("link", name=view).click()
        expect(self.page.get_by_role("heading", name=view, level=1)).to_be_visible()

    def row(self, name: str) -> Locator:
        """Return the row of a table that begins with this name."""
        cell = self.page.get_by_role("cell", name=name, exact=True)
        return self.page.get_by_role("row").filter(has=cell)

    def figure(self, gauge: str) -> Locator:
        """Return the large figure of a gauge, by the counter's name."""
        return self.page.locator(f'[data-gauge="{gauge}"] .figure')

    def dialog(self) -> Locator:
        """Return the dialog that is open."""
        return self.page.get_by_role("dialog")

    def announced(self, words: str) -> None:
        """Wait until the page has announced this."""
        expect(self.page.locator("html")).to_have_attribute("data-announced", re.compile(re.escape(words)))

    def stop_clock(self) -> None:
        """Let no timer of the page end but by `page.clock.run_for`."""
        self.page.clock.install()
        self.page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=10))

    def run_clock_until(self, holds: Callable[[], bool], what: str) -> None:
        """Let the time of a page with a stopped clock pass, half a second at once, until `holds` says so."""
        deadline = time.monotonic() + EXPECTING_SECONDS
        while not holds():
            assert time.monotonic() < deadline, what
            self.page.clock.run_for(500)

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"no number of tabs leads to {target}")

    def picture(self, name: str) -> None:
        """Keep what is seen now as build/screenshots/NAME.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def is_wider_than_the_screen(self) -> bool:
        """Tell whether one has to scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def barriers(self) -> list[str]:
        """Return what axe finds of serious or critical impact, one line each."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_AXE)
        found: list[dict[str, Any]] = self.page.evaluate(_VIOLATIONS)
        return [
            f"{one['id']}: {node['html']} {node['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def _load(self, load: Callable[[], object]) -> None:
        deadline = time.monotonic() + EXPECTING_SECONDS
        while time.monotonic() < deadline:
            self._was_dropped = False
            try:
                load()
            except Error as error:
                if _NETWORK_CHANGED not in error.message:
                    raise
                self._was_dropped = True
            if not self._was_dropped:
                return
            self.page.wait_for_timeout(200)
        raise AssertionError(f"{_NETWORK_CHANGED} each time that the page was loaded")

    def _note_console(self, message: ConsoleMessage) -> None:
        if _NETWORK_CHANGED in message.text:
            self._was_dropped = True
            return
        answered = _ANSWERED.match(message.text)
        if answered and int(answered[1]) in self.expected_statuses:
            return
        if _CUT.match(message.text) and self.may_be_cut_off:
            return
        # A violation of the Content-Security-Policy is told here too.
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self._complaints.append(f"a request to {request.url}")


class HeldBack:
    """The answers to some requests of a page, each of which comes when the test says so."""

    def __init__(self, page: Page, url: str | re.Pattern[str]) -> None:
        self._page = page
        self._routes: list[Route] = []
        page.route(url, self._hold)

    @property
    def are_waiting(self) -> bool:
        """Whether there are requests that are not answered."""
        return bool(self._routes)

    def next(self) -> Route:
        """Return the oldest request that is not answered, once there is one."""
        deadline = time.monotonic() + EXPECTING_SECONDS
        while not self._routes:
            assert time.monotonic() < deadline, "the page asks nothing of the kind"
            self._page.wait_for_timeout(10)
        return self._routes.pop(0)

    def _hold(self, route: Route) -> None:
        self._routes.append(route)


Open = Callable[..., Dashboard]
"""Opens the page of the test's services; it takes the options of `Dashboard`."""
