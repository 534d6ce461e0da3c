"""Without a mouse, without eyes, enlarged: the keyboard alone, what axe finds, and nothing off the screen."""

from collections import Counter

import pytest
from playwright.sync_api import expect

from support.api_process import ADMINISTRATOR
from support.dashboard import VIEWS, Dashboard, Open, Scheme
from support.peep_services import Peep

TELEPHONE_TWICE_THE_SIZE = (195, 370)
ENLARGED = {
    "a telephone at 200 %": (TELEPHONE_TWICE_THE_SIZE, "100%"),
    "letters of twice the size": ((390, 740), "200%"),
}


def test_the_keyboard_alone_signs_in_and_closes_a_session(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("karl")
    keyboard = dashboard.page.keyboard
    with peep.log_in("karl") as client:
        expect(dashboard.page.get_by_label("Name")).to_be_focused()
        keyboard.type(ADMINISTRATOR[0])
        keyboard.press("Tab")
        keyboard.type(ADMINISTRATOR[1])
        keyboard.press("Enter")
        expect(dashboard.page.locator("#condition-text")).to_have_text("Live")
        dashboard.tab_to(dashboard.page.get_by_role("link", name="Sessions"))
        keyboard.press("Enter")
        expect(dashboard.page.get_by_role("heading", name="Sessions", level=1)).to_be_focused()
        close = dashboard.row("karl").get_by_role("button", name="Close the session of karl")
        expect(close).to_be_visible()
        dashboard.tab_to(close)
        keyboard.press("Enter")
        expect(dashboard.dialog().get_by_role("button", name="Cancel")).to_be_focused()
        keyboard.press("Enter")
        expect(dashboard.dialog()).to_be_hidden()
        expect(close).to_be_focused()
        keyboard.press("Enter")
        dashboard.tab_to(dashboard.dialog().get_by_role("button", name="Close session"))
        keyboard.press("Enter")
        client.rest()
    expect(dashboard.row("karl")).to_have_count(0)
    # The button that had the focus is gone: it is not lost, but where the button was.
    expect(dashboard.page.get_by_role("region", name="Open POP3 connections")).to_be_focused()


def test_the_first_tab_leads_past_the_navigation(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter()
    dashboard.reload()
    expect(dashboard.page.locator("#condition-text")).to_have_text("Live")
    skip = dashboard.page.get_by_role("link", name="Skip to the content")
    dashboard.tab_to(skip)
    dashboard.page.keyboard.press("Enter")
    expect(dashboard.page.get_by_role("main")).to_be_focused()
    expect(dashboard.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def test_the_section_that_is_open_is_marked_in_the_systems_colours_too(
    peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.page.emulate_media(forced_colors="active")
    dashboard.enter()
    links = dashboard.page.locator("#navigation a")
    marks = links.evaluate_all("links => links.map(link => getComputedStyle(link).borderBottomColor)")
    assert marks.count(marks[0]) == 1
    assert len(set(marks)) == 2


@pytest.mark.parametrize(("viewport", "letters"), ENLARGED.values(), ids=ENLARGED)
def test_nothing_that_is_enlarged_scrolls_sideways(
    peep: Peep, open_dashboard: Open, viewport: tuple[int, int], letters: str
) -> None:
    user = peep.add_user(f"nils-{viewport[0]}")
    suspension = {"reason": "not paid", "until": None}
    peep.api.client.put(f"/v1/users/{user}/suspension", json=suspension).raise_for_status()
    dashboard = open_dashboard(viewport=viewport, scheme="dark")
    dashboard.page.evaluate("size => document.documentElement.style.fontSize = size", letters)
    dashboard.enter()
    expect(dashboard.page.locator("#figures tbody tr")).not_to_have_count(0)
    for view in VIEWS:
        dashboard.go_to(view)
        expect(dashboard.page.get_by_text("Reading …").filter(visible=True)).to_have_count(0)
        assert not dashboard.is_wider_than_the_screen(), view


def test_the_navigation_of_an_enlarged_page_scrolls_away(peep: Peep, open_dashboard: Open) -> None:
    dashboard = open_dashboard(viewport=TELEPHONE_TWICE_THE_SIZE)
    dashboard.enter()
    navigation = dashboard.page.locator("#navigation")
    expect(navigation).to_be_in_viewport()
    dashboard.page.get_by_role("contentinfo").scroll_into_view_if_needed()
    expect(navigation).not_to_be_in_viewport()


def test_the_navigation_has_even_lines_at_any_width(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter()
    links = dashboard.page.locator("#navigation a")
    for width in range(320, 1300, 30):
        dashboard.page.set_viewport_size({"width": width, "height": 800})
        lines = Counter(links.evaluate_all("links => links.map(link => link.offsetTop)"))
        assert min(lines.values()) > 1, f"{lines} at {width} pixels"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anybodys_way(peep: Peep, open_dashboard: Open, scheme: Scheme) -> None:
    peep.add_user(f"lena-{scheme}")
    dashboard = open_dashboard(scheme=scheme)
    dashboard.sign_in("wrong")
    expect(dashboard.page.get_by_role("alert").filter(has_text="No administrator")).to_be_visible()
    assert dashboard.barriers() == []
    dashboard.enter()
    with peep.log_in(f"lena-{scheme}", encrypted=True):
        expect(dashboard.page.locator("#activity")).to_contain_text("logged in")
        for view in VIEWS:
            dashboard.go_to(view)
            if view in ("Sessions", "Users"):
                expect(dashboard.row(f"lena-{scheme}")).to_be_visible()
            assert dashboard.barriers() == [], view
        dashboard.go_to("Sessions")
        dashboard.row(f"lena-{scheme}").get_by_role("button").click()
        expect(dashboard.dialog()).to_be_visible()
        assert dashboard.barriers() == []


@pytest.mark.timeout(120)
def test_a_form_with_errors_and_old_figures_can_be_read_too(own_peep: Peep, open_dashboard: Open) -> None:
    dashboard = open_dashboard(scheme="dark")
    dashboard.expected_statuses.update((422, 503))
    dashboard.enter("Users")
    dashboard.page.get_by_role("button", name="Add a user").click()
    dashboard.dialog().get_by_role("button", name="Add").click()
    expect(dashboard.dialog().get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    assert dashboard.barriers() == []
    dashboard.page.keyboard.press("Escape")
    own_peep.redis.kill()
    expect(dashboard.page.locator("#condition-text")).to_have_text("Redis away")
    dashboard.go_to("Overview")
    assert dashboard.barriers() == []
