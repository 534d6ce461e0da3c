"""Who is slowed down for wrong passwords, on the page, and an end to it."""

import asyncio
import itertools
import threading
from collections.abc import Coroutine
from typing import Any

from playwright.sync_api import expect

from state_store.credentials.attempts import Attempt, Outcome, RefusalReason, Verdict
from state_store.repository import StateRepository
from support.dashboard import Dashboard
from support.peep_services import Peep

SUBJECTS = {
    "user alice": "198.51.100.{}",
    "user bob": "203.0.113.9",
    "administrator root": "2001:db8:0:{:x}::/64",
}


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine: a browser's loop runs in this thread."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


async def guess(redis_url: str) -> None:
    """Use up what these users, and the network of one of them, are allowed."""
    repository = StateRepository(redis_url)
    for subject, network in SUBJECTS.items():
        # However slowly this machine guesses: some of the allowance comes back meanwhile.
        for number in itertools.count():
            attempt = Attempt(subject, network.format(number), f"digest {number}")
            decision = await repository.begin_attempt(attempt)
            if decision.verdict is Verdict.WAIT:
                break
            await repository.end_attempt(attempt, decision, Outcome.WRONG, RefusalReason.WRONG_PASSWORD)
    await repository.close()


def test_slow_downs_are_shown_and_lifted_and_the_feed_tells_when_they_began(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.enter()
    run(guess(own_peep.redis.url))
    feed = dashboard.page.locator("#activity")
    expect(feed).to_contain_text("Guesses at alice from many networks are slowed down")
    expect(feed).to_contain_text("bob was refused from 203.0.113.9")
    dashboard.go_to("Slow-downs")
    rows = dashboard.page.locator("#slow-downs tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="203.0.113.9")).to_contain_text("(any)")
    expect(rows.filter(has_text="root")).to_contain_text("administrator")
    expect(dashboard.page.locator("#slow-downs .summary")).to_have_text("3 slow-downs")
    dashboard.picture("slow-downs")
    dashboard.page.get_by_role("button", name="Lift the slow-down from 203.0.113.9").click()
    dashboard.picture("slow-downs-dialog")
    dashboard.dialog().get_by_role("button", name="Lift").click()
    expect(rows).to_have_count(2)
    expect(dashboard.page.get_by_role("status")).to_have_text("The slow-down from 203.0.113.9 is lifted")
    left = own_peep.api.client.get("/v1/slow-downs").json()["slow_downs"]
    assert {one["username"] for one in left} == {"alice", "root"}
