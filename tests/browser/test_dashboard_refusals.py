"""What is refused, on the page: suspensions, bans, exemptions, slow-downs; set there, and lifted."""

import re

from playwright.sync_api import expect

from support.allowances import use_up
from support.dashboard import Dashboard, beside_the_browser
from support.peep_services import Peep
from support.whole_store import repository_on

SUBJECTS = {
    "user alice": "198.51.100.{}",
    "user bob": "203.0.113.9",
    "administrator root": "2001:db8:0:{:x}::/64",
}


async def guess(redis_url: str) -> None:
    """Use up what these users, and the network of one of them, are allowed."""
    async with repository_on(redis_url) as repository:
        for subject, network in SUBJECTS.items():
            await use_up(repository, subject, network)


def test_slow_downs_are_shown_and_lifted_and_the_feed_tells_when_they_began(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.enter()
    expect(dashboard.figure("logged_in_users")).to_have_text("0")  # the stream of events is open
    beside_the_browser(guess(own_peep.redis.url))
    feed = dashboard.page.locator("#activity")
    expect(feed).to_contain_text("from many networks are slowed down")
    expect(feed).to_contain_text(re.compile("In all [0-9]+ refused attempts, [0-9]+ slow-downs"))
    dashboard.go_to("Refusals")
    rows = dashboard.page.locator("#refusals tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="203.0.113.9")).to_contain_text("wrong passwords: 1 attempt had to wait")
    expect(rows.filter(has_text="root")).to_contain_text("administrator")
    expect(dashboard.page.locator("#refusals .summary")).to_have_text(
        "0 suspended, 0 banned, 0 exempt, 3 slow-downs"
    )
    dashboard.picture("slow-downs")
    dashboard.page.get_by_role("button", name="Lift the slow-down from 203.0.113.9").click()
    dashboard.picture("slow-downs-dialog")
    dashboard.dialog().get_by_role("button", name="Lift").click()
    expect(rows).to_have_count(2)
    dashboard.announced("The slow-down from 203.0.113.9 is lifted")
    left = own_peep.api.client.get("/v1/slow-downs").json()["slow_downs"]
    assert {one["username"] for one in left} == {"alice", "root"}


def test_a_user_is_suspended_with_a_reason_and_let_in_again(own_peep: Peep, dashboard: Dashboard) -> None:
    own_peep.add_user("carol")
    dashboard.expected_statuses.add(404)
    dashboard.enter()
    dashboard.go_to("Refusals")
    page = dashboard.page
    page.get_by_role("button", name="Suspend a user").click()
    dialog = dashboard.dialog()
    dialog.get_by_role("button", name="Suspend").click()
    expect(dialog).to_contain_text("Give a user's name.")
    dialog.get_by_label("User").fill("nobody-here")
    dialog.get_by_label("Reason").fill("x" * 201)
    dialog.get_by_role("button", name="Suspend").click()
    expect(dialog).to_contain_text("A reason has at most 200 characters, and this one has 201.")
    dialog.get_by_label("Reason").fill("the bill is not paid")
    dialog.get_by_label("How long").select_option("For a week")
    dialog.get_by_role("button", name="Suspend").click()
    expect(dialog).to_contain_text("No POP3 user has this name.")
    dashboard.picture("suspension-dialog")
    dialog.get_by_label("User").fill("carol")
    dialog.get_by_role("button", name="Suspend").click()
    dashboard.announced("carol is suspended")
    row = page.locator("#refusals tbody tr").filter(has_text="carol")
    expect(row).to_contain_text("the bill is not paid")
    page.get_by_role("button", name="Suspend a user").click()
    dialog.get_by_label("User").fill("carol")
    dialog.get_by_label("Reason").fill("gone")
    dialog.get_by_role("button", name="Suspend").click()
    question = page.get_by_role("dialog", name="carol is suspended already")
    expect(question).to_contain_text("By root: the bill is not paid.")
    question.get_by_role("button", name="Cancel").click()
    expect(dialog).to_contain_text("Nothing was changed: the earlier suspension holds.")
    dialog.get_by_role("button", name="Suspend").click()
    question.get_by_role("button", name="Replace").click()
    expect(row).to_contain_text("gone")
    expect(row).to_contain_text("no end")
    expect(page.locator("#activity")).to_contain_text("carol is suspended, by ")
    expect(page.get_by_role("link", name="Users whose logins were refused lately")).to_be_visible()
    dashboard.picture("refusals")
    page.get_by_role("button", name="Lift the suspension of carol").click()
    dashboard.dialog().get_by_role("button", name="Lift").click()
    expect(row).to_have_count(0)
    dashboard.announced("The suspension of carol is lifted")
    page.get_by_role("link", name="Users whose logins were refused lately").click()
    expect(page.get_by_label("Show", exact=True)).to_have_value("refused_days=1")


def test_a_ban_of_everybody_is_asked_about_and_one_that_makes_no_sense_is_told(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.expected_statuses.update((409, 422))
    dashboard.enter()
    dashboard.go_to("Refusals")
    page = dashboard.page
    page.get_by_role("button", name="Ban a network").click()
    dialog = dashboard.dialog()
    network = dialog.get_by_label("Address or network")
    network.fill("192.0.2.7/24")
    dialog.get_by_role("button", name="Ban").click()
    expect(dialog).to_contain_text("192.0.2.0/24 would be the network")
    network.fill("0.0.0.0/0")
    dialog.get_by_role("button", name="Ban").click()
    question = page.get_by_role("dialog", name="Ban this all the same?")
    expect(question).to_contain_text("This ban concerns everybody who is in no exempt network.")
    dashboard.picture("ban-question")
    question.get_by_role("button", name="Cancel").click()
    assert own_peep.api.client.get("/v1/refusals").json()["refusals"] == []
    network.fill("198.51.100.0/24")
    page.get_by_role("dialog", name="Ban a network").get_by_role("button", name="Ban").click()
    dashboard.announced("198.51.100.0/24 is banned")
    page.locator("#refusals").get_by_label("Find").fill("203.0")
    expect(page.locator("#refusals")).to_contain_text("No refusal matches the filter.")
    page.locator("#refusals").get_by_label("Find").fill("51.100")
    expect(page.locator("#refusals tbody tr")).to_have_count(1)
