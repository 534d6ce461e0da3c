"""What commands on the machine do is in the audit: once the store has taken it, with who typed it."""

import asyncio
import socket
from pathlib import Path

import pytest

from peepctl.up import repairs
from pop3_service.old_unique_ids import command
from state_store.audit import Act, Door, Wanted, on_this_machine
from state_store.repository import StateRepository
from support.whole_store import repository_on

NOWHERE = "unix:///nonexistent/redis.sock"


async def acts(repository: StateRepository) -> list[Act]:
    return [act async for act in repository.all_acts(Wanted())]


async def test_a_repair_is_noted_at_the_next_start(
    repository: StateRepository, redis_url: str, tmp_path: Path
) -> None:
    repairs.remember(tmp_path, "cutting it there loses 7 octets", tmp_path / "redis.damaged-1")
    await repairs.note(tmp_path, NOWHERE)  # it is not there yet
    assert await acts(repository) == []
    for _ in range(2):
        await repairs.note(tmp_path, redis_url)
    (act,) = await acts(repository)
    assert (act.action, act.object, act.old) == (
        "store.repair",
        str(tmp_path / "redis.damaged-1"),
        "cutting it there loses 7 octets",
    )
    assert (act.by.name, act.by.door, act.by.address) == (
        on_this_machine().name,
        Door.MACHINE,
        socket.gethostname(),
    )


def test_an_import_of_unique_ids_is_noted(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "alice" / folder).mkdir(parents=True)
    monkeypatch.setenv("PEEP_MAIL_DIR", str(tmp_path))
    monkeypatch.setenv("PEEP_REDIS_URL", redis_url)
    command.main(["import", "alice", "--from", "names", "--dry-run"])
    command.main(["import", "alice", "--from", "names"])
    assert "audit" not in capsys.readouterr().err
    monkeypatch.setenv("PEEP_REDIS_URL", NOWHERE)
    command.main(["import", "alice", "--from", "names"])
    assert capsys.readouterr().err.startswith("this import is not in the audit: ")
    assert _run_acts(redis_url) == [("unique-ids.import", "alice", "names")]


def _run_acts(url: str) -> list[tuple[str, str, str]]:
    async def read() -> list[tuple[str, str, str]]:
        async with repository_on(url) as repository:
            return [(act.action, act.object, act.new) for act in await acts(repository)]

    return asyncio.run(read())
