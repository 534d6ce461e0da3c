"""Who is slowed down for wrong passwords, and an end to it, over the in-memory repository."""

from datetime import datetime

from structlog.testing import capture_logs

from state_store.credentials.attempts import SlowDown
from state_store.memory_repository import MemoryRepository
from support.api_client import api_client, problem

SINCE, UNTIL = 1_764_000_000.25, 1_764_000_060.5


def slowed() -> MemoryRepository:
    """Return a repository with a slow-down of each kind."""
    repository = MemoryRepository()
    repository._slow_downs = {
        "a1": SlowDown("a1", "203.0.113.9", "", False, SINCE, 112, UNTIL),
        "b2": SlowDown("b2", "", "alice", False, SINCE, 3, UNTIL),
        "c3": SlowDown("c3", "2001:db8::/64", "root", True, SINCE, 1, UNTIL),
    }
    return repository


async def test_slow_downs_show_whom_they_are_about_since_when_and_until_when() -> None:
    async with api_client(slowed()) as client:
        found = (await client.get("/v1/slow-downs")).json()["slow_downs"]
    assert [(one["id"], one["network"], one["username"], one["is_administrator"]) for one in found] == [
        ("a1", "203.0.113.9", None, False),
        ("b2", None, "alice", False),
        ("c3", "2001:db8::/64", "root", True),
    ]
    assert [one["attempts"] for one in found] == [112, 3, 1]
    for one in found:
        assert datetime.fromisoformat(one["since"]).timestamp() == SINCE
        assert datetime.fromisoformat(one["until"]).timestamp() == UNTIL


async def test_a_slow_down_is_lifted_and_then_unknown_and_the_log_tells_who_did_it() -> None:
    async with api_client(slowed()) as client:
        with capture_logs() as events:
            lifted = await client.delete("/v1/slow-downs/b2")
            assert (lifted.status_code, lifted.content) == (204, b"")
            problem(await client.delete("/v1/slow-downs/b2"), 404, "/docs#unknown-slow-down")
        left = (await client.get("/v1/slow-downs")).json()["slow_downs"]
    assert [one["id"] for one in left] == ["a1", "c3"]
    told = [event for event in events if event["event"] == "slow-down lifted"]
    assert [(event["slow_down"], event["administrator"]) for event in told] == [("b2", "root")]
