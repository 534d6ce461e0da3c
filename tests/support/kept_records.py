"""Users' records, written to the store as if they had been taken long ago."""

import time
from collections import defaultdict
from collections.abc import Mapping

import redis

from state_store.redis import keys
from state_store.repository.user_records import STRANGERS
from state_store.user_records import DAY_SECONDS, group_of, group_text

SINCE_DAYS = 200
"""Records go back so far."""


def keep_records(server: redis.Redis, records: Mapping[str, str]) -> None:
    """Keep these records, as `RecordText.text` has them, by user; no others of the same groups."""
    groups: dict[int | str, dict[str, str]] = defaultdict(dict)
    for name, text in records.items():
        groups[group_of(name)][name] = text
    texts = {number: group_text(group) for number, group in groups.items()}
    if STRANGERS in records:
        texts = {**texts, STRANGERS: records[STRANGERS]}
    server.mset({f"{keys.USER_RECORDS}{number}": text for number, text in texts.items()})
    server.set(keys.RECORDS_SINCE, int(time.time()) - SINCE_DAYS * DAY_SECONDS)
