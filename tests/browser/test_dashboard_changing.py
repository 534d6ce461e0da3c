"""What an administrator changes on the page, and what others change meanwhile."""

import re

import pytest
from playwright.sync_api import expect

from support.dashboard import EVERY_MILLISECONDS, Dashboard, HeldBack
from support.foreign_hashes import PASSWORD, foreign_hashes
from support.peep_services import Peep
from support.pop3_process import wait_until


def test_a_lower_timeout_holds_at_once(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.add(409)
    peep.add_user("impatient")
    dashboard.enter("Settings")
    with peep.log_in("impatient") as client:
        dashboard.page.get_by_label("Timeout in seconds").fill("1")
        dashboard.page.get_by_role("button", name="Save").click()
        question = dashboard.dialog()
        expect(question).to_contain_text("1 seconds close sessions of clients that are only slow")
        expect(question).to_contain_text("The timeout would be 1 s, and is 10 min now.")
        question.get_by_role("button", name="Cancel").click()
        expect(dashboard.page.get_by_label("Timeout in seconds")).to_have_value("1")
        assert peep.api.settings()["timeout_seconds"] == 600
        dashboard.page.get_by_role("button", name="Save").click()
        question.get_by_role("button", name="Save").click()
        dashboard.announced("The timeout is now 1 s")
        client.rest()
    assert peep.api.settings()["timeout_seconds"] == 1
    peep.api.change_settings(timeout_seconds=600)
    expect(dashboard.page.get_by_label("Timeout in seconds")).to_have_value("600")


def test_a_save_is_announced_once_with_what_was_before(peep: Peep, dashboard: Dashboard) -> None:
    peep.api.change_settings(max_connections=1000, timeout_seconds=600)
    dashboard.stop_clock()
    dashboard.enter("Settings")
    expect(dashboard.page.get_by_label("Connection limit")).to_have_value("1000")
    dashboard.page.get_by_label("Connection limit").fill("500")
    dashboard.page.get_by_label("Timeout in seconds").fill("300")
    form = dashboard.page.locator("#settings form")
    expect(form).to_contain_text("In force now: 10 min")
    dashboard.page.get_by_role("button", name="Save").click()
    expect(form).to_contain_text(re.compile(r"Until \d\d:\d\d:\d\d it was 1,000"))
    expect(form).to_contain_text(re.compile(r"Until \d\d:\d\d:\d\d it was 10 min"))
    lines = dashboard.page.locator("#announcement p")
    saved = (
        "The connection limit is now 500 (before: 1,000). The timeout is now 5 min (before: 10 min). "
        "Every POP3 process applies it."
    )
    expect(lines).to_have_text([saved])
    dashboard.go_to("Overview")
    told = dashboard.page.locator("#activity li")
    expect(told.filter(has_text="The timeout is now 5 min")).to_be_visible()
    peep.api.change_settings(max_connections=1000, timeout_seconds=600)
    expect(told.filter(has_text="The connection limit is now 1,000")).to_be_visible()
    expect(told.filter(has_text="The timeout is now 10 min")).to_be_visible()
    dashboard.page.clock.run_for(1000)
    expect(lines).to_have_text([saved, "The connection limit is now 1,000. The timeout is now 10 min"])
    dashboard.page.clock.run_for(6000)
    expect(lines).to_have_count(0)


def test_what_is_typed_while_a_change_is_read_is_kept(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.add(412)
    dashboard.enter("Settings")
    timeout = dashboard.page.get_by_label("Timeout in seconds")
    expect(timeout).to_have_value("600")
    answers = HeldBack(dashboard.page, "**/v1/settings")
    peep.api.change_settings(max_connections=999)
    answer = answers.next()
    timeout.fill("500")
    with dashboard.page.expect_event("requestfinished", lambda one: one.url.endswith("/v1/settings")):
        answer.continue_()
    dashboard.page.unroute_all()
    dashboard.page.get_by_role("button", name="Save").click()
    note = dashboard.page.get_by_role("alert").filter(has_text="somebody else has changed the settings")
    expect(note).to_contain_text("The connection limit was 1,000, and is 999 now")
    expect(timeout).to_have_value("500")
    peep.api.change_settings(max_connections=1000)


def test_what_is_out_of_range_is_marked_beside_its_input(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.add(422)
    dashboard.enter("Settings")
    limit = dashboard.page.get_by_label("Connection limit")
    limit.fill("0")
    dashboard.page.get_by_role("button", name="Save").click()
    expect(limit).to_have_attribute("aria-invalid", "true")
    expect(limit).to_be_focused()
    described = dashboard.page.locator("#settings .field").filter(has=limit)
    expect(described).to_contain_text("greater than or equal to 1")
    directory = dashboard.page.get_by_label("Mail directory")
    limit.fill("1000")
    directory.fill("/nowhere")
    dashboard.page.get_by_role("button", name="Save").click()
    expect(directory).to_have_attribute("aria-invalid", "true")
    expect(dashboard.page.locator("#settings .field").filter(has=directory)).to_contain_text("process")
    dashboard.page.get_by_role("button", name="Undo what I typed").click()
    expect(directory).to_have_value(str(peep.pop3.mail))
    expect(directory).not_to_have_attribute("aria-invalid", "true")


def test_a_change_of_somebody_else_is_shown_and_what_was_typed_is_kept(
    peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.expected_statuses.add(412)
    peep.api.change_settings(max_connections=1000, timeout_seconds=600)
    dashboard.enter("Settings")
    limit = dashboard.page.get_by_label("Connection limit")
    timeout = dashboard.page.get_by_label("Timeout in seconds")
    expect(timeout).to_have_value("600")
    timeout.fill("500")
    peep.api.change_settings(max_connections=77, timeout_seconds=400)
    dashboard.page.get_by_role("button", name="Save").click()
    note = dashboard.page.get_by_role("alert").filter(has_text="somebody else has changed the settings")
    expect(note).to_contain_text("The connection limit was 1,000, and is 77 now")
    expect(note).to_contain_text("The timeout was 10 min, and is 6 min 40 s now")
    expect(timeout).to_have_value("500")
    expect(limit).to_have_value("77")
    assert peep.api.settings()["timeout_seconds"] == 400
    dashboard.page.get_by_role("button", name="Save").click()
    wait_until(lambda: peep.api.settings()["timeout_seconds"] == 500, "the second save holds")
    assert peep.api.settings()["max_connections"] == 77


def test_a_user_is_added_and_can_log_in(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.update((409, 422))
    dashboard.enter("Users")
    dashboard.page.get_by_role("button", name="Add a user").click()
    dialog = dashboard.dialog()
    name, password = dialog.get_by_label("Name"), dialog.get_by_label("Password", exact=True)
    expect(name).to_be_focused()
    name.fill("a/b")
    password.fill("secret")
    add = dialog.get_by_role("button", name="Add")
    add.click()
    expect(dialog).to_contain_text("Must be 1 to 128 characters of printable ASCII")
    expect(name).to_be_focused()
    peep.api.add_user("taken")
    name.fill("taken")
    add.click()
    expect(dialog).to_contain_text("This user name is already in use.")
    name.fill("greta")
    add.click()
    expect(dialog).to_be_hidden()
    expect(dashboard.row("greta")).to_be_visible()
    peep.log_in("greta").quit()


def test_a_user_gets_a_new_password(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("hans")
    dashboard.enter("Users")
    dashboard.row("hans").get_by_role("button", name="New password").click()
    password = dashboard.dialog().get_by_label("Password", exact=True)
    expect(password).to_have_attribute("type", "password")
    dashboard.dialog().get_by_role("button", name="Make a password").click()
    expect(password).to_have_attribute("type", "text")
    made = password.input_value()
    assert len(made) == 20
    dashboard.dialog().get_by_role("button", name="Change").click()
    dashboard.announced("hans has a new password")
    with peep.pop3.connect() as client:
        client.log_in("hans", made)


def test_a_user_is_removed_only_when_asked_twice_and_the_mail_stays(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("ida")
    files = peep.pop3.files("ida")
    dashboard.enter("Users")
    remove = dashboard.row("ida").get_by_role("button", name="Remove")
    remove.click()
    expect(dashboard.dialog()).to_contain_text("The mail stays where it is")
    dashboard.page.keyboard.press("Escape")
    expect(dashboard.dialog()).to_be_hidden()
    expect(remove).to_be_focused()
    remove.click()
    dashboard.dialog().get_by_role("button", name="Remove").click()
    expect(dashboard.row("ida")).to_have_count(0)
    assert peep.pop3.files("ida") == files
    assert peep.api.client.get("/v1/users/ida").status_code == 404


def test_users_with_imported_hashes_are_counted_until_they_log_in(peep: Peep, dashboard: Dashboard) -> None:
    text = next(made.text for made in foreign_hashes() if made.scheme == "SSHA")
    added = peep.api.client.post("/v1/users", json={"username": "moved", "password_hash": text})
    assert added.status_code == 201
    dashboard.enter("Users")
    note = dashboard.page.locator("#imported-hashes")
    expect(note).to_contain_text(
        "users still have another server's password hash, until they log in: SSHA 1."
    )
    with peep.pop3.connect() as client:
        client.log_in("moved", PASSWORD)

    def imported() -> int:
        return int(peep.api.client.get("/v1/password-schemes").json()["imported"])

    wait_until(lambda: imported() == 0, "the new hash is kept")  # the page asks once
    dashboard.go_to("Sessions")
    dashboard.go_to("Users")
    expect(note).to_have_text("")


def test_many_users_come_in_pages_and_are_found_by_how_they_begin(peep: Peep, dashboard: Dashboard) -> None:
    peep.redis.add_users([f"m{number:03}" for number in range(53)])
    dashboard.enter("Users")
    find = dashboard.page.locator("#users").get_by_label("Find")
    find.fill("m0")
    rows = dashboard.page.locator("#users tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("m000")
    dashboard.page.get_by_role("button", name="Next").click()
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("m050")
    dashboard.page.get_by_role("button", name="Previous").click()
    expect(rows).to_have_count(50)
    find.fill("m05")
    expect(rows).to_have_count(3)


def test_closing_a_session_cuts_its_client_off(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("jan")
    with peep.log_in("jan") as client:
        client.ask("DELE 1")
        dashboard.enter("Sessions")
        expect(dashboard.row("jan").get_by_role("cell").nth(8)).to_have_text("1")
        expect(dashboard.row("jan").get_by_role("link", name="jan")).to_have_attribute("href", "#user/jan")
        dashboard.row("jan").get_by_role("button", name="Close the session of jan").click()
        expect(dashboard.dialog()).to_contain_text("1 message marked as deleted will stay")
        dashboard.dialog().get_by_role("button", name="Close session").click()
        client.rest()
        expect(dashboard.dialog()).to_be_hidden()
        expect(dashboard.row("jan")).to_have_count(0)
    assert len(peep.pop3.files("jan")) == 3


def test_all_sessions_of_a_user_or_a_network_are_closed_after_a_question(
    peep: Peep, dashboard: Dashboard
) -> None:
    names = [peep.add_user(name) for name in ("lou", "louis", "max")]
    clients = {name: peep.log_in(name) for name in names}
    clients["lou"].ask("DELE 1")
    dashboard.page.clock.install()
    dashboard.enter("Sessions")
    expect(dashboard.row("lou").get_by_role("cell").nth(8)).to_have_text("1")
    dashboard.page.get_by_label("Filter").fill("lou")
    button = dashboard.page.get_by_role("button", name=re.compile(r"^Close \d+ sessions?$"))
    expect(button).to_have_text("Close 2 sessions")
    dashboard.page.get_by_label("Filter").fill("127.0.0.0/30")  # no name has a slash in it
    expect(button).to_have_text("Close 3 sessions")
    dashboard.page.get_by_label("Filter").fill("lou")
    dashboard.page.get_by_label("By").select_option("user")
    expect(button).to_have_text("Close 1 session")
    button.click()
    expect(dashboard.dialog()).to_contain_text("Of lou, from 127.0.0.1.")
    expect(dashboard.dialog()).to_contain_text("1 message marked as deleted will stay")
    dashboard.dialog().get_by_role("button", name="Close 1 session").click()
    clients["lou"].rest()
    expect(dashboard.page.get_by_text("No session fits the filter.")).to_be_visible()
    expect(dashboard.dialog()).to_be_hidden()
    dashboard.page.get_by_label("By").select_option("network")
    expect(dashboard.page.get_by_text("This is no address and no network: give 192.0.2.7")).to_be_visible()
    dashboard.page.get_by_label("By").select_option("idle")
    expect(dashboard.page.get_by_text("This is no time: give 45s, 10m or 2h.")).to_be_visible()
    dashboard.page.get_by_label("Filter").fill("1h")
    expect(dashboard.page.get_by_text("No session fits the filter.")).to_be_visible()
    dashboard.page.get_by_label("Filter").fill("1 s")
    dashboard.page.clock.run_for(EVERY_MILLISECONDS)
    expect(button).to_have_text("Close 2 sessions")
    dashboard.page.get_by_label("By").select_option("network")
    dashboard.page.get_by_label("Filter").fill("127.0.0.2")
    expect(button).to_be_hidden()
    dashboard.page.get_by_label("Filter").fill("127.0.0.0/30")
    expect(button).to_have_text("Close 2 sessions")
    button.click()
    expect(dashboard.dialog()).to_contain_text("Of louis, max, from 127.0.0.1.")
    dashboard.dialog().get_by_role("button", name="Close 2 sessions").click()
    for name in ("louis", "max"):
        clients[name].rest()
    dashboard.announced("2 sessions closed")
    assert len(peep.pop3.files("lou")) == 3
    for client in clients.values():
        client.close()


def test_networks_are_read_as_the_server_reads_them(dashboard: Dashboard) -> None:
    cases = {
        ("192.0.2.0/24", "192.0.2.255"): True,
        ("192.0.2.0/24", "192.0.3.0"): False,
        ("192.0.2.7", "192.0.2.7"): True,
        ("0.0.0.0/0", "203.0.113.9"): True,
        ("0.0.0.0/0", "2001:db8::1"): False,
        ("2001:db8::/32", "2001:db8:ffff::1"): True,
        ("2001:DB8:0:0::/64", "2001:db8::1:0:0:1"): True,
        ("2001:db8::/64", "2001:db8:0:1::"): False,
        ("::1", "::1"): True,
        ("fe80::/10", "fe80::1%eth0"): True,
        ("192.0.2.0/33", "192.0.2.0"): None,
        ("192.0.2", "192.0.2.0"): None,
        ("192.0.2.256", "192.0.2.0"): None,
        ("x:y", "::1"): None,
        ("alice", "192.0.2.0"): None,
        ("192.0.2.0/8/8", "192.0.2.0"): None,
    }
    for (network, address), expected in cases.items():
        found = dashboard.page.evaluate(
            """async ([network, address]) => {
              const { isIn, networkOf } = await import("/dashboard/networks.js");
              const known = networkOf(network);
              return known && isIn(address, known);
            }""",
            [network, address],
        )
        assert found is expected, (network, address)


@pytest.mark.usefixtures("peep")
def test_starts_and_ends_of_processes_are_where_their_number_changes(dashboard: Dashboard) -> None:
    changes = dashboard.page.evaluate(
        """async (line) => (await import("/dashboard/past.js")).startsAndEnds(line)""",
        [[10, 20, 30, 40, 50, 60], [None, 2, 2, 1, None, 3]],
    )
    assert changes == [
        {"at": 40, "text": "1 POP3 process (before: 2)"},
        {"at": 60, "text": "3 POP3 processes (before: 1)"},
    ]
