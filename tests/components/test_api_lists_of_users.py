"""`/v1/users` sorted and filtered by what is kept of users; `state_api.user_list` over a real store."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import httpx
import pytest
import redis

from state_api.user_list import UserLists, UserQuery, UserSort
from state_store.records import Credential
from state_store.repository import StateRepository
from state_store.repository.user_records import ListedUser
from state_store.user_records import DAY_SECONDS, RecordText
from support.actors import OPERATOR
from support.api_client import api_client, failed_fields
from support.kept_records import SINCE_DAYS, keep_records
from support.peep_gateway_server import add_users


def record(login_days_ago: int | None, octets: int, refused_days_ago: int | None = None) -> str:
    """Return the record of a user who fetched something today."""
    now, text = int(time.time()), RecordText()
    if refused_days_ago is not None:
        refusal = "r WRONG_PASSWORD 1 192.0.2.7 - USER "
        text.take(now - refused_days_ago * DAY_SECONDS, refusal)
    if login_days_ago is not None:
        text.take(now - login_days_ago * DAY_SECONDS, f"l 192.0.2.7 - USER 1 {octets * 10} 0 0")
    text.take(now, f"t {octets} 1")
    return text.text


@pytest.fixture
async def client(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an API with five users: erin has never logged in, Dora has an imported hash."""
    await add_users(repository, "alice", "bob", "carol", "erin")
    await repository.add_user("Dora", Credential("{SHA512-CRYPT,5000}$6$x", "v1"), by=OPERATOR)
    keep_records(
        behind_the_scenes,
        {
            "alice": record(1, 300),
            "bob": record(100, 100, refused_days_ago=0),
            "carol": record(2, 200, refused_days_ago=9),
            "Dora": record(3, 100),
        },
    )
    async with api_client(repository) as made:
        yield made


@pytest.mark.parametrize("query", ["", "sort=today"])
async def test_a_list_says_since_when_logins_are_known(
    client: httpx.AsyncClient, repository: StateRepository, query: str
) -> None:
    async def since() -> object:
        return (await client.get(f"/v1/users?{query}")).json()["recorded_since"]

    days = datetime.now(UTC) - datetime.fromisoformat(str(await since()))
    assert days.days == SINCE_DAYS
    await repository.forget_all_user_records()
    assert await since() is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("sort=today&descending=true", ["alice", "carol", "Dora", "bob", "erin"]),
        ("sort=week", ["erin", "Dora", "bob", "carol", "alice"]),
        ("sort=last_login&descending=true", ["alice", "carol", "Dora", "bob", "erin"]),
        ("sort=last_refusal&descending=true&limit=2", ["bob", "carol"]),
        ("sort=maildrop&descending=true&offset=3", ["bob", "erin"]),
        ("sort=name&descending=true", ["erin", "carol", "bob", "alice", "Dora"]),
        ("not_since_days=90", ["bob", "erin"]),
        ("refused_days=1", ["bob"]),
        ("search=O", ["Dora", "bob", "carol"]),
        ("scheme=SHA512-CRYPT", ["Dora"]),
        ("suspended=true", []),
        ("suspended=false&search=al", ["alice"]),
        ("sort=today&prefix=b", ["bob"]),
        ("offset=1&prefix=", ["alice", "bob", "carol", "erin"]),
        ("not_since_days=90&prefix=B", []),
    ],
)
async def test_users_are_sorted_and_filtered(client: httpx.AsyncClient, query: str, names: list[str]) -> None:
    page = (await client.get(f"/v1/users?{query}")).json()
    assert [user["username"] for user in page["users"]] == names
    assert page["total"] >= len(names)
    assert page["next"] is None


async def test_a_list_whose_pages_go_by_offset_heeds_no_name_to_begin_after(
    client: httpx.AsyncClient,
) -> None:
    assert "offset" in failed_fields(await client.get("/v1/users?sort=today&after=alice"))["after"]


async def test_figures_of_the_list_are_those_of_the_records(client: httpx.AsyncClient) -> None:
    users = {user["username"]: user for user in (await client.get("/v1/users")).json()["users"]}
    assert users["alice"]["today"] == {"octets": 300, "messages": 1}
    assert users["alice"]["maildrop_octets"] == 3000
    assert users["erin"]["last_login_at"] is None
    assert users["Dora"]["password_scheme"] == "SHA512-CRYPT"
    assert users["bob"]["last_refusal_at"] is not None
    assert users["bob"]["last_refusal_reason"] == "wrong password"
    assert users["erin"]["last_refusal_reason"] is None


async def test_a_list_is_read_anew_after_some_seconds_and_not_before(repository: StateRepository) -> None:
    now = 0.0
    lists = UserLists(repository, lambda: now)
    query = UserQuery(UserSort.TODAY)
    assert (await lists.page(query, 0, 10)).total == 0
    await add_users(repository, "alice")
    assert (await lists.page(query, 0, 10)).total == 0
    now = 30.0  # nobody has looked meanwhile
    assert (await lists.page(query, 0, 10)).total == 1


async def test_who_waits_for_a_list_that_is_too_old_waits_for_one_reading(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, readings = 0.0, 0
    read = repository.listed_users

    async def slow(after: str, limit: int, *, records: Mapping[str, str]) -> list[ListedUser]:
        nonlocal now, readings
        now, readings = now + 5, readings + 1
        return await read(after, limit, records=records)

    monkeypatch.setattr(repository, "listed_users", slow)
    lists = UserLists(repository, lambda: now)
    query = UserQuery(UserSort.TODAY)
    await lists.page(query, 0, 10)
    now = 25.0  # too old to be shown, and read so slowly that the next reading was to be later
    await asyncio.gather(*(lists.page(query, 0, 10) for _ in range(5)))
    assert readings == 2
