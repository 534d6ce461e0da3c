"""Pages of 100,000 users, sorted and filtered, in processor time of state-api."""

import time

import redis

from state_api.user_list import UserLists, UserQuery, UserSort
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.user_records import RecordText

USERS = 100_000
PAGE_SECONDS = 0.05


def fill(server: redis.Redis) -> None:
    now = int(time.time())
    for first in range(0, USERS, 5000):
        pipe = server.pipeline(transaction=False)
        names = [f"user{number:06}@example.org" for number in range(first, first + 5000)]
        pipe.zadd(keys.USERNAMES, dict.fromkeys(names, 0))
        pipe.hset(keys.CREDENTIALS, mapping=dict.fromkeys(names, f"v1 $argon2id${'x' * 90}"))
        records: list[str] = []
        for number, name in enumerate(names, first):
            record = RecordText()
            record.take(now - number % 200 * 86_400, f"l 192.0.2.7 - USER 20 {number} 0 0")
            record.take(now, f"t {number * 7919 % USERS} 3")
            records += (name, record.text)
        pipe.hset(keys.USER_RECORDS, items=records)
        pipe.execute()


async def test_pages_of_100_000_users_take_less_than_50_ms(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    fill(behind_the_scenes)
    lists = UserLists(repository)

    async def taken(query: UserQuery, offset: int = 0) -> float:
        began = time.process_time()
        assert (await lists.page(query, offset, 100)).users
        return time.process_time() - began

    print(f"{await taken(UserQuery(UserSort.TODAY, is_descending=True)):.2f} s to read all users once")
    first = [
        await taken(UserQuery(UserSort.TODAY, is_descending=True, search="9")),
        await taken(UserQuery(UserSort.TODAY, is_descending=True, not_since_days=90)),
        await taken(UserQuery(search="user0001")),
    ]
    next_pages = [await taken(UserQuery(UserSort.TODAY, is_descending=True), 50_000)]
    print("first pages", [f"{one * 1000:.1f} ms" for one in first], "others", next_pages)
    assert max(first + next_pages) < PAGE_SECONDS
