"""The audit: what has been changed, by whom, through which door."""

import asyncio
from typing import Any

import pytest
import redis

from state_store.audit import Actor, Door
from state_store.redis import keys
from state_store.redis.client import RedisClient
from state_store.repository import StateRepository

ROOT = Actor("root", Door.HTTP, "192.0.2.7", "deploy")


@pytest.fixture
def _carried_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every script carried out twice, as after an answer that was lost."""
    once = RedisClient.send

    def send(self: RedisClient, *words: Any) -> "asyncio.Future[Any]":
        if words[0] == "EVALSHA":
            once(self, *words).add_done_callback(lambda answer: answer.exception())
        return once(self, *words)

    monkeypatch.setattr(RedisClient, "send", send)


def entries(client: redis.Redis) -> list[dict[str, str]]:
    """Return the audit as it stands in Redis."""
    found: Any = client.xrange(keys.AUDIT)
    return [fields for _, fields in found]


async def test_a_change_of_a_setting_is_in_the_audit_with_old_and_new(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.change_settings(by=ROOT, max_connections=15)
    (entry,) = entries(behind_the_scenes)
    assert entry == {
        "who": "root",
        "door": "http",
        "address": "192.0.2.7",
        "token": "deploy",
        "action": "settings.change",
        "object": "max_connections",
        "old": "1000",
        "new": "15",
    }


async def test_what_changes_nothing_is_not_in_the_audit(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.change_settings(by=ROOT, timeout_seconds=600)
    assert behind_the_scenes.xlen(keys.AUDIT) == 0


@pytest.mark.usefixtures("_carried_out_twice")
async def test_an_act_that_is_repeated_after_a_lost_answer_is_in_the_audit_once(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.change_settings(by=ROOT, max_connections=15)
    await repository.change_settings(by=ROOT, max_connections=16)
    assert [entry["new"] for entry in entries(behind_the_scenes)] == ["15", "16"]
    assert (await repository.settings()).version == 2
