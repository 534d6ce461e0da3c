"""Who is slowed down for wrong passwords, and an end to it, over HTTP."""

import time
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from state_store.repository import StateRepository
from support.allowances import use_up
from support.api_client import api_client, problem


@pytest.fixture
async def slowed(repository: StateRepository) -> StateRepository:
    """Give a store with a slow-down of each kind."""
    await use_up(repository, "user carol", "203.0.113.9")
    await use_up(repository, "user alice", "198.51.100.{}")
    await use_up(repository, "administrator eve", "2001:db8:0:{:x}::/64")
    return repository


async def test_slow_downs_show_whom_they_are_about_since_when_and_until_when(slowed: StateRepository) -> None:
    async with api_client(slowed) as client:
        found = (await client.get("/v1/slow-downs")).json()["slow_downs"]
    assert [(one["network"], one["username"], one["is_administrator"]) for one in found] == [
        ("203.0.113.9", None, False),
        (None, "alice", False),
        (None, "eve", True),
    ]
    assert [one["attempts"] for one in found] == [1, 1, 1]
    for one in found:
        since, until = (datetime.fromisoformat(one[name]).timestamp() for name in ("since", "until"))
        assert time.time() - 60 < since <= time.time() < until < time.time() + 60


async def test_a_slow_down_is_lifted_and_then_unknown_and_the_log_tells_who_did_it(
    slowed: StateRepository,
) -> None:
    async with api_client(slowed) as client:
        first, second, third = [
            one["id"] for one in (await client.get("/v1/slow-downs")).json()["slow_downs"]
        ]
        with capture_logs() as events:
            lifted = await client.delete(f"/v1/slow-downs/{second}")
            assert (lifted.status_code, lifted.content) == (204, b"")
            problem(await client.delete(f"/v1/slow-downs/{second}"), 404, "/docs#unknown-slow-down")
        left = (await client.get("/v1/slow-downs")).json()["slow_downs"]
    assert [one["id"] for one in left] == [first, third]
    told = [event for event in events if event["event"] == "slow-down lifted"]
    assert [(event["slow_down"], event["administrator"]) for event in told] == [(second, "root")]
