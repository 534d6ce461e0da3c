"""state-api beside a POP3 service of two processes: what it shows of them, how it closes a session."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.api_process import RunningApi, running_api
from support.api_server import listening
from support.pop3_process import SECONDS, Pop3Client, Pop3Process

SESSIONS = 6
COMMANDS = 4
"""Of each session: USER, PASS, STAT, NOOP."""


@pytest.fixture
def pop3(redis_url: str, tmp_path: Path) -> Iterator[Pop3Process]:
    """Give a POP3 service of two processes."""
    with Pop3Process(redis_url, tmp_path, workers=2) as service:
        yield service


@pytest.fixture
async def api(redis_url: str, pop3: Pop3Process, tmp_path: Path) -> AsyncIterator[RunningApi]:
    """Give state-api over the same store; the POP3 service is there already."""
    async with running_api(redis_url, tmp_path) as api:
        yield api


async def numbers(api: RunningApi) -> dict[str, float]:
    """Return the sum over all series of each name that `/metrics` tells."""
    text = (await api.client.get("/metrics")).text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def hold_sessions(pop3: Pop3Process) -> list[Pop3Client]:
    """Log several users in, and let each say something."""
    clients = [pop3.log_in(pop3.add_user()) for _ in range(SESSIONS)]
    for client in clients:
        assert client.ask("STAT").startswith(b"+OK")
        assert client.ask("NOOP").startswith(b"+OK")
    return clients


async def test_metrics_sum_what_all_processes_have_timed_and_show_each_of_them(
    api: RunningApi, pop3: Pop3Process
) -> None:
    clients = await asyncio.to_thread(hold_sessions, pop3)
    shown = await numbers(api)
    async with asyncio.timeout(SECONDS):
        while shown["peep_pop3_command_duration_seconds_count"] < SESSIONS * COMMANDS:
            shown = await numbers(api)
    assert shown["peep_pop3_command_duration_seconds_count"] == SESSIONS * COMMANDS
    assert shown["peep_pop3_login_duration_seconds_count"] == SESSIONS == shown["peep_pop3_logins_total"]
    assert 0 < shown["peep_pop3_login_duration_seconds_sum"] < 60
    assert shown["peep_pop3_instances"] == 2
    assert shown["peep_pop3_instance_connections"] == SESSIONS == shown["peep_pop3_connections"]
    assert shown["peep_pop3_instance_reserved_connections"] >= SESSIONS
    assert 0 < shown["peep_pop3_instance_lease_seconds"] <= 2 * 15
    instances = (await api.client.get("/v1/instances")).json()["instances"]
    assert sorted(instance["worker"] for instance in instances) == [1, 2]
    assert sum(instance["connections"] for instance in instances) == SESSIONS
    for client in clients:
        client.close()


async def test_a_session_is_closed_over_http_and_its_end_is_told_to_who_listens(
    api: RunningApi, pop3: Pop3Process
) -> None:
    username = await asyncio.to_thread(pop3.add_user)
    async with listening(api.client) as reader:
        await reader.until("counters")
        client = await asyncio.to_thread(pop3.log_in, username)
        login = await reader.until("login")
        assert (login.data["username"], login.data["address"]) == (username, "127.0.0.1")
        path = f"/v1/sessions/{login.data['session']}"
        async with asyncio.timeout(SECONDS):  # the session itself is written down a moment after the event
            while not (await api.client.get("/v1/sessions")).json()["sessions"]:
                await asyncio.sleep(0.02)
        assert (await api.client.delete(path)).status_code == 204
        assert (await api.client.get("/v1/sessions")).json() == {"sessions": []}
        assert (await api.client.delete(path)).json()["type"] == "/docs#unknown-session"
        logout = await reader.until("logout")
    assert (logout.data["username"], logout.data["session"]) == (username, login.data["session"])
    assert client.rest().endswith(b"an administrator has closed this session\r\n")
    client.close()
    assert '"session closed by an administrator"' in api.log()
