"""Who gets in, and how one is put out."""

from playwright.sync_api import expect

from support.dashboard import Dashboard, HeldBack, Open
from support.peep_services import Peep


def test_a_wrong_password_is_told_and_the_right_one_lets_in(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.sign_in("wrong")
    alert = dashboard.page.get_by_role("alert").filter(
        has_text="No administrator has this name and password."
    )
    expect(alert).to_be_visible()
    expect(dashboard.page.get_by_label("Password", exact=True)).to_be_focused()
    dashboard.enter()
    expect(dashboard.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    expect(dashboard.page.locator("#administrator")).to_have_text("root")


def test_the_page_says_that_it_is_live_once_events_come(peep: Peep, dashboard: Dashboard) -> None:
    streams = HeldBack(dashboard.page, "**/v1/events")
    dashboard.sign_in()
    stream = streams.next()
    expect(dashboard.page.locator("#condition-text")).to_have_text("Connecting")
    stream.continue_()
    expect(dashboard.page.locator("#condition-text")).to_have_text("Live")


def test_a_page_loaded_anew_stays_signed_in_until_sign_out(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter("Users")
    dashboard.reload()
    expect(dashboard.page.get_by_role("heading", name="Users", level=1)).to_be_visible()
    dashboard.page.get_by_role("button", name="Sign out").click()
    expect(dashboard.page.locator("#sign-in")).to_be_visible()
    dashboard.reload()
    expect(dashboard.page.locator("#sign-in")).to_be_visible()


def test_the_cookie_is_out_of_reach_of_scripts(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter()
    (cookie,) = dashboard.page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("peep_session", True, "Strict")
    assert dashboard.page.evaluate("document.cookie") == ""


def test_who_is_no_administrator_any_more_is_put_out(own_peep: Peep, open_dashboard: Open) -> None:
    dashboard = open_dashboard()
    dashboard.stop_clock()
    dashboard.enter("Sessions")
    with own_peep.redis.client() as client:
        client.delete("{peep}:administrators")
    dashboard.run_clock_until(dashboard.page.locator("#sign-in").is_visible, "root is put out")
    expect(dashboard.page.get_by_role("alert").filter(has_text="You are signed out")).to_be_visible()
    expect(dashboard.page.locator("#app")).to_be_hidden()
