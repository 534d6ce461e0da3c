"""Counters, sessions, instances and health over a real store."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis
from structlog.testing import capture_logs

from service_runtime import VERSION
from state_store.records import Counters
from state_store.redis import keys
from state_store.repository import StateRepository
from support.api_client import api_client, problem
from support.busy_store import CERTIFICATE_EXPIRES_AT, COUNTERS, vitals
from support.peep_gateway_server import instance, obeying


async def test_counters_show_all_seven_fields(busy: StateRepository) -> None:
    async with api_client(busy) as client:
        response = await client.get("/v1/counters")
    assert Counters(**response.json()) == COUNTERS


async def test_sessions_show_who_is_connected_from_where_and_for_how_long(busy: StateRepository) -> None:
    async with api_client(busy) as client:
        first, second = (await client.get("/v1/sessions")).json()["sessions"]
    assert (first["id"], first["instance"], first["username"]) == ("s1", "pop3", "alice")
    assert first["address"] == "192.0.2.7:40000"
    assert 60 <= first["seconds"] < 120
    connected_at = datetime.fromisoformat(first["connected_at"])
    assert connected_at.utcoffset() == UTC.utcoffset(None)
    assert abs(connected_at.timestamp() - (time.time() - first["seconds"])) < 30
    assert (first["tls"], first["octets"], first["retrieved"], first["marked"]) == ("TLSv1.3", 5120, 3, 2)
    assert (second["username"], second["tls"], second["octets"]) == (None, None, 0)


async def test_a_session_from_a_clock_ahead_of_ours_is_not_shown_with_negative_seconds(
    busy: StateRepository,
) -> None:
    async with api_client(busy) as client:
        sessions = (await client.get("/v1/sessions")).json()["sessions"]
    assert sessions[1]["seconds"] == 0


async def test_a_session_is_closed_and_then_unknown_and_the_log_tells_who_did_it(
    busy: StateRepository,
) -> None:
    async with obeying(busy, "pop3"), api_client(busy) as client:
        with capture_logs() as events:
            closed = await client.delete("/v1/sessions/s1")
            assert (closed.status_code, closed.content) == (204, b"")
            problem(await client.delete("/v1/sessions/s1"), 404, "/docs#unknown-session")
        sessions = (await client.get("/v1/sessions")).json()["sessions"]
    assert [session["id"] for session in sessions] == ["s2"]
    told = [event for event in events if event["event"] == "session closed by an administrator"]
    assert [(event["session"], event["administrator"]) for event in told] == [("s1", "root")]


@pytest.mark.parametrize("session_id", ["s3", "%FF", "%00", "a%20b", "..", "x" * 5000])
async def test_an_unknown_session_is_a_problem(busy: StateRepository, session_id: str) -> None:
    async with api_client(busy) as client:
        response = await client.delete(f"/v1/sessions/{session_id}")
    assert problem(response, 404, "about:blank" if session_id == ".." else "/docs#unknown-session")


async def test_instances_show_their_lease_and_what_they_carry(busy: StateRepository) -> None:
    async with api_client(busy) as client:
        (shown,) = (await client.get("/v1/instances")).json()["instances"]
    assert (shown["id"], shown["host"], shown["worker"]) == ("pop3", instance().host, 1)
    assert (shown["process_id"], shown["version"]) == (instance().process_id, instance().version)
    assert 0 < shown["lease_seconds"] <= 15
    assert (shown["connections"], shown["load"]) == (2, 0.25)
    assert shown["reserved"] >= 2
    assert datetime.fromisoformat(shown["certificate_expires_at"]).timestamp() == CERTIFICATE_EXPIRES_AT
    assert datetime.fromisoformat(shown["started_at"]).timestamp() == instance().started_at


async def test_the_version_is_shown(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        assert (await client.get("/v1/version")).json() == {"version": VERSION}


async def test_logged_in_users_are_listed(busy: StateRepository) -> None:
    async with api_client(busy) as client:
        assert (await client.get("/v1/logged-in-users")).json() == {"users": ["alice"]}


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_a_process_without_a_store_is_alive(path: str) -> None:
    async with api_client(auth=None) as client:
        assert (await client.get(path)).json() == {"status": "alive"}


async def test_a_process_with_a_store_is_ready(repository: StateRepository) -> None:
    async with api_client(repository, auth=None) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "warnings": []})


async def test_a_process_without_a_store_is_not_ready() -> None:
    async with api_client(auth=None) as client:
        response = await client.get("/readyz")
    # Such as Redis with a full disk.
    assert "takes no writes" in problem(response, 503, "/docs#store-unavailable")["detail"]
    assert response.headers["retry-after"] == "1"
    assert "nonexistent" not in response.text


async def test_a_draining_process_is_alive_and_not_ready(repository: StateRepository) -> None:
    async with api_client(repository, auth=None, is_draining=lambda: True) as client:
        problem(await client.get("/readyz"), 503, "/docs#draining")
        assert (await client.get("/livez")).status_code == 200


async def test_health_tells_what_is_well_and_what_is_not(busy: StateRepository) -> None:
    await busy.register_instance(replace(instance(), instance_id="old", host="an-older-version"))
    await busy.note_vitals("pop3", vitals(disk_fault="Stale file handle", loop_lag=0.5))
    async with api_client(busy) as client:
        shown = (await client.get("/v1/health")).json()
    assert shown["state"] == "critical"
    found = {(one["name"], one["subject"]): (one["state"], bool(one["advice"])) for one in shown["checks"]}
    assert found["mail-disk", instance().host] == ("critical", True)
    assert found["certificate", instance().host] == ("ok", False)
    assert found["mail-disk", "an-older-version"] == ("unknown", False)
    assert found["redis", ""] == found["redis-log", ""] == ("ok", False)
    assert {state for state, _ in found.values()} == {"ok", "warning", "critical", "unknown"}


async def test_health_says_when_the_clock_of_an_instance_is_wrong(
    busy: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await busy.note_vitals("pop3", vitals(told_at=time.time() - 30))
    (status,) = await busy.instances()
    assert status.clock_ahead == pytest.approx(-30, abs=5)
    behind_the_scenes.hset(f"{keys.INSTANCE}pop3", "clock_ahead", "-30")  # however late it was told
    async with api_client(busy) as client:
        checks = (await client.get("/v1/health")).json()["checks"]
    (clock,) = [one for one in checks if (one["name"], one["subject"]) == ("clock", instance().host)]
    assert (clock["state"], clock["text"]) == ("warning", "30.0 s behind Redis' clock")
