"""`peepctl audit` and `set --undo`, with the HTTP API over a real store."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from peepctl.http_api import HttpApi
from state_store.audit import Actor, Door, Wanted
from state_store.records import Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_server import api_server
from support.peepctl_beside_api import PeepctlBesideApi
from support.peepctl_program import ended

CREDENTIAL = Credential("$argon2id$one", "v1")
HOSTILE = Actor("\x1b[31mroot", Door.PEEP, "192.0.2.9")


@pytest.fixture
async def peepctl(repository: StateRepository, tmp_path: Path) -> AsyncIterator[PeepctlBesideApi]:
    async with api_server(repository) as api:
        yield PeepctlBesideApi(api, tmp_path)


async def test_acts_are_listed_the_latest_last_and_control_no_terminal(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=HOSTILE)
    await repository.change_settings(by=OPERATOR, max_connections=15)
    names = [(f"user{number:03}", CREDENTIAL) for number in range(100)]
    await repository.add_users(names, by=OPERATOR)
    done = await peepctl.run("audit", "--since", "1h")
    assert (done.code, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["TIME", "WHO", "DOOR", "FROM", "ACTION", "OBJECT", "OLD", "NEW", "ID"]
    (added,) = [line for line in lines if " alice " in line]
    assert added.split()[2:7] == ["\\x1b[31mroot", "peep", "192.0.2.9", "user.add", "alice"]
    (changed,) = [line for line in lines if "settings.change" in line]
    assert changed.split()[6:9] == ["max_connections", "1000", "15"]
    assert lines.index(added) < lines.index(changed)
    assert max(map(len, lines)) < 250


async def test_filters_and_formats(peepctl: PeepctlBesideApi, repository: StateRepository) -> None:
    await repository.add_users([("alice", CREDENTIAL), ("bob", CREDENTIAL)], by=OPERATOR)
    await repository.remove_user("bob", by=HOSTILE)
    await repository.change_settings(by=OPERATOR, timeout_seconds=300)
    for name in ("timeout", "timeout_seconds"):
        of_setting = await peepctl.run("audit", "--object", name, "--format", "json")
        assert [act["new"] for act in json.loads(of_setting.stdout)["acts"]] == ["300"]
    of_bob = await peepctl.run("audit", "--object", "bob", "--format", "json")
    assert [act["action"] for act in json.loads(of_bob.stdout)["acts"]] == ["user.remove", "user.add"]
    lines = await peepctl.run("audit", "--action", "user", "--door", "machine", "--format", "jsonl")
    assert [json.loads(line)["object"] for line in lines.stdout.splitlines()] == ["alice bob"]
    table = await peepctl.run("audit", "--action", "user.add", "--format", "csv")
    assert [row[7] for row in csv.reader(io.StringIO(table.stdout))][:2] == ["object", "alice bob"]
    last = await peepctl.output("audit", "--limit", "1", "--action", "settings user", "--format", "csv")
    assert [row[7] for row in csv.reader(io.StringIO(last))] == ["object", "timeout_seconds"]
    for wrong in (("--since", "soon"), ("--follow", "--format", "csv")):
        assert (await peepctl.run("audit", *wrong)).code == 2
    no_door = await peepctl.run("audit", "--door", "window")
    assert no_door.code == 2
    assert "'--door': 'window' is not one of 'peep', 'http', 'dashboard', 'machine'." in no_door.stderr


@pytest.mark.parametrize(("form", "limit"), [("table", ()), ("jsonl", ()), ("jsonl", ("--limit", "50"))])
async def test_who_follows_misses_nothing_not_even_between_the_first_two_questions(
    peepctl: PeepctlBesideApi,
    repository: StateRepository,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    limit: tuple[str, ...],
) -> None:
    async def add(name: str) -> None:
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)

    names = [f"user{number:03}" for number in range(60)]
    for name in names:
        await add(name)
    loop, get, asked = asyncio.get_running_loop(), HttpApi.get, list[str]()

    def answer(api: HttpApi, path: str) -> Any:
        """Answer as the API does, and have something happen after each of the first answers."""
        if len(asked) == 3:
            raise KeyboardInterrupt
        found = get(api, path)
        asked.append(f"after{len(asked)}")
        asyncio.run_coroutine_threadsafe(add(asked[-1]), loop).result()
        return found

    monkeypatch.setattr(HttpApi, "get", answer)
    done = await peepctl.run("audit", "--follow", "--action", "user", "--format", form, *limit)
    shown = re.findall("user[0-9]{3}|after[0-9]", done.stdout)
    assert shown == [*(names if form == "jsonl" and not limit else names[-49:]), *asked[:2]]


async def test_the_last_change_is_set_back_and_an_older_one_by_its_id(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=15)
    await repository.change_settings(by=OPERATOR, timeout_seconds=300)
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    done = await peepctl.run("set", "--undo", "--yes")
    assert done.stdout == "timeout is 600 again (it was 300, set by operator)\n"
    limit, *_ = [act async for act in repository.all_acts(Wanted(action="settings"))]
    await repository.change_settings(by=OPERATOR, max_connections=16)
    refused = await peepctl.run("set", "--undo", limit.act_id)
    assert refused.code == 1
    assert refused.stderr == "peepctl: max-connections is not 15 any more: --even-if-changed undoes it\n"
    done = await peepctl.run("set", "--undo", limit.act_id, "--even-if-changed")
    assert done.stdout == "max-connections is 1000 again (it was 15, set by operator)\n"
    assert (await repository.settings()).max_connections == 1000


async def test_what_would_be_set_back_is_told_first(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=15)
    await repository.change_settings(by=OPERATOR, timeout_seconds=300)
    asked = await peepctl.run("set", "--undo")
    assert (asked.code, asked.stdout) == (1, "")
    assert asked.stderr.startswith(
        "peepctl: it would set timeout from 300 back to 600 (300 was set by operator at "
    )
    assert asked.stderr.endswith("). Nothing is changed: --yes does it\n")
    assert (await repository.settings()).timeout_seconds == 300
    named = await peepctl.run("set", "--undo", "max-connections", "--yes")
    assert named.stdout == "max-connections is 1000 again (it was 15, set by operator)\n"
    again = await peepctl.run("set", "--undo")
    assert again.code == 1
    assert "max-connections from 1000 back to 15" in again.stderr
    assert "which undid the change before: this would set 15 again" in again.stderr
    unknown = await peepctl.run("set", "--undo", "colour")
    assert (unknown.code, "there are max-connections" in unknown.stderr) == (2, True)


async def test_at_a_terminal_it_asks_and_controls_none(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.change_settings(by=HOSTILE, timeout_seconds=300)

    def answered(word: str) -> int:
        terminal = peepctl.peepctl.terminal("set", "--undo")
        terminal.expect_exact("Set timeout from 300 back to 600? (300 was set by \\x1b[31mroot at ")
        terminal.sendline(word)
        return ended(terminal)

    with capture_logs():
        assert await asyncio.to_thread(answered, "n") == 1
        assert (await repository.settings()).timeout_seconds == 300
        assert await asyncio.to_thread(answered, "y") == 0
    assert (await repository.settings()).timeout_seconds == 600


async def test_a_change_is_set_back_while_its_value_is_in_force_whatever_came_between(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    for limit in (50, 60, 50):
        await repository.change_settings(by=OPERATOR, max_connections=limit)
    (first, *_) = [act async for act in repository.all_acts(Wanted(action="settings"))]
    assert (await peepctl.run("set", "--undo", first.act_id)).code == 0
    assert (await repository.settings()).max_connections == 1000


async def test_a_dangerous_value_is_not_set_back_without_a_question(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.change_settings(by=OPERATOR, timeout_seconds=30)
    await repository.change_settings(by=OPERATOR, timeout_seconds=300)
    (act, *_) = [act async for act in repository.all_acts(Wanted(action="settings"))][::-1]
    refused = await peepctl.run("set", "--undo", act.act_id)
    assert refused.code == 1
    assert "30 seconds close sessions" in refused.stderr
    assert (await peepctl.run("set", "--undo", "--yes")).code == 0
    assert (await repository.settings()).timeout_seconds == 30


async def test_there_may_be_nothing_to_set_back(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("set", "--undo")
    assert (done.code, done.stderr) == (1, "peepctl: no change of a setting is in the audit\n")
    assert "no entry with this id" in (await peepctl.run("set", "--undo", "1-1")).stderr
