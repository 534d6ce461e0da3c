"""Pages of 100,000 users, sorted and filtered: in Python's calls of functions, as times are the machine's."""

import time
from dataclasses import replace

import redis

from state_api.user_list import UserLists, UserQuery, UserSort
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.user_records import DAY_SECONDS, RecordText
from support.function_calls import function_calls
from support.kept_records import keep_records

USERS = 100_000
MOST_CALLS = 100
"""For a page. Measured: 22; a question to each user would be 100,000."""


def fill(server: redis.Redis) -> None:
    now = int(time.time())
    records: dict[str, str] = {}
    for first in range(0, USERS, 5000):
        pipe = server.pipeline(transaction=False)
        names = [f"user{number:06}@example.org" for number in range(first, first + 5000)]
        pipe.zadd(keys.USERNAMES, dict.fromkeys(names, 0))
        pipe.hset(keys.CREDENTIALS, mapping=dict.fromkeys(names, f"v1 $argon2id${'x' * 90}"))
        for number, name in enumerate(names, first):
            record = RecordText()
            record.take(now - number % 200 * 86_400, f"l 192.0.2.7 - USER 20 {number} 0 0")
            record.take(now, f"t {number * 7919 % USERS} 3")
            records[name] = record.text
        pipe.execute()
    keep_records(server, records)


async def test_pages_of_100_000_users_ask_no_user_by_a_call(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    fill(behind_the_scenes)
    lists = UserLists(repository)

    async def calls(query: UserQuery, offset: int = 0) -> int:
        began = time.process_time()
        with function_calls() as made:
            assert (await lists.page(query, offset, 100)).users
        print(f"{time.process_time() - began:.4f} s, {made.number} calls: {query}")
        return made.number

    await lists.page(UserQuery(), 0, 100)  # reads them
    busiest = (await lists.page(UserQuery(UserSort.WEEK, is_descending=True), 0, 2)).users
    week = [RecordText(user.record).traffic(user.at // DAY_SECONDS)[1].octets for user in busiest]
    assert week == [USERS - 1, USERS - 2]
    today = UserQuery(UserSort.TODAY, is_descending=True)
    first = [
        today,
        replace(today, search="9"),
        replace(today, not_since_days=90),
        replace(today, is_suspended=False),
        replace(today, scheme="ARGON2ID"),
        UserQuery(search="user0001"),
    ]
    assert max([await calls(query) for query in first]) < MOST_CALLS
    assert await calls(today, 50_000) < MOST_CALLS
