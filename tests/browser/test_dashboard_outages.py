"""What is old is shown as old, and what is back shows by itself."""

from playwright.sync_api import expect

from support.dashboard import TELEPHONE, Open
from support.peep_services import Peep

_TITLE_IS_BELOW_THE_BAR = """
  document.getElementById("overview-title").getBoundingClientRect().top
    >= document.querySelector(".bar").getBoundingClientRect().bottom
"""


def test_redis_away_is_a_sign_that_goes_when_it_is_back(own_peep: Peep, open_dashboard: Open) -> None:
    dashboard = open_dashboard(viewport=TELEPHONE)
    dashboard.expected_statuses.add(503)
    dashboard.enter("Settings")
    timeout = dashboard.page.get_by_label("Timeout in seconds")
    expect(timeout).to_have_value("600")
    expect(dashboard.figure("logged_in_users")).to_have_text("0")  # there are figures to be old
    own_peep.redis.kill()
    notice = dashboard.page.locator("#notice")
    expect(notice).to_contain_text("Redis does not answer")
    expect(notice).to_contain_text("The figures are those of ")
    expect(dashboard.page.locator("html")).to_have_attribute("data-condition", "away")
    timeout.fill("123")
    dashboard.page.get_by_role("button", name="Save").click()
    expect(dashboard.page.locator("#settings").get_by_role("alert").first).to_contain_text("try again soon")
    expect(timeout).to_have_value("123")
    for _ in range(2):  # the second click scrolls to what is shown already
        dashboard.go_to("Overview")
    assert dashboard.page.evaluate(_TITLE_IS_BELOW_THE_BAR)
    own_peep.redis.start()
    expect(notice).to_be_hidden()
    expect(dashboard.page.locator("html")).to_have_attribute("data-condition", "live")


def test_a_stream_that_is_cut_is_a_sign_that_goes_when_it_is_back(
    own_peep: Peep, open_dashboard: Open
) -> None:
    own_peep.add_user("mona")
    dashboard = open_dashboard()
    dashboard.may_be_cut_off = True
    dashboard.enter()
    own_peep.api.kill()
    notice = dashboard.page.get_by_role("alert").filter(has_text="The server sends no events")
    expect(notice).to_be_visible()
    own_peep.api.start()
    expect(notice).to_be_hidden()
    with own_peep.log_in("mona"):
        expect(dashboard.figure("logged_in_users")).to_have_text("1")


def test_a_page_that_is_opened_while_redis_is_away_says_so_and_goes_on_by_itself(
    own_peep: Peep, open_dashboard: Open
) -> None:
    dashboard = open_dashboard()
    dashboard.expected_statuses.add(503)
    dashboard.enter()
    own_peep.redis.kill()
    dashboard.reload()
    expect(dashboard.page.get_by_role("alert").filter(has_text="Redis does not answer")).to_be_visible()
    own_peep.redis.start()
    expect(dashboard.page.locator("#condition-text")).to_have_text("Live")
