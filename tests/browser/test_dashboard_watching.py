"""What the page shows while real clients come, fetch and go."""

import os
import random
import re

import pytest
from playwright.sync_api import expect

from support.dashboard import EVERY_MILLISECONDS, TELEPHONE, VIEWS, Dashboard, Open
from support.past import write_past
from support.peep_services import MESSAGE, Peep
from support.pop3_process import Pop3Client, wait_until

LONGEST_NAME = "x" * 128

CHANCE = random.Random(20)
ROUNDS = int(os.environ.get("PEEP_PICTURE_ROUNDS", "6"))
"""For how many `COUNTERS_SECONDS` mail is fetched before the pictures: so long is the line in the charts."""

_TABLES_CUT_OFF = """
  [...document.querySelectorAll(".table-card table")].filter(
    (table) => table.offsetWidth > table.parentElement.clientWidth
  ).length
"""

_LINES_OF_ANNOUNCEMENT = """() => {
  const line = document.createElement("span");
  line.textContent = "The suspension of dave is lifted";
  document.getElementById("announcement").append(line);
  return line.getClientRects().length;
}"""


def test_a_login_and_a_fetched_message_show_by_themselves(own_peep: Peep, dashboard: Dashboard) -> None:
    own_peep.add_user("alice")
    dashboard.enter()
    expect(dashboard.page.locator("#logged-in")).to_have_text("Nobody is logged in.")
    with own_peep.log_in("alice") as client:
        expect(dashboard.figure("logged_in_users")).to_have_text("1")
        expect(dashboard.page.locator('[data-gauge="logged_in_users"]')).to_contain_text("1 login so far")
        expect(dashboard.figure("current_connections")).to_have_text("1")
        expect(dashboard.page.locator("#logged-in")).to_contain_text("alice")
        expect(dashboard.page.locator("#activity")).to_contain_text("alice logged in from 127.0.0.1")
        client.ask_lines("RETR 1")
        client.ask_lines("RETR 2")
        expect(dashboard.page.locator('[data-total="retrieved_emails"]')).to_have_text("2")
        expect(dashboard.page.locator('[data-growth="retrieved_emails"]')).to_have_text("2")
        expect(dashboard.page.locator('[data-growth="retrieved_bytes"]')).to_contain_text("kB")
        expect(dashboard.page.locator('[data-gauge="current_connections"] canvas')).to_be_visible()
        client.quit()
    expect(dashboard.page.locator("#activity")).to_contain_text("alice logged out")
    expect(dashboard.figure("logged_in_users")).to_have_text("0")


def test_tiles_and_cards_are_of_one_moment(peep: Peep, dashboard: Dashboard) -> None:
    names = [peep.add_user(f"one{number}") for number in range(3)]
    dashboard.enter()
    expect(dashboard.figure("logged_in_users")).to_have_text("0")
    # Whatever is on the page at any time: both say the same.
    dashboard.page.evaluate(
        """() => {
          window.differing = [];
          const look = () => {
            const tile = document.querySelector('[data-gauge="logged_in_users"] .figure').textContent.trim();
            const names = document.querySelectorAll("#logged-in li").length;
            if (Number(tile) !== names) window.differing.push([tile, names]);
          };
          new MutationObserver(look).observe(
            document.querySelector("#overview"), { subtree: true, childList: true, characterData: true },
          );
        }"""
    )
    clients = []
    for number, name in enumerate(names, start=1):
        clients.append(peep.log_in(name))
        expect(dashboard.page.locator("#logged-in li")).to_have_count(number)
    expect(dashboard.page.locator("#range")).to_contain_text(re.compile(r"All figures are of \d\d:\d\d:\d\d"))
    expect(dashboard.page.locator('[data-gauge="current_connections"]')).to_contain_text("of 1,000 at most")
    for client in clients:
        client.close()
    expect(dashboard.page.locator("#logged-in")).to_have_text("Nobody is logged in.")
    assert dashboard.page.evaluate("window.differing") == []


