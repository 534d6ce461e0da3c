"""`/v1/users` over a real store beside a plain set of names."""

import asyncio
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from state_store.repository import StateRepository
from support.api_client import api_client
from support.redis_server import RedisServer

NAMES = ("alice", "a?b#c%2Fd&e..\\~", "zoe")
STORIES = st.lists(
    st.tuples(st.sampled_from(("POST", "GET", "PUT", "DELETE")), st.sampled_from(NAMES)), max_size=12
)


async def play(repository: StateRepository, story: list[tuple[str, str]]) -> None:
    there: set[str] = set()
    async with api_client(repository) as client:
        for method, name in story:
            path = f"/v1/users/{quote(name, safe='')}"
            if method == "POST":
                added = await client.post("/v1/users", json={"username": name, "password": "a"})
                assert added.status_code == (409 if name in there else 201)
                there.add(name)
            elif method == "PUT":
                changed = await client.put(f"{path}/password", json={"password": "b"})
                assert changed.status_code == (204 if name in there else 404)
            else:
                answered = await client.request(method, path)
                assert answered.status_code == ({"GET": 200, "DELETE": 204}[method] if name in there else 404)
                there -= {name} if method == "DELETE" else set()
            listed = (await client.get("/v1/users")).json()["users"]
            assert [user["username"] for user in listed] == sorted(there)


@given(story=STORIES)
def test_users_who_are_added_are_there_and_who_are_removed_are_gone(
    shared_redis_server: RedisServer, story: list[tuple[str, str]]
) -> None:
    async def run() -> None:
        repository = StateRepository(shared_redis_server.url)
        await repository.prepare()
        try:
            await play(repository, story)
        finally:
            await repository.close()

    shared_redis_server.flush()
    asyncio.run(run())
