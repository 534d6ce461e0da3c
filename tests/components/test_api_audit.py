"""`/v1/audit` and the confirmations of `/v1/settings` over a real store."""

import asyncio
import csv
import io
import json
from typing import Any

import httpx
import pytest

from state_store.audit import Actor, Door, Wanted
from state_store.records import Credential, Exchange
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import api_client, failed_fields, problem
from support.patience import no_patience_with_instances
from support.peep_gateway_server import instance, pop3_instance

CREDENTIAL = Credential("$argon2id$one", "v1")
HOSTILE = Actor('=cmd|"/c calc"!A1', Door.PEEP, "<b>")


async def acts(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    response = await client.get("/v1/audit", params=query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["acts"]
    return found


async def test_a_change_over_http_is_there_with_who_whence_old_and_new(repository: StateRepository) -> None:
    async with api_client(repository, address="192.0.2.7") as client:
        await client.patch("/v1/settings", json={"max_connections": 150})
        (act,) = await acts(client, action="settings.change")
        act.pop("id"), act.pop("at")
        assert act == {
            "who": "root",
            "door": "http",
            "address": "192.0.2.7",
            "token": "",
            "action": "settings.change",
            "object": "max_connections",
            "old": "1000",
            "new": "150",
        }
        assert [one["action"] for one in await acts(client, who="root")] == [
            "settings.change",
            "administrator.sign-in",
        ]


async def test_pages_lead_to_the_next_one(repository: StateRepository) -> None:
    await repository.add_users([("a", CREDENTIAL)], by=OPERATOR)
    for number in range(5):
        await repository.add_user(f"u{number}", CREDENTIAL, by=OPERATOR)
    seen, path = [], "/v1/audit?limit=2&who=operator&action=user"
    async with api_client(repository) as client:
        while path:
            response = await client.get(path)
            seen += [act["object"] for act in response.json()["acts"]]
            path = response.links["next"]["url"] if "next" in response.links else ""
    assert seen == ["u4", "u3", "u2", "u1", "u0", "a"]


async def test_a_request_waits_for_what_comes(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        last = (await client.get("/v1/audit", params={"limit": 1})).json()["acts"][0]["id"]
        query = {"after": last, "wait": 20, "action": "user"}
        waiting = asyncio.create_task(client.get("/v1/audit", params=query))
        await repository.change_settings(by=OPERATOR, max_connections=15)
        await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
        body = (await waiting).json()
        assert [act["object"] for act in body["acts"]] == ["alice"]
        assert await acts(client, after=body["next"]) == []


async def test_a_request_does_not_wait_in_a_process_that_ends(repository: StateRepository) -> None:
    async with api_client(repository, is_draining=lambda: True) as client:
        last = (await client.get("/v1/audit", params={"limit": 1})).json()["acts"][0]["id"]
        assert await acts(client, after=last, wait=25) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", 0), ("before", "x"), ("wait", 100), ("who", "x" * 129), ("whom", "x")),
        *(("since", value) for value in ("soon", "-1", "1764500000000", "1e17", "nan")),
    ],
)
async def test_what_it_does_not_understand_is_refused(
    repository: StateRepository, name: str, value: object
) -> None:
    async with api_client(repository) as client:
        assert name in failed_fields(await client.get("/v1/audit", params={name: str(value)}))


@pytest.mark.parametrize("since", ["1e-05", "1.76e9", "1764500000", "2025-11-30T10:53:20Z"])
async def test_a_time_is_a_date_or_seconds_as_programs_write_them(
    repository: StateRepository, since: str
) -> None:
    async with api_client(repository) as client:
        assert len(await acts(client, since=since)) == len(await acts(client)) > 0
        assert await acts(client, since=2e10) == []


async def test_nothing_is_before_the_first_id_there_is_and_pages_go_one_way(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        assert (await client.get("/v1/audit?before=0-0")).json() == {"acts": [], "next": None}
        both = failed_fields(await client.get("/v1/audit?before=9-9&after=0-0"))
        assert list(both.values()) == ["before and after exclude each other: pages go back, or on"]


async def test_json_lines_hold_everything_the_oldest_first(repository: StateRepository) -> None:
    for number in range(1200):
        await repository.add_user(f"u{number}", CREDENTIAL, by=OPERATOR)
    async with api_client(repository) as client:
        response = await client.get("/v1/audit?action=user", headers={"Accept": "application/jsonl"})
        assert response.headers["content-type"].startswith("application/jsonl")
        assert [json.loads(line)["object"] for line in response.text.splitlines()] == [
            f"u{number}" for number in range(1200)
        ]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "abcde"),
        ({"limit": 2}, "de"),
        ({"before": "d"}, "abc"),
        ({"before": "d", "limit": 2}, "bc"),
        ({"before": "d", "wait": 20}, "abc"),
        ({"after": "b"}, "cde"),
        ({"after": "b", "limit": 2, "wait": 20}, "cd"),
        ({"after": "b", "wait": 20}, "cde"),
        ({"before": "a"}, ""),
        ({"after": "e"}, ""),
    ],
)
async def test_a_file_has_the_entries_that_are_asked_for(
    repository: StateRepository, form: str, query: dict[str, str | int], found: str
) -> None:
    for name in "abcde":
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    ids = {act.object: act.act_id async for act in repository.all_acts(Wanted(action="user"))}
    asked = {name: ids.get(str(value), value) for name, value in query.items()}
    async with api_client(repository) as client:
        response = await client.get("/v1/audit", params={"action": "user", "format": form, **asked})
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    else:
        rows = [json.loads(line) for line in response.text.splitlines()]
    assert [row["object"] for row in rows] == list(found)