def test_logins_share_an_entry_and_push_no_change_out(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter()
    expect(dashboard.figure("logged_in_users")).to_have_text("0")  # the stream of events is open
    peep.api.change_settings(max_connections=999)
    feed = dashboard.page.locator("#activity li")
    expect(feed).to_contain_text(["The connection limit is now 999"])
    for name in (peep.add_user("busy"), peep.add_user("busier")):
        for _ in range(10):
            with peep.log_in(name) as client:
                client.quit()
    # At the most two entries: the minute may be over in the midst of them.
    expect(feed.filter(has_text="busier logged out")).to_be_visible()
    assert feed.count() <= 3
    expect(feed.filter(has_text="The connection limit is now 999")).to_be_visible()
    expect(feed.first).to_contain_text(
        re.compile(r"In all \d+ logins, \d+ logouts( of 2 users)? since \d\d:\d\d")
    )
    peep.api.change_settings(max_connections=1000)


def test_the_growth_of_a_minute_outlasts_a_hole_in_the_stream(peep: Peep, dashboard: Dashboard) -> None:
    growth, rate, points = dashboard.page.evaluate(
        """async () => {
          const { History } = await import("/dashboard/history.js");
          const history = new History();
          const name = "retrieved_bytes";
          const samples = [[100, 10], [101, 20], [111, 50], [112, 60]];
          for (const [at, value] of samples) history.add(at, { [name]: value });
          return [history.growth(name, 60).growth, history.rate(name), history.line(name, true, [[], []])];
        }"""
    )
    assert (growth, rate) == (50, 10)
    assert points == [[112], [10]]  # what was in the hole the server knows


def test_a_session_shows_what_it_has_done(peep: Peep, dashboard: Dashboard) -> None:
    peep.add_user("bob")

    def has_fetched(number: int) -> bool:
        sessions = peep.api.client.get("/v1/sessions").json()["sessions"]
        return any((one["retrieved"], one["marked"]) == (number, 1) for one in sessions)

    with peep.log_in("bob", encrypted=True) as client:
        client.ask_lines("RETR 1")
        client.ask("DELE 1")
        wait_until(lambda: has_fetched(1), "what the session has done is known")
        dashboard.stop_clock()
        dashboard.enter("Sessions")
        cells = dashboard.row("bob").get_by_role("cell")
        expect(cells.nth(1)).to_have_text("127.0.0.1")
        expect(cells.nth(2)).to_have_text("TLS 1.3")
        expect(cells.nth(4)).to_contain_text(" s")
        expect(cells.nth(5)).to_contain_text("kB")
        expect(cells.nth(7)).to_have_text("1")
        expect(cells.nth(8)).to_have_text("1")
        expect(dashboard.page.locator("#sessions .summary")).to_contain_text("1 logged in")
        expect(dashboard.page.locator("#sessions .summary")).to_contain_text("1 message fetched")
        client.ask_lines("RETR 2")
        wait_until(lambda: has_fetched(2), "it is known that it has fetched another one")
        dashboard.page.clock.run_for(EVERY_MILLISECONDS)
        expect(cells.nth(6)).to_contain_text("kB/s")
        dashboard.page.clock.run_for(EVERY_MILLISECONDS)
        expect(cells.nth(6)).to_have_text("")


def test_sessions_are_sorted_and_filtered(peep: Peep, dashboard: Dashboard) -> None:
    names = [peep.add_user(name) for name in ("dora", "emil", "fritz")]
    clients = [peep.log_in(name) for name in reversed(names)]
    dashboard.enter("Sessions")
    rows = dashboard.page.locator("#sessions tbody tr")
    dashboard.page.get_by_role("button", name="User").click()
    expect(rows.locator("td:first-child")).to_have_text(["dora", "emil", "fritz"])
    dashboard.page.get_by_role("button", name="User").click()
    expect(rows.locator("td:first-child")).to_have_text(["fritz", "emil", "dora"])
    expect(dashboard.page.get_by_role("columnheader", name="User")).to_have_attribute(
        "aria-sort", "descending"
    )
    dashboard.page.get_by_label("Filter").fill("EMI")
    expect(rows).to_have_count(1)
    dashboard.page.get_by_label("Filter").fill("nobody")
    expect(dashboard.page.get_by_text("No session fits the filter.")).to_be_visible()
    for client in clients:
        client.close()


def test_the_instances_are_shown(peep: Peep, dashboard: Dashboard) -> None:
    dashboard.enter("Instances")
    rows = dashboard.page.locator("#instances tbody tr")
    expect(rows).to_have_count(1)
    expect(dashboard.page.locator("#version")).not_to_be_empty()
    expect(rows).to_contain_text(str(dashboard.page.locator("#version").text_content()))
    expect(rows).to_contain_text("%")


def test_a_telephone_never_scrolls_sideways(peep: Peep, open_dashboard: Open) -> None:
    peep.add_user(LONGEST_NAME)
    dashboard = open_dashboard(viewport=TELEPHONE)
    assert not dashboard.is_wider_than_the_screen()
    with peep.log_in(LONGEST_NAME):
        dashboard.enter()
        for view in VIEWS:
            dashboard.go_to(view)
            shown = {"Overview": "#logged-in", "Sessions": "#sessions td", "Users": "#users td"}.get(view)
            if shown:
                expect(dashboard.page.locator(shown).filter(has_text=LONGEST_NAME)).to_be_visible()
            assert not dashboard.is_wider_than_the_screen(), view
        dashboard.go_to("Sessions")
        dashboard.row(LONGEST_NAME).get_by_role("button").click()
        expect(dashboard.dialog()).to_be_visible()
        assert not dashboard.is_wider_than_the_screen()
    # What is announced has the whole width.
    assert dashboard.page.evaluate(_LINES_OF_ANNOUNCEMENT) == 1


def test_long_and_hostile_words_widen_no_page_and_stay_words(peep: Peep, open_dashboard: Open) -> None:
    hostile = peep.add_user("<b>bold<b>&amp;'{{7*7}}")
    reason = f"<img src=x onerror=alert(1)> {'y' * 100}"
    body = {"refusals": [{"kind": "ban", "subject": "203.0.113.0/24", "reason": reason}]}
    peep.api.client.post("/v1/refusals", json=body).raise_for_status()
    peep.add_user("y" * 128)
    dashboard = open_dashboard(viewport=(800, 800))
    dashboard.enter()
    shown = {"Refusals": "<img src=x", "Users": hostile, "Audit": "y" * 40}
    for view, words in shown.items():
        dashboard.go_to(view)
        expect(dashboard.page.locator("td").filter(has_text=words, visible=True).first).to_be_visible()
        assert not dashboard.is_wider_than_the_screen(), view
        assert dashboard.page.evaluate(_TABLES_CUT_OFF) == 0, view
    assert dashboard.page.locator("td img, td b").count() == 0


class Traffic:
    """Clients that fetch mail while a page is looked at."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.clients: list[Pop3Client] = []
        self._total = dashboard.page.locator('[data-total="retrieved_emails"]')
        self._fetched = 0

    def flow(self, rounds: int) -> None:
        """Fetch now with these clients, now with those, for so many `COUNTERS_SECONDS`."""
        for _ in range(rounds):
            for client in CHANCE.sample(self.clients, CHANCE.randint(1, len(self.clients))):
                self._fetched += fetch_some(client)
            # Once the figure is on the page such a time is over, and the charts have one point more.
            expect(self._total).to_have_text(f"{self._fetched:,}")


@pytest.mark.timeout(180)
def test_pictures_of_a_busy_server(own_peep: Peep, open_dashboard: Open) -> None:
    write_past(own_peep.redis.url)
    names = [own_peep.add_user(name, 5) for name in ("alice", "bob", "carol", "dave", "erin", "frank")]
    pages = {scheme: open_dashboard(scheme=scheme) for scheme in ("light", "dark")}
    telephone = open_dashboard(viewport=TELEPHONE)
    for dashboard in (*pages.values(), telephone):
        dashboard.enter()
    traffic = Traffic(pages["light"])
    for name in names:
        traffic.clients.append(own_peep.log_in(name, encrypted=name in ("bob", "erin")))
        traffic.flow(ROUNDS // 12)
    own_peep.api.change_settings(timeout_seconds=300)
    last = traffic.clients.pop()
    last.ask("DELE 1")
    last.quit()
    traffic.flow(ROUNDS // 2)
    traffic.clients[1].ask("DELE 2")
    for scheme, dashboard in pages.items():
        expect(dashboard.figure("logged_in_users")).to_have_text("5")
        expect(dashboard.page.locator("#activity")).to_contain_text("frank logged out")
        expect(dashboard.page.locator("#logged-in li")).to_have_count(5)
        dashboard.page.locator("#announcement").evaluate("announced => announced.replaceChildren()")
        dashboard.picture(f"overview-{scheme}")
    telephone.picture("telephone")
    pages["light"].go_to("Sessions")
    expect(pages["light"].row("bob").get_by_role("cell").nth(8)).to_have_text("1")
    pages["light"].row("bob").get_by_role("button").click()
    expect(pages["light"].dialog()).to_be_visible()
    pages["light"].picture("sessions-dialog")
    for client in traffic.clients:
        client.close()


def fetch_some(client: Pop3Client) -> int:
    """Fetch some messages and return how many."""
    count = CHANCE.randint(1, 5)
    for number in range(1, count + 1):
        assert len(client.ask_lines(f"RETR {number}")) == MESSAGE.count(b"\n")
    return count
