"""A front end goes on keeping its administrators in the store, whatever it meets there."""

import asyncio

import pytest
from structlog.testing import capture_logs

from service_runtime import attendance
from service_runtime.attendance import Attendance
from service_runtime.settings import ApiSettings
from state_store.credentials.administrators import Administrators
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords


async def test_a_bug_is_logged_and_the_next_turn_goes_on(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "ATTENDANCE_SECONDS", 0.01)
    attend, troubles = repository.attend, [ValueError("an answer of a later version")]

    async def troubled() -> None:
        if troubles:
            raise troubles.pop()
        await attend()

    monkeypatch.setattr(repository, "attend", troubled)
    settings = ApiSettings(redis_url="redis://127.0.0.1", admins="root:secret")
    administrators = Administrators(repository, cheap_passwords(), settings.admins, by=OPERATOR)
    known: list[str] = []
    with capture_logs() as events:
        keeping_up = asyncio.create_task(
            Attendance("state-api", settings, repository, administrators).keep_up()
        )
        try:
            async with asyncio.timeout(30):
                while not known:
                    known = list(await repository.administrators())
        finally:
            keeping_up.cancel()
    assert known == ["root"]
    assert [event["event"] for event in events if event["log_level"] == "error"] == ["bug"]