async def test_a_file_waits_for_what_comes(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    async with api_client(repository) as client:
        (last,) = await acts(client, action="user")
        query = {"after": last["id"], "wait": 20, "action": "user", "format": "jsonl"}
        waiting = asyncio.create_task(client.get("/v1/audit", params=query))
        await repository.add_user("bob", CREDENTIAL, by=OPERATOR)
        lines = (await waiting).text.splitlines()
    assert [json.loads(line)["object"] for line in lines] == ["bob"]


async def test_no_name_becomes_a_formula_in_a_spreadsheet(repository: StateRepository) -> None:
    await repository.add_user("@SUM(1)", CREDENTIAL, by=HOSTILE)
    async with api_client(repository) as client:
        response = await client.get("/v1/audit", params={"format": "csv", "door": "peep"})
    assert response.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    head, row = csv.reader(io.StringIO(response.text, newline=""))
    assert head[:4] == ["id", "at", "who", "door"]
    assert row[2:] == ["'" + HOSTILE.name, "peep", "<b>", "", "user.add", "'@SUM(1)", "", ""]


async def connected(repository: StateRepository, connections: int) -> None:
    await repository.register_instance(instance())
    await repository.exchange(Exchange("pop3", 1, open_connections=connections))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"max_connections": 4}, "5 connections are open now"),
        ({"max_connections": 99}, "99 is less than a tenth of 1000"),
        ({"timeout_seconds": 0}, "0 means no timeout"),
        ({"timeout_seconds": 59}, "59 seconds close"),
    ],
)
async def test_a_dangerous_value_is_saved_once_it_is_confirmed(
    repository: StateRepository, change: dict[str, int], why: str
) -> None:
    await connected(repository, 5)
    (name,) = change
    async with api_client(repository) as client:
        refused = problem(await client.patch("/v1/settings", json=change), 409, "/docs#needs-confirmation")
        assert refused["errors"][0]["field"] == name
        assert refused["errors"][0]["message"].startswith(why)
        assert (await client.get("/v1/settings")).json()[name] in (1000, 600)
        with no_patience_with_instances():  # this one takes note of nothing
            confirmed = await client.patch("/v1/settings?confirm=true", json=change)
            assert confirmed.json()[name] == change[name]
            # What it is already may be sent again.
            assert (await client.patch("/v1/settings", json=change)).status_code == 200


