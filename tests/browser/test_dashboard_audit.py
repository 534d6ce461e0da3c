"""The audit on the page: who did what, shown harmlessly whatever the names are, and setting a change back."""

import re

from playwright.sync_api import expect

from state_store.audit import Actor, Door
from state_store.records import Credential
from support.dashboard import Dashboard, HeldBack, beside_the_browser
from support.peep_services import Peep
from support.whole_store import repository_on

HOSTILE = Actor("<img src=x onerror=document.title='owned'>\u202egnp", Door.PEEP, "<b>192.0.2.9</b>")


async def act(redis_url: str) -> None:
    """Have somebody with a hostile name act, and fill more than a page."""
    async with repository_on(redis_url) as repository:
        await repository.add_users([("<script>alert(1)</script>", Credential("hash", "1"))], by=HOSTILE)
        for number in range(60):
            await repository.add_user(f"many{number}", Credential("hash", "1"), by=HOSTILE)


def test_a_change_is_found_and_set_back(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.add(409)
    peep.api.change_settings(max_connections=1000, timeout_seconds=600)
    dashboard.enter("Settings")
    peep.api.change_settings(timeout_seconds=59)
    peep.api.change_settings(timeout_seconds=301)
    page = dashboard.page
    page.get_by_role("link", name="Who changed what").click()
    expect(page.get_by_label("What", exact=True)).to_have_value("settings")
    expect(page.get_by_role("cell", name="administrator.sign-in").first).to_be_hidden()
    page.get_by_label("To what").fill("timeout_seconds")
    row = page.get_by_role("row").filter(has_text="301")
    expect(row).to_contain_text("59")  # the old value, beside the new one
    expect(row).to_contain_text("settings.change")
    set_back_to_59 = page.get_by_role("button", name="Undo: the timeout back to 59 s").last  # the older one
    set_back_to_59.click()
    dialog = dashboard.dialog()
    expect(dialog).to_contain_text("It was 59 s until")
    expect(dialog).to_contain_text("set it to 5 min 1 s")
    set_back = dialog.get_by_role("button", name="Undo")
    set_back.click()
    expect(dialog).to_contain_text("59 seconds close sessions of clients that are only slow")
    dashboard.picture("audit-set-back")
    assert peep.api.settings()["timeout_seconds"] == 301
    set_back.click()
    expect(dialog).to_be_hidden()
    dashboard.announced("The timeout is 59 s again")
    assert peep.api.settings()["timeout_seconds"] == 59
    # What has another value by now is set back only when that is meant.
    set_back_to_59.click()
    set_back.click()
    expect(dialog).to_be_hidden()  # it is 59 already
    peep.api.change_settings(timeout_seconds=400)
    set_back_to_59.click()
    set_back.click()
    expect(dialog).to_contain_text("59 seconds close")
    set_back.click()
    expect(dialog).to_contain_text("It is 6 min 40 s by now. Undo the change all the same?")
    set_back.click()
    expect(dialog).to_be_hidden()
    peep.api.change_settings(timeout_seconds=600)


def test_hostile_names_are_only_text_and_pages_go_back(own_peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter("Audit")
    beside_the_browser(act(own_peep.redis.url))
    page = dashboard.page
    page.get_by_label("What", exact=True).fill("user.add")
    page.get_by_label("Through which door").select_option("PEEP")
    expect(page.get_by_role("row").filter(has_text="many59")).to_be_visible()
    page.get_by_role("button", name="Older").click()
    row = page.get_by_role("row").filter(has_text="<script>alert(1)</script>")
    expect(row).to_contain_text("<img src=x onerror=document.title='owned'>\\u{202e}gnp")
    expect(row).to_contain_text("peep <b>192.0.2.9</b>")
    assert "owned" not in page.title()
    dashboard.picture("audit")
    page.get_by_role("button", name="Newer").click()
    expect(page.get_by_role("row").filter(has_text="many59")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text("utf-8")
    assert len(text.splitlines()) == 62
    assert "many59" in text.splitlines()[-1]


def test_pages_are_turned_only_from_one_that_answers_what_is_typed(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    """A press on "Older" too early once led from an old page to an older one of what was typed."""
    beside_the_browser(act(own_peep.redis.url))
    page = dashboard.page
    dashboard.stop_clock()
    dashboard.enter("Audit")
    older = page.get_by_role("button", name="Older")
    newest = page.locator("#audit tbody tr").first
    expect(newest).to_contain_text("sign-in")
    expect(older).to_be_enabled()
    own_peep.api.change_settings(max_connections=77)
    answers = HeldBack(page, re.compile(r"/v1/audit\?.*limit=50\b"))
    page.clock.run_for(3000)
    page.get_by_label("What", exact=True).fill("user.add")
    expect(older).to_be_disabled()
    expect(page.get_by_role("link", name="CSV")).to_have_attribute("href", re.compile("action=user.add"))
    answers.next().continue_()  # to what was asked before that was typed
    expect(newest).to_contain_text("settings.change")
    expect(older).to_be_disabled()
    page.clock.run_for(1000)
    answer = answers.next()
    expect(older).to_be_disabled()
    answer.continue_()
    expect(newest).to_contain_text("many59")
    older.click()
    answer = answers.next()
    expect(older).to_be_disabled()  # or a second press would turn two pages
    answer.continue_()
    expect(page.get_by_role("row").filter(has_text="<script>alert(1)</script>")).to_be_visible()
    expect(page.get_by_text("Page 2", exact=True)).to_be_visible()
    expect(older).to_be_disabled()
