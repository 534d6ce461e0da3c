"""The charts open with what was before the page was opened; they show a day, a week and a year too."""

import pytest
import redis
from playwright.sync_api import expect

from state_store.health import NewHealthChange
from state_store.redis import keys
from state_store.repository import StateRepository
from support.dashboard import Dashboard, Open, beside_the_browser
from support.past import CONNECTIONS_AT_MOST, write_past
from support.peep_services import Peep
from support.pop3_process import wait_until

LOOKS: dict[str, dict[str, object]] = {
    "light": {},
    "dark": {"scheme": "dark"},
    "390": {"viewport": (390, 844)},
}


WATCHER = "the test"
HEALTH_EVERY_MILLISECONDS = 5000
"""So often the page of health is read anew."""


def take_the_watch(peep: Peep) -> None:
    """Let nothing but the test change what is noted of health, however late processes are on this machine."""
    with redis.Redis.from_url(peep.redis.url) as store:
        store.set(keys.HEALTH_WATCHER, WATCHER)


def note_health(peep: Peep, *changes: NewHealthChange) -> None:
    """Note changes of health, as state-api does after two looks."""

    async def note() -> None:
        repository = StateRepository(peep.redis.url)
        await repository.note_health(WATCHER, changes)
        await repository.close()

    beside_the_browser(note())


def chart_of_connections(dashboard: Dashboard, words: str) -> None:
    """Wait until the chart says what it shows."""
    place = dashboard.page.locator('[data-gauge="current_connections"] [role="img"]')
    expect(place).to_have_attribute("aria-label", f"Connections: now 0, at most {words}")


@pytest.mark.timeout(120)
def test_the_charts_open_full_and_reach_back_a_year(own_peep: Peep, open_dashboard: Open) -> None:
    take_the_watch(own_peep)
    write_past(own_peep.redis.url)
    own_peep.api.change_settings(timeout_seconds=300)
    bans = [{"kind": "ban", "subject": f"192.0.2.{number}"} for number in (7, 8)]
    assert own_peep.api.client.post("/v1/refusals", json={"refusals": bans}).status_code == 200
    for name, options in LOOKS.items():
        dashboard = open_dashboard(**options)
        dashboard.enter()
        octets = dashboard.page.locator('[data-gauge="retrieved_bytes"] [role="img"]')
        expect(octets).to_have_attribute(
            "aria-label", "Octets sent: now 0 B/s, at most 2.0 kB/s in the last hour"
        )
        dashboard.picture(f"history-{name}-hour")
        for label, words in (
            ("24 hours", "the last 24 hours"),
            ("7 days", "the last 7 days"),
            ("1 year", "the last year"),
        ):
            dashboard.page.get_by_role("button", name=label).click()
            chart_of_connections(dashboard, f"{CONNECTIONS_AT_MOST} in {words}")
            expect(dashboard.page.locator("#changes summary")).to_have_text(f"3 changes in {words}")
            dashboard.picture(f"history-{name}-{label.replace(' ', '-')}")
        assert dashboard.barriers() == []
        assert not dashboard.is_wider_than_the_screen()
    dashboard.page.locator("#changes summary").click()
    changes = dashboard.page.locator("#changes li")
    expect(changes.nth(0)).to_contain_text("2 networks are banned, by root")
    expect(changes.nth(1)).to_contain_text("The timeout is now 5 min (before: 10 min), by root")
    dashboard.picture("history-390-changes")


@pytest.mark.timeout(120)
def test_health_says_what_is_wrong_and_what_to_do(own_peep: Peep, open_dashboard: Open) -> None:
    def check_of(name: str) -> dict[str, str]:
        checks: list[dict[str, str]] = own_peep.api.client.get("/v1/health").json()["checks"]
        return next((check for check in checks if check["name"] == name), {"state": "unknown"})

    wait_until(lambda: check_of("mail-disk")["state"] == "ok", "the disk is known")
    for name, options in LOOKS.items():
        dashboard = open_dashboard(**options)
        dashboard.page.clock.install()
        dashboard.enter("Health")
        rows = dashboard.page.locator("#health tbody tr")
        expect(rows.filter(has_text="Certificate")).to_contain_text("expires 3000-01-01")
        expect(rows.filter(has_text="Append-only file of Redis")).to_contain_text("well")
        expect(rows.filter(has_text="are free").first).to_contain_text("well")
        assert dashboard.barriers() == []
        assert not dashboard.is_wider_than_the_screen()
        dashboard.picture(f"health-{name}")
    own_peep.pop3.mail.rename(own_peep.pop3.mail.with_name("unmounted"))
    wait_until(lambda: check_of("mail-disk")["state"] == "critical", "the disk's fault is known")
    dashboard.page.clock.run_for(HEALTH_EVERY_MILLISECONDS)
    disk = rows.filter(has_text="cannot be read: No such file or directory")
    expect(disk).to_contain_text("critical")
    expect(disk).to_contain_text("Mount it")
    expect(rows.first).to_contain_text("critical")
    expect(dashboard.page.get_by_role("link", name="Health critical")).to_be_visible()
    assert dashboard.barriers() == []
    dashboard.picture("health-critical")
    dashboard.reload()
    expect(dashboard.page.locator("#health-sign")).to_have_text("critical")
    assert not dashboard.is_wider_than_the_screen()


@pytest.mark.timeout(120)
def test_changes_of_health_are_marked_told_and_listed(own_peep: Peep, open_dashboard: Open) -> None:
    take_the_watch(own_peep)
    write_past(own_peep.redis.url)
    bad = [
        NewHealthChange("mail-disk", host, "ok", "critical", "cannot be read: Stale <b>file</b> handle")
        for host in ("mail-1", "mail-2")
    ]
    note_health(own_peep, *bad)
    for name, options in LOOKS.items():
        dashboard = open_dashboard(**options)
        dashboard.enter()
        told = dashboard.page.locator("#changes li")
        dashboard.page.locator("#changes summary").click()
        words = "Mail disk (mail-1 and 1 other) is critical: cannot be read: Stale <b>file</b> handle"
        expect(told.filter(has_text=words)).to_have_count(1)
        assert dashboard.barriers() == []
        assert not dashboard.is_wider_than_the_screen()
        dashboard.picture(f"health-changes-{name}")
    note_health(own_peep, *(one._replace(before="critical", state="ok", text="all is free") for one in bad))
    expect(dashboard.page.locator("#activity li").first).to_contain_text(
        "Mail disk (mail-1 and 1 other) is well again"
    )
    expect(told.filter(has_text="is well again")).to_have_count(1)
    dashboard.page.get_by_role("link", name="Health").click()
    rows = dashboard.page.get_by_role("region", name="What has changed").locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("all is free")
    expect(rows.nth(1)).to_contain_text("critical")
    note_health(own_peep, bad[0])
    expect(rows.nth(0)).to_contain_text("critical")
    expect(rows).to_have_count(3)
    assert dashboard.barriers() == []
    assert not dashboard.is_wider_than_the_screen()
    dashboard.picture("health-changes-390-listed")
