"""Users who come from the old server, on the page."""

from playwright.sync_api import expect

from state_store.moves import MoveProgress
from state_store.records import Instance
from support.actors import OPERATOR
from support.dashboard import Dashboard, beside_the_browser
from support.peep_services import Peep
from support.whole_store import repository_on


async def make_moves(redis_url: str) -> None:
    async with repository_on(redis_url) as repository:
        await repository.announce_source("old.example.org:995", by=OPERATOR)
        await repository.register_instance(Instance("mover", "host", 1, "1", 0.0, layout="{user}"))
        for number, name in enumerate(("anna", "berta", "carla")):
            await repository.begin_move(name, "mover", str(number))
        await repository.note_move("anna", "mover", MoveProgress(412, 1532))
        why = "the old server: it refuses UIDL"
        await repository.end_move("berta", "mover", "1", MoveProgress(2, 9), why)
        await repository.end_move("carla", "mover", "2", MoveProgress(1, 1))


def test_moves_are_shown_with_how_far_they_are_and_why_they_failed(
    own_peep: Peep, dashboard: Dashboard
) -> None:
    dashboard.enter()
    dashboard.go_to("Moves")
    summary = dashboard.page.locator("#moves .summary")
    expect(summary).to_have_text("No old server is set: 0 users moved, 0 not yet")
    expect(dashboard.page.locator("#moves .nothing")).to_have_text("No mail is being moved.")
    beside_the_browser(make_moves(own_peep.redis.url))
    expect(summary).to_have_text("From old.example.org:995: 1 user moved, 2 not yet")
    rows = dashboard.page.locator("#moves tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="anna")).to_contain_text("412 of 1,532")
    expect(rows.filter(has_text="berta")).to_contain_text("the old server: it refuses UIDL")
    dashboard.picture("moves")
