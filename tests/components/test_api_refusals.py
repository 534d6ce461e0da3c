"""Suspensions, bans and exemptions over HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from state_store.administrators import Role
from state_store.records import Credential
from state_store.redis import keys
from state_store.refusals import MOST_FOR_HELPDESK
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import (
    ADMINISTRATOR_PASSWORD,
    administrator_hash,
    api_client,
    failed_fields,
    problem,
)
from support.peep_gateway_server import instance


@pytest.fixture
async def client(repository: StateRepository) -> AsyncIterator[httpx.AsyncClient]:
    await repository.add_user("alice", Credential("$argon2id$one", "v1"), by=OPERATOR)
    async with api_client(repository, address="192.0.2.1") as made:
        yield made


async def refuse(
    client: httpx.AsyncClient, *refusals: Mapping[str, object], query: str = ""
) -> httpx.Response:
    return await client.post(f"/v1/refusals{query}", json={"refusals": refusals})


async def test_user_is_suspended_shown_and_let_in_again(client: httpx.AsyncClient) -> None:
    body = {"reason": "the bill is not paid", "until": "2097-03-01T12:00:00+01:00"}
    with capture_logs() as events:
        answer = await client.put("/v1/users/alice/suspension", json=body)
    assert (answer.status_code, answer.json()) == (200, {"is_obeyed": True, "ignorant": []})
    assert ("refusal set", "alice", "root") in [
        (event["event"], event.get("subject"), event.get("administrator")) for event in events
    ]
    shown = (await client.get("/v1/users/alice/suspension")).json()
    assert (shown["reason"], shown["until"], shown["by"]) == (
        "the bill is not paid",
        "2097-03-01T11:00:00Z",
        "root",
    )
    page = (await client.get("/v1/refusals")).json()
    assert page == {
        "refusals": [shown],
        "next": None,
        "counts": {"suspended": 1, "banned": 0, "exempt": 0},
    }
    assert (await client.delete("/v1/users/alice/suspension")).status_code == 204
    problem(await client.delete("/v1/users/alice/suspension"), 404, "/docs#unknown-refusal")
    problem(await client.get("/v1/users/alice/suspension"), 404, "/docs#unknown-refusal")


async def test_help_desk_leaves_the_last_tenth_of_the_room_to_the_role_all(
    client: httpx.AsyncClient, repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_administrator("bob", Role.HELPDESK, administrator_hash(), by=OPERATOR)
    bob = httpx.BasicAuth("bob", ADMINISTRATOR_PASSWORD)
    lines: dict[Any, Any] = {
        str(one): f"ban\n10.0.{one}\n0\n0\nroot\n" for one in range(MOST_FOR_HELPDESK - 1)
    }
    behind_the_scenes.hset(keys.REFUSALS, mapping=lines)
    for name in ("carol", "dave"):
        await repository.add_user(name, Credential("$argon2id$one", "v1"), by=OPERATOR)
    suspended = await client.put("/v1/users/carol/suspension", json={}, auth=bob)
    assert suspended.status_code == 200
    full = problem(
        await client.put("/v1/users/dave/suspension", json={}, auth=bob), 409, "/docs#too-many-refusals"
    )
    assert "lift some suspensions first, or ask somebody with that role" in full["detail"]
    changed = await client.put("/v1/users/carol/suspension", json={"reason": "unpaid"}, auth=bob)
    assert changed.status_code == 200
    assert (await client.put("/v1/users/dave/suspension", json={})).status_code == 200
    banned = await refuse(client, {"kind": "ban", "subject": "192.0.2.99"})
    assert banned.json()["results"][0]["outcome"] == "set"


async def test_what_is_wrong_with_a_suspension_is_said(client: httpx.AsyncClient) -> None:
    problem(await client.put("/v1/users/nobody/suspension", json={}), 404, "/docs#unknown-user")
    for until in ("2020-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
        answer = await client.put("/v1/users/alice/suspension", json={"until": until})
        assert failed_fields(answer) == {"until": "must be in the future"}
    for until in ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-23:59"):
        answer = await client.put("/v1/users/alice/suspension", json={"until": until})
        assert list(failed_fields(answer)) == ["until"]
    for reason in ("\u202etext", "<b>\r\n+OK", "x" * 10_000, "Stra\u00dfe", "\ud800"):
        answer = await client.put(
            "/v1/users/alice/suspension",
            content=json.dumps({"reason": reason}),  # half a surrogate pair in ASCII
            headers={"Content-Type": "application/json"},
        )
        assert list(failed_fields(answer)) == ["reason"]
    answer = await client.put("/v1/users/alice/suspension", json={"reason": "<script>alert(1)</script>"})
    assert answer.status_code == 200, "printable ASCII is shown as it is, and never as HTML"
    answer = await client.put("/v1/users/alice/suspension", json={"until": "2097-03-01T12:00:00"})
    assert list(failed_fields(answer)) == ["until"], "without a zone"


async def test_networks_are_banned_and_exempted_many_at_once_in_their_one_form(
    client: httpx.AsyncClient,
) -> None:
    answer = await refuse(
        client,
        {"kind": "ban", "subject": "198.51.100.0/255.255.255.0", "reason": "too many guesses"},
        {"kind": "exempt", "subject": "::ffff:203.0.113.9"},
        {"kind": "suspend", "subject": "nobody"},
        {"kind": "ban", "subject": "2001:DB8::/32", "until": "2020-01-01T00:00:00Z"},
    )
    body = answer.json()
    assert [(one["subject"], one["outcome"]) for one in body["results"]] == [
        ("198.51.100.0/24", "set"),
        ("203.0.113.9", "set"),
        ("nobody", "unknown user"),
        ("2001:db8::/32", "past"),
    ]
    assert body["is_obeyed"]
    first, second = (await client.get("/v1/refusals?limit=1")).json(), {}
    assert (first["refusals"][0]["kind"], first["next"]) == ("ban", "ban 198.51.100.0/24")
    second = (await client.get("/v1/refusals", params={"after": first["next"]})).json()
    assert ([one["subject"] for one in second["refusals"]], second["next"]) == (["203.0.113.9"], None)
    guessed = (await client.get("/v1/refusals?text=guess&kind=ban")).json()["refusals"]
    assert [one["subject"] for one in guessed] == ["198.51.100.0/24"]
    lifted = await client.delete(f"/v1/refusals/{guessed[0]['id']}")
    assert lifted.status_code == 204
    problem(await client.delete(f"/v1/refusals/{guessed[0]['id']}"), 404, "/docs#unknown-refusal")


async def test_one_that_is_malformed_keeps_all_out(client: httpx.AsyncClient) -> None:
    answer = await refuse(
        client,
        {"kind": "ban", "subject": "198.51.100.7"},
        {"kind": "ban", "subject": "198.51.100.7/24"},
        {"kind": "exempt", "subject": "alice"},
        {"kind": "suspend", "subject": "../alice"},
    )
    assert failed_fields(answer) == {
        "refusals.1.subject": "has bits beyond its prefix: 198.51.100.0/24 would be the network",
        "refusals.2.subject": "must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
        "refusals.3.subject": "must be 1 to 128 characters of printable ASCII without space and /, "
        "not beginning with a dot",
    }
    assert (await client.get("/v1/refusals")).json()["refusals"] == []
    assert failed_fields(await refuse(client))
    too_many: list[dict[str, object]] = [{"kind": "ban", "subject": "198.51.100.7"}] * 501
    assert failed_fields(await refuse(client, *too_many))


async def test_a_ban_of_everybody_or_of_oneself_is_a_question_and_locks_nobody_out_of_http(
    client: httpx.AsyncClient,
) -> None:
    everybody = [{"kind": "ban", "subject": one} for one in ("0.0.0.0/0", "::/0", "::ffff:0:0/96")]
    for ban in (*everybody, {"kind": "ban", "subject": "192.0.2.0/24"}):
        asked = problem(await refuse(client, ban), 409, "/docs#needs-confirmation")
        (question,) = asked["errors"]
        assert question["field"] == "refusals.0.subject"
    assert "192.0.2.1: no POP3 from there either" in question["message"]
    assert (await client.get("/v1/refusals")).json()["refusals"] == []
    assert (await refuse(client, *everybody, query="?confirm=true")).status_code == 200
    counts = (await client.get("/v1/refusals")).json()["counts"]
    assert counts == {"suspended": 0, "banned": 2, "exempt": 0}
    exempt: dict[str, object] = {"kind": "exempt", "subject": "0.0.0.0/0"}
    (question,) = problem(await refuse(client, exempt), 409, "/docs#needs-confirmation")["errors"]
    assert "guesses passwords" in question["message"]
    assert (await refuse(client, exempt, query="?confirm=true")).status_code == 200


async def test_a_pop3_process_that_has_not_obeyed_yet_is_told_of(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await repository.register_instance(instance())
    answer = await client.put("/v1/users/alice/suspension", json={})
    assert answer.json() == {"is_obeyed": False, "ignorant": []}
