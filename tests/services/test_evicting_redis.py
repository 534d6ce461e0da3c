"""A Redis that may throw away users is told of at the start, and by `/readyz`."""

from pathlib import Path

import pytest
import structlog

from state_store.repository import StateRepository
from state_store.store_status import StoreStatus
from support.api_process import running_api
from support.redis_server import RedisServer


@pytest.mark.parametrize(
    ("maxmemory", "policy", "is_dangerous"),
    [
        ("0", "allkeys-lru", False),
        ("1073741824", "noeviction", False),
        ("1073741824", "allkeys-lru", True),
        ("1073741824", "volatile-ttl", True),
    ],
)
def test_only_a_limit_with_another_policy_is_dangerous(
    maxmemory: str, policy: str, is_dangerous: bool
) -> None:
    about = f"# Memory\r\nmaxmemory:{maxmemory}\r\nmaxmemory_human:x\r\nmaxmemory_policy:{policy}\r\n"
    assert bool(StoreStatus.of(0.0, 0.0, about).warnings) is is_dangerous


def test_redis_that_does_not_say_is_not_suspected() -> None:
    assert StoreStatus.of(0.0, 0.0, "").warnings == []


async def test_service_warns_once_at_its_start_and_readyz_shows_it(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        async with running_api(redis_server.url, tmp_path) as api:
            shown = await api.client.get("/readyz")
            assert shown.status_code == 200
            (warning,) = shown.json()["warnings"]
            assert "maxmemory-policy is allkeys-lru" in warning
            assert api.log().count("REDIS MAY THROW AWAY USERS") == 1
            client.config_set("maxmemory-policy", "noeviction")
            assert (await api.client.get("/readyz")).json()["warnings"] == []


async def test_user_who_may_not_ask_is_served(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.acl_setuser("default", enabled=True, nopass=True, commands=["-info"])
    repository = StateRepository(redis_server.url)
    try:
        with structlog.testing.capture_logs() as logs:
            assert await repository.warnings() == []
        assert logs == []
    finally:
        await repository.close()