async def test_another_mail_directory_is_asked_about_unless_it_is_refused_anyway(
    repository: StateRepository,
) -> None:
    await repository.announce_mail_directory("/srv/mail", overrides=True, by=OPERATOR)
    there, elsewhere = {"mail_directory": "/srv/mail/"}, {"mail_directory": "/srv/new"}
    async with api_client(repository) as client:
        async with pop3_instance(repository, usable=False):
            problem(await client.patch("/v1/settings", json=elsewhere), 422, "/docs#mail-directory-refused")
        async with pop3_instance(repository):
            refused = problem(
                await client.patch("/v1/settings", json=elsewhere), 409, "/docs#needs-confirmation"
            )
            (question,) = refused["errors"]
            assert question["field"] == "mail_directory"
            assert question["message"].startswith(
                "/srv/new is where mail would be looked for from the next login on"
            )
            assert (await client.patch("/v1/settings", json=there)).json()["mail_directory"] == "/srv/mail"
            confirmed = await client.patch("/v1/settings?confirm=true", json=elsewhere)
            assert confirmed.json()["mail_directory"] == "/srv/new"
            (act, *_) = await acts(client, action="settings.change")
            undo = f"/v1/audit/{act['id']}/undo"
            problem(await client.post(undo), 409, "/docs#needs-confirmation")
            assert (await client.post(f"{undo}?confirm=true")).json()["mail_directory"] == "/srv/mail"


async def test_entries_of_several_actions_are_found_together(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.patch("/v1/settings", json={"timeout_seconds": 300})
        for kind, subject in (("ban", "192.0.2.7"), ("exempt", "192.0.2.8")):
            await client.post("/v1/refusals", json={"refusals": [{"kind": kind, "subject": subject}]})
        found = await acts(client, action="network.ban settings")
        assert [act["action"] for act in found] == ["network.ban", "settings.change"]
        assert [act["object"] for act in await acts(client, action="network")] == ["192.0.2.8", "192.0.2.7"]


async def test_a_setting_is_set_back_from_its_entry(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.patch("/v1/settings?confirm=true", json={"timeout_seconds": 30})
        (act,) = await acts(client, action="settings.change")
        response = await client.post(f"/v1/audit/{act['id']}/undo")
        assert response.json()["timeout_seconds"] == 600
        assert response.headers["etag"] == '"2"'
        newest, _ = await acts(client, action="settings.change")
        assert (newest["old"], newest["new"]) == ("30", "600")
        undo_of_that = f"/v1/audit/{newest['id']}/undo"
        problem(await client.post(undo_of_that), 409, "/docs#needs-confirmation")
        await client.patch("/v1/settings", json={"timeout_seconds": 300})
        again = f"{undo_of_that}?confirm=true"
        problem(await client.post(again), 409, "/docs#changed-again")
        assert (await client.post(f"{again}&even_if_changed=true")).json()["timeout_seconds"] == 30


async def test_only_what_was_a_change_of_a_setting_is_set_back(repository: StateRepository) -> None:
    await repository.announce_mail_directory("/srv/mail", overrides=True, by=OPERATOR)
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    async with api_client(repository) as client:
        for act in await acts(client, who="operator"):
            problem(await client.post(f"/v1/audit/{act['id']}/undo"), 409, "/docs#not-undoable")
        for name in ("timeout_seconds", "mail_directory"):  # names that users may have, too
            await repository.add_user(name, CREDENTIAL, by=OPERATOR)
            await client.put(f"/v1/users/{name}/suspension", json={"reason": "gone"})
            await client.put(f"/v1/users/{name}/suspension", json={"reason": "/elsewhere"})
            for act in await acts(client, action="user", object=name):
                problem(await client.post(f"/v1/audit/{act['id']}/undo"), 409, "/docs#not-undoable")
        problem(await client.post("/v1/audit/1-1/undo"), 404, "/docs#unknown-act")


async def test_nothing_was_done_before_1970(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        for until in ("0", "1970-01-01T00:00:00Z", "1000-01-01T00:00:00Z"):
            assert (await client.get(f"/v1/audit?until={until}")).json()["acts"] == []
