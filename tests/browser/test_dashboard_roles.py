"""Administrators, roles and API tokens on the page; what a role cannot do is not there."""

import re

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect

from state_store.credentials.api_tokens import is_token
from support.api_process import ADMINISTRATOR
from support.dashboard import (
    EVERY_MILLISECONDS,
    NAME_OF_LOOPBACK,
    TELEPHONE,
    Dashboard,
    HeldBack,
    Open,
)
from support.peep_services import Peep

PASSWORD = "correct-horse-battery"

# Remembers each button that was to be seen, in any frame, though the role does not allow it.
WATCH = """
  window.seen = new Set();
  const look = () => {
    for (const one of document.querySelectorAll("[data-needs=helpdesk], [data-needs=all]")) {
      if (one.checkVisibility()) window.seen.add(one.textContent);
    }
    requestAnimationFrame(look);
  };
  look();
"""


def make_administrator(peep: Peep, name: str, role: str) -> None:
    body = {"name": name, "password": PASSWORD, "role": role}
    peep.api.client.post("/v1/administrators", json=body).raise_for_status()


@pytest.mark.timeout(120)
def test_who_may_only_read_sees_all_and_never_a_button_that_changes_anything(
    peep: Peep, dashboard: Dashboard
) -> None:
    make_administrator(peep, "reader", "read")
    peep.add_user("rita")
    page = dashboard.page
    page.add_init_script(WATCH)
    dashboard.reload()
    dashboard.sign_in(PASSWORD, "reader")
    expect(page.locator("#administrator")).to_have_text("reader (read)")
    with peep.log_in("rita"):
        dashboard.go_to("Sessions")
        expect(dashboard.row("rita")).to_be_visible()
        expect(dashboard.row("rita").get_by_role("button")).to_have_count(0)
    dashboard.go_to("Users")
    expect(dashboard.row("rita")).to_be_visible()
    expect(dashboard.row("rita").get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("button", name="Add a user")).to_have_count(0)
    dashboard.go_to("Settings")
    expect(page.get_by_text("Only administrators with the role all change settings.")).to_be_visible()
    expect(page.get_by_label("Timeout in seconds")).to_have_value("600")
    expect(page.get_by_label("Timeout in seconds")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    dashboard.picture("settings-of-a-reader")
    dashboard.go_to("Access")
    expect(dashboard.row("reader")).to_be_visible()
    expect(page.locator("#access").get_by_role("button", name="Change my password")).to_be_visible()
    expect(page.locator("#access td").get_by_role("button")).to_have_count(0)
    assert dashboard.barriers() == []
    assert page.evaluate("[...window.seen]") == []
    dashboard.reload()
    expect(dashboard.row("reader")).to_be_visible()
    assert page.evaluate("[...window.seen]") == []


def test_the_helpdesk_changes_passwords_and_closes_sessions_and_nothing_else(
    peep: Peep, dashboard: Dashboard
) -> None:
    make_administrator(peep, "helper", "helpdesk")
    peep.add_user("hugo")
    dashboard.sign_in(PASSWORD, "helper")
    expect(dashboard.page.locator("#condition-text")).to_have_text("Live")
    dashboard.go_to("Users")
    row = dashboard.row("hugo")
    expect(row.get_by_role("button", name="Remove hugo")).to_have_count(0)
    row.get_by_role("button", name="New password for hugo").click()
    dashboard.dialog().get_by_label("Password", exact=True).fill("another")
    dashboard.dialog().get_by_role("button", name="Change").click()
    dashboard.announced("hugo has a new password")


@pytest.mark.timeout(120)
def test_administrators_are_made_changed_and_removed(peep: Peep, open_dashboard: Open) -> None:
    dashboard, other = open_dashboard(), open_dashboard(viewport=TELEPHONE, scheme="dark")
    other.stop_clock()
    dashboard.enter("Access")
    page = dashboard.page
    page.get_by_role("button", name="Add an administrator").click()
    dashboard.dialog().get_by_label("Name").fill("bob")
    expect(dashboard.dialog()).to_contain_text("Sees everything but secrets.")
    dashboard.dialog().get_by_label("Role").select_option("all")
    expect(dashboard.dialog()).to_contain_text("Does everything, and signs in to PEEP too.")
    dashboard.dialog().get_by_label("New password", exact=True).fill(PASSWORD)
    dashboard.picture("access-add")
    assert dashboard.barriers() == []
    dashboard.dialog().get_by_role("button", name="Add").click()
    expect(dashboard.row("bob")).to_contain_text("all")
    # Whom the settings name they alone change.
    expect(dashboard.row(ADMINISTRATOR[0]).get_by_role("button")).to_have_count(0)
    other.sign_in(PASSWORD, "bob")
    expect(other.page.locator("#condition-text")).to_have_text("Live")
    dashboard.row("bob").get_by_role("button", name="Another role for bob").click()
    dashboard.dialog().get_by_label("Role").select_option("helpdesk")
    dashboard.dialog().get_by_role("button", name="Change").click()
    expect(dashboard.row("bob")).to_contain_text("helpdesk")
    other.run_clock_until(other.page.locator("#entrance").is_visible, "bob has to sign in again")
    other.sign_in(PASSWORD, "bob")
    other.go_to("Access")
    expect(other.row("bob")).to_be_visible()
    assert not other.is_wider_than_the_screen()
    other.picture("access-telephone-dark")
    other.page.get_by_role("button", name="Change my password").click()
    other.dialog().get_by_label("Present password", exact=True).fill(PASSWORD)
    other.dialog().get_by_label("New password", exact=True).fill(f"{PASSWORD}-2")
    other.dialog().get_by_role("button", name="Change").click()
    other.announced("You have a new password")
    other.go_to("Users")
    expect(other.page.locator("#administrator")).to_have_text("bob (helpdesk)")
    dashboard.row("bob").get_by_role("button", name="Remove bob").click()
    dashboard.dialog().get_by_role("button", name="Remove").click()
    expect(dashboard.row("bob")).to_have_count(0)
    other.run_clock_until(other.page.locator("#entrance").is_visible, "bob is put out")


def test_an_answer_to_a_request_of_before_ends_no_sign_in(peep: Peep, dashboard: Dashboard) -> None:
    make_administrator(peep, "late", "all")
    page = dashboard.page
    dashboard.stop_clock()
    answers = HeldBack(page, "**/v1/tokens")
    dashboard.sign_in(PASSWORD, "late")
    dashboard.go_to("Access")
    before = answers.next()
    expect(dashboard.row("late")).to_be_visible()
    expect(page.get_by_text("There are no API tokens.")).to_be_hidden()  # nobody knows yet
    expect(page.locator("#access").get_by_text("Reading …")).to_be_visible()
    page.get_by_role("button", name="Change my password").click()
    dashboard.dialog().get_by_label("Present password", exact=True).fill(PASSWORD)
    dashboard.dialog().get_by_label("New password", exact=True).fill(f"{PASSWORD}-2")
    dashboard.dialog().get_by_role("button", name="Change").click()
    dashboard.announced("You have a new password")
    before.fulfill(status=401, json={"type": "#signed-out", "detail": "That cookie holds no longer."})
    dashboard.run_clock_until(lambda: answers.are_waiting, "it goes on asking")
    answers.next().continue_()
    expect(page.locator("#app")).to_be_visible()
    expect(page.locator("#entrance")).to_be_hidden()


def is_cut_off(dialog: Locator) -> bool:
    return bool(dialog.evaluate("dialog => dialog.scrollWidth > dialog.clientWidth"))


def test_a_token_is_made_shown_once_and_revoked(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.expected_statuses.add(422)
    dashboard.page.clock.install()
    dashboard.enter("Access")
    page = dashboard.page
    name = f"prometheus-{'m' * 53}"
    page.get_by_role("button", name="Make a token").click()
    networks, days = dashboard.dialog().get_by_label("Networks"), dashboard.dialog().get_by_label("Days")
    make = dashboard.dialog().get_by_role("button", name="Make")
    dashboard.dialog().get_by_label("Name").fill(name)
    networks.fill("127.0.0.0/8, 300.1.1.1")
    days.fill("soon")
    make.click()
    expect(days).to_have_accessible_description(re.compile("Give a number of days"))
    days.fill("30")
    make.click()
    expect(networks).to_have_accessible_description(re.compile("Must be an address or a network"))
    networks.fill("127.0.0.0/8, ::1")
    make.click()
    shown = dashboard.dialog().get_by_label("Token")
    expect(shown).to_be_focused()
    token = shown.input_value()
    assert is_token(token)
    assert dashboard.barriers() == []
    assert not is_cut_off(dashboard.dialog())
    dashboard.dialog().get_by_role("button", name="Done").click()
    answer = httpx.get(f"{peep.api.url}/v1/version", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    page.clock.run_for(EVERY_MILLISECONDS)
    row = dashboard.row(name)
    expect(row).to_contain_text("127.0.0.0/8, ::1")
    expect(row).to_contain_text("127.0.0.1")
    dashboard.picture("access")
    row.get_by_role("button", name="Revoke the token prometheus").click()
    assert not is_cut_off(dashboard.dialog())
    dashboard.dialog().get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert token not in page.content()


def make_token(dashboard: Dashboard, name: str) -> Locator:
    dashboard.enter("Access")
    dashboard.page.get_by_role("button", name="Make a token").click()
    dashboard.dialog().get_by_label("Name").fill(name)
    dashboard.dialog().get_by_role("button", name="Make").click()
    shown = dashboard.dialog().get_by_label("Token", exact=True)
    expect(shown).to_be_focused()
    return shown


def pasted(dashboard: Dashboard) -> str:
    dashboard.dialog().get_by_role("button", name="Done").click()
    dashboard.page.get_by_role("button", name="Make a token").click()
    field = dashboard.dialog().get_by_label("Networks")
    field.press("Control+V")
    return field.input_value()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keyboard_copies_a_new_token(peep: Peep, open_dashboard: Open, scheme: str) -> None:
    dashboard = open_dashboard(viewport=TELEPHONE, scheme=scheme)
    shown = make_token(dashboard, f"copied-{scheme}")
    token = shown.input_value()
    dashboard.tab_to(dashboard.dialog().get_by_role("button", name="Copy"))
    dashboard.page.keyboard.press("Enter")
    told = dashboard.dialog().get_by_role("status").filter(has_text="Copied")
    expect(told).to_be_visible()
    assert dashboard.barriers() == []
    assert not is_cut_off(dashboard.dialog())
    dashboard.picture(f"token-{scheme}")
    assert pasted(dashboard) == token


def test_by_plain_http_from_afar_a_new_token_is_selected_for_copying(peep: Peep, browser: Browser) -> None:
    # Not `check`ed: the browser complains of a header that it heeds over https only.
    dashboard = Dashboard(browser, peep.api.url.replace("127.0.0.1", NAME_OF_LOOPBACK))
    assert not dashboard.page.evaluate("isSecureContext")
    shown = make_token(dashboard, "selected")
    token = shown.input_value()
    dashboard.dialog().get_by_role("button", name="Copy").click()
    expect(dashboard.dialog().get_by_role("status").filter(has_text="press Ctrl+C")).to_be_visible()
    expect(shown).to_be_focused()
    dashboard.page.keyboard.press("Control+C")
    assert pasted(dashboard) == token
    dashboard.page.close()
