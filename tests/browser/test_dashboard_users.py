"""Who is refused and why, who uses most, who never comes: the pages of users."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.actors import OPERATOR
from support.dashboard import (
    EVERY_MILLISECONDS,
    TELEPHONE,
    Dashboard,
    HeldBack,
    Open,
    beside_the_browser,
)
from support.peep_services import Peep
from support.pop3_process import wait_until
from support.whole_store import CREDENTIAL, repository_on


@pytest.mark.timeout(120)
def test_why_a_user_is_refused_is_said_with_what_to_do(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("nora")
    with peep.log_in("nora") as holder:
        with peep.pop3.connect() as client:
            client.ask("USER nora")
            assert client.ask("PASS wrong").startswith(b"-ERR [AUTH]")
        with peep.pop3.connect() as client:
            client.ask("USER nora")
            assert client.ask("PASS secret").startswith(b"-ERR [IN-USE]")
        dashboard.enter("Users")
        dashboard.row("nora").get_by_role("link", name="Details of nora").click()
        page = dashboard.page
        expect(page.get_by_role("heading", name="nora", level=1)).to_be_focused()
        refused = page.locator(".refusals article")
        expect(refused).to_have_count(2)
        in_use = refused.filter(has_text="Maildrop in use")
        expect(in_use).to_contain_text("1 time since the last login")
        held_since = re.compile(r"held by 127\.0\.0\.1 since \d+ \w+ \d+, \d\d:\d\d \(session")
        expect(in_use).to_contain_text(held_since)
        expect(in_use).to_contain_text("wait for its end, or close it")
        expect(refused.filter(has_text="Wrong password")).to_contain_text("give the user a new one")
        expect(page.locator(".facts")).to_contain_text("3 messages")
        assert dashboard.barriers() == []
        dashboard.picture("user")
        page.get_by_role("button", name="Close session").click()
        dashboard.dialog().get_by_role("button", name="Close session").click()
        holder.rest()
        expect(page.locator("#user-session ~ div")).to_have_text("None.")
    page.get_by_role("link", name="All users").click()
    expect(page.get_by_role("heading", name="Users", level=1)).to_be_visible()


@pytest.mark.timeout(120)
def test_users_are_sorted_by_what_they_use_and_found_by_what_happened(
    peep: Peep, dashboard: Dashboard
) -> None:
    for name, fetched in (("olaf", 1), ("otto", 3)):
        peep.add_user(name)
        with peep.log_in(name) as client:
            for number in range(1, fetched + 1):
                client.ask_lines(f"RETR {number}")
            client.quit()
    peep.add_user("oona")
    with peep.pop3.connect() as client:
        client.ask("USER oona")
        client.ask("PASS wrong")
        client.ask("USER nobody-at-all")
        client.ask("PASS wrong")

    def listed(query: str) -> list[str]:
        return [one["username"] for one in peep.api.client.get(f"/v1/users?{query}").json()["users"]]

    # The page shows what the list knows when it asks.
    by_traffic = "sort=today&descending=true&search=o"
    wait_until(lambda: listed(by_traffic)[:2] == ["otto", "olaf"], "the list knows who fetched most")
    wait_until(lambda: "oona" in listed("refused_days=1"), "the list knows who was refused")
    dashboard.enter("Users")
    page, rows = dashboard.page, dashboard.page.locator("#users tbody tr")
    page.locator("#users").get_by_label("Find").fill("o")
    page.get_by_role("button", name="Today").click()
    expect(rows.nth(0)).to_contain_text("otto")
    expect(rows.nth(1)).to_contain_text("olaf")
    page.get_by_label("Show", exact=True).select_option("Refused within a day")
    expect(dashboard.row("oona")).to_be_visible()
    expect(dashboard.row("oona")).to_contain_text(re.compile("(ago|just now), wrong password"))
    expect(dashboard.row("otto")).to_have_count(0)
    expect(page.locator("#users")).to_contain_text("And 1 refused login under names that nobody has")
    assert dashboard.barriers() == []
    dashboard.row("oona").get_by_role("link", name="why oona was refused").click()
    expect(page.locator(".refusals article")).to_contain_text("Wrong password")
    page.get_by_role("link", name="All users").click()
    page.get_by_label("Show", exact=True).select_option("No login in 90 days")
    expect(dashboard.row("oona")).to_be_visible()
    assert dashboard.barriers() == []
    dashboard.picture("users")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_user_and_the_list_fit_a_telephone(peep: Peep, open_dashboard: Open, scheme: str) -> None:
    name = peep.add_user(f"p{scheme}" + "w" * 120)
    dashboard = open_dashboard(viewport=TELEPHONE, scheme=scheme)
    dashboard.enter("Users")
    dashboard.row(name).get_by_role("link").click()
    expect(dashboard.page.locator(".facts")).to_contain_text("Password")
    assert not dashboard.is_wider_than_the_screen()
    assert dashboard.barriers() == []
    dashboard.picture(f"user-on-a-telephone-{scheme}")


@pytest.mark.timeout(120)
def test_users_that_a_filter_finds_are_suspended_together(own_peep: Peep, dashboard: Dashboard) -> None:
    for name in ("quin", "quentin", "queenie", "rosa"):
        own_peep.add_user(name)
    suspension = {"reason": "not paid", "until": None}
    assert own_peep.api.client.put("/v1/users/queenie/suspension", json=suspension).status_code == 200
    dashboard.enter("Users")
    page = dashboard.page
    page.locator("#users").get_by_label("Find").fill("qu")
    suspend = page.get_by_role("button", name="Suspend all of these")
    expect(dashboard.row("quin")).to_be_visible()
    expect(suspend).to_be_hidden()
    page.get_by_label("Show", exact=True).select_option("No login in 90 days")
    # Without any record of a login everybody looks as if they never came.
    expect(page.get_by_text("Nothing is known of logins and traffic")).to_be_visible()
    expect(suspend).to_be_hidden()
    with own_peep.log_in("rosa") as client:
        client.quit()
    api = own_peep.api.client
    wait_until(lambda: api.get("/v1/users").json()["recorded_since"] is not None, "the login is recorded")
    page.get_by_label("Show", exact=True).select_option("All users")
    page.get_by_label("Show", exact=True).select_option("No login in 90 days")
    expect(page.get_by_text("Logins are known since ")).to_be_visible()
    suspend.click()
    # Who is suspended already keeps the reason.
    dialog = dashboard.dialog()
    expect(dialog).to_contain_text("quentin, quin.")
    dialog.get_by_label("Reason").fill("x" * 201)
    dialog.get_by_role("button", name="Suspend 2 users").click()
    expect(dialog).to_contain_text("A reason has at most 200 characters")
    dialog.get_by_label("Reason").fill("not used")
    assert dashboard.barriers() == []
    dialog.get_by_role("button", name="Suspend 2 users").click()
    dashboard.announced("2 of 2 users suspended")
    refusals = own_peep.api.client.get("/v1/refusals").json()["refusals"]
    assert {one["subject"]: one["reason"] for one in refusals} == {
        "queenie": "not paid",
        "quentin": "not used",
        "quin": "not used",
    }


@pytest.mark.timeout(120)
def test_users_are_added_from_a_file_and_each_line_is_answered(
    peep: Peep, dashboard: Dashboard, tmp_path: Path
) -> None:
    peep.add_user("quentin")
    names = [f"many{number:02}" for number in range(48)]
    lines = [
        "# name or name:password",
        *names,
        "quinn:a password, with: more",
        "quentin",
        "",
        "a b,x",
        "many03",
    ]
    source = tmp_path / "users.txt"
    source.write_text("\r\n".join(lines))
    dashboard.enter("Users")
    page = dashboard.page
    page.get_by_role("button", name="Add users from a file").click()
    dialog = dashboard.dialog()
    dialog.get_by_role("button", name="Add users").click()
    expect(dialog).to_contain_text("Give at least one user, or choose a file.")
    assert dashboard.barriers() == []
    dialog.get_by_label("File", exact=True).set_input_files(source)
    expect(dialog).to_contain_text("52 users in users.txt")
    dashboard.picture("users-from-a-file")
    dialog.get_by_role("button", name="Add users").click()
    results = page.get_by_role("dialog", name="49 users added, 3 not")
    expect(results).to_be_visible(timeout=120_000)  # so many passwords are hashed before
    rows = results.locator("tbody tr")
    expect(rows.filter(has_text="a b")).to_contain_text("Not added: username: must be 1 to 128 characters")
    expect(rows.filter(has_text="the same name as in line 5")).to_contain_text("54")
    expect(rows.filter(has_text="quentin")).to_contain_text("Exists already, and keeps its password")
    made = rows.filter(has_text="many00").locator("code").inner_text()
    assert dashboard.barriers() == []
    dashboard.picture("users-from-a-file-results")
    with page.expect_download() as download:
        results.get_by_role("link", name="Download the new passwords").click()
    passwords = dict(line.split(":") for line in download.value.path().read_text().splitlines())
    assert list(passwords) == names
    assert passwords["many00"] == made
    assert len(set(passwords.values())) == len(names)
    results.get_by_role("button", name="Close").click()
    expect(dashboard.row("many47")).to_be_visible()
    for name, password in (("many47", passwords["many47"]), ("quinn", "a password, with: more")):
        with peep.pop3.connect() as client:
            client.ask(f"USER {name}")
            assert client.ask(f"PASS {password}").startswith(b"+OK")


@pytest.mark.timeout(120)
def test_a_user_is_suspended_and_let_in_again_on_his_page_and_nobody_has_none(
    peep: Peep, dashboard: Dashboard
) -> None:
    peep.add_user("una")
    dashboard.expected_statuses.add(404)
    dashboard.enter("Users")
    page = dashboard.page
    page.locator("#users").get_by_label("Find").fill("una")
    dashboard.row("una").get_by_role("link", name="Details of una").click()
    page.get_by_role("button", name="Suspend").click()
    dashboard.dialog().get_by_label("Reason").fill("away until May")
    dashboard.dialog().get_by_role("button", name="Suspend").click()
    expect(page.locator(".refusals article")).to_contain_text("away until May")
    expect(page.get_by_role("button", name="Suspend", exact=True)).to_have_count(0)
    assert peep.api.client.get("/v1/users/una/suspension").json()["reason"] == "away until May"
    lift = page.get_by_role("button", name="Lift the suspension")
    expect(lift).to_be_focused()
    assert dashboard.barriers() == []
    dashboard.picture("user-suspended")
    lift.click()
    dashboard.dialog().get_by_role("button", name="Lift").click()
    expect(page.get_by_role("button", name="Suspend", exact=True)).to_be_visible()
    with peep.log_in("una"):
        page.goto(f"{dashboard.url}#user/nobody")
        expect(page.get_by_role("alert").filter(has_text="There is no such user: nobody")).to_be_visible()
        expect(page.get_by_role("button", name="New password")).to_have_count(0)
        assert dashboard.barriers() == []
        page.goto(f"{dashboard.url}#user/una")
        expect(page.locator("#user-session ~ div")).to_contain_text("From 127.0.0.1")


@pytest.mark.timeout(120)
def test_a_button_of_a_user_stays_under_the_finger_while_the_page_is_read_anew(
    peep: Peep, dashboard: Dashboard
) -> None:
    peep.add_user("vera")
    dashboard.stop_clock()
    dashboard.enter("Users")
    page = dashboard.page
    with peep.log_in("vera") as client:

        def sent() -> int:
            return int(peep.api.client.get("/v1/users/vera").json()["session"]["octets"])

        page.goto(f"{dashboard.url}#user/vera")
        close = page.get_by_role("button", name="Close session")
        dashboard.run_clock_until(close.is_visible, "the session is shown")
        close.focus()
        before = sent()
        client.ask_lines("RETR 1")
        wait_until(lambda: sent() > before, "the session's figures are known")
        page.clock.run_for(EVERY_MILLISECONDS)
        expect(page.locator("#user-session ~ div")).to_contain_text("kB sent")
        expect(close).to_be_focused()


async def add_many(redis_url: str) -> None:
    """Add three pages of users."""
    async with repository_on(redis_url) as repository:
        await repository.add_users([(f"many{number:03}", CREDENTIAL) for number in range(120)], by=OPERATOR)


@pytest.mark.timeout(120)
def test_a_page_that_does_not_come_is_asked_for_again_and_none_is_left_out(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.expected_statuses.add(500)
    beside_the_browser(add_many(own_peep.redis.url))
    dashboard.enter("Users")
    page = dashboard.page
    following, previous = (page.get_by_role("button", name=name) for name in ("Next", "Previous"))
    expect(dashboard.row("many049")).to_be_visible()
    answers = HeldBack(page, "**/v1/users?*")
    following.click()
    answer = answers.next()
    expect(following).to_be_disabled()  # or a second press would leave out a page
    answer.fulfill(status=500, body="")
    dashboard.announced("status 500")
    expect(previous).to_be_disabled()
    following.click()
    answers.next().continue_()
    expect(dashboard.row("many050")).to_be_visible()
    expect(page.get_by_text("Page 2", exact=True)).to_be_visible()
    page.locator("#users").get_by_label("Find").fill("many1")
    expect(following).to_be_disabled()
    expect(previous).to_be_disabled()
    answers.next().continue_()
    expect(dashboard.row("many119")).to_be_visible()
    expect(previous).to_be_hidden()  # all are on one page
