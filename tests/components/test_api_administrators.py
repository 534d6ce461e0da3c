"""`/v1/administrators`: made, changed and removed while the services run."""

import httpx
import pytest
import redis

from state_api import event_feed
from state_api.sign_in import COOKIE
from state_store.administrators import MOST_ADMINISTRATORS, Role
from state_store.audit import Actor, Door, Wanted
from state_store.credentials.authentication import Authenticator
from state_store.records import Naming
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    api_client,
    failed_fields,
    passwords,
    problem,
)
from support.api_server import api_server, listening

PATH = "/v1/administrators"
BOB = {"name": "bob", "password": "bobs-password", "role": "read"}
BY_BOB = httpx.BasicAuth("bob", "bobs-password")


async def roles(client: httpx.AsyncClient) -> dict[str, str]:
    listed = (await client.get(PATH)).json()["administrators"]
    return {one["name"]: one["role"] for one in listed}


async def test_an_administrator_is_made_changed_and_removed(client: httpx.AsyncClient) -> None:
    made = await client.post(PATH, json=BOB)
    assert (made.status_code, made.json()) == (
        201,
        {"name": "bob", "role": "read", "is_from_settings": False},
    )
    assert (await client.get(PATH)).json() == {
        "administrators": [
            made.json(),
            {"name": ADMINISTRATOR, "role": "all", "is_from_settings": True},
        ]
    }
    assert (await client.get("/v1/counters", auth=BY_BOB)).status_code == 200
    problem(await client.post(PATH, json=BOB), 409, "/docs#administrator-exists")
    assert (await client.put(f"{PATH}/bob/role", json={"role": "all"})).status_code == 204
    assert (await client.delete("/v1/users/nobody", auth=BY_BOB)).status_code == 404
    changed = await client.put(f"{PATH}/bob/password", json={"password": "another-password"})
    assert changed.status_code == 204
    problem(await client.get("/v1/counters", auth=BY_BOB), 401, "/docs#unauthenticated")
    again = httpx.BasicAuth("bob", "another-password")
    assert (await client.get("/v1/counters", auth=again)).status_code == 200
    assert (await client.delete(f"{PATH}/bob")).status_code == 204
    problem(await client.get("/v1/counters", auth=again), 401, "/docs#unauthenticated")
    for response in (
        await client.delete(f"{PATH}/bob"),
        await client.put(f"{PATH}/bob/role", json={"role": "all"}),
        await client.put(f"{PATH}/bob/password", json={"password": "another-password"}),
    ):
        problem(response, 404, "/docs#unknown-administrator")


async def test_whom_the_settings_name_only_they_change(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    for response in (
        await client.delete(f"{PATH}/{ADMINISTRATOR}"),
        await client.put(f"{PATH}/{ADMINISTRATOR}/role", json={"role": "read"}),
        await client.put(f"{PATH}/{ADMINISTRATOR}/password", json={"password": "another-password"}),
    ):
        refused = problem(response, 409, "/docs#administrator-of-settings")
        assert "PEEP_ADMINS" in refused["detail"]
    problem(await client.post(PATH, json={**BOB, "name": ADMINISTRATOR}), 409, "/docs#administrator-exists")
    # Once settings name somebody who was made here, he is theirs, and goes with them.
    await client.post(PATH, json=BOB)
    named = {"bob": await passwords().new_hash("from the settings")}
    await repository.replace_administrators(named, "another front end", by=OPERATOR)
    assert (await roles(client))["bob"] == "all"
    acts = (await repository.acts_before("", 2, Wanted(object="bob"))).acts
    assert [(act.by, act.action, act.old, act.new) for act in acts] == [
        (OPERATOR, "administrator.role", "read", "all"),
        (OPERATOR, "administrator.password", "", ""),
    ]
    problem(await client.get("/v1/counters", auth=BY_BOB), 401, "/docs#unauthenticated")
    problem(await client.delete(f"{PATH}/bob"), 409, "/docs#administrator-of-settings")
    await repository.replace_administrators({}, "another front end", by=OPERATOR)
    assert "bob" not in await roles(client)


async def test_whoever_settings_do_not_name_outlives_their_changes(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await client.post(PATH, json=BOB)
    await repository.replace_administrators({"somebody": "hash"}, "another front end", by=OPERATOR)
    await repository.replace_administrators({}, "another front end", by=OPERATOR)
    assert "bob" in await roles(client)


async def test_the_last_one_for_everything_can_neither_go_nor_lose_that(
    client: httpx.AsyncClient, repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await client.post(PATH, json={**BOB, "role": "all"})
    client.auth = BY_BOB
    behind_the_scenes.delete(keys.ADMINISTRATORS, keys.FRONT_ENDS)
    problem(await client.delete(f"{PATH}/bob"), 409, "/docs#last-administrator")
    problem(await client.put(f"{PATH}/bob/role", json={"role": "read"}), 409, "/docs#last-administrator")
    assert (await client.put(f"{PATH}/bob/role", json={"role": "all"})).status_code == 204
    # With another one he may go.
    await client.post(PATH, json={**BOB, "name": "carol", "role": "all"})
    assert (await client.delete(f"{PATH}/bob")).status_code == 204
    # Somebody for everything is there: no start makes a first one.
    assert not await repository.replace_administrators({"admin": "hash"}, "one", Naming.FIRST, by=OPERATOR)


async def test_the_administrator_of_a_first_start_can_be_changed_and_removed(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await repository.replace_administrators({}, "", by=OPERATOR)
    await repository.leave("")
    first = {"admin": await passwords().new_hash("printed-once")}
    assert await repository.replace_administrators(first, "one", Naming.FIRST, by=OPERATOR)
    client.auth = httpx.BasicAuth("admin", "printed-once")
    changed = await client.put(f"{PATH}/admin/password", json={"password": "of-my-own-choice"})
    assert changed.status_code == 204
    # The front end that keeps him brings nothing of old back.
    await repository.replace_administrators(first, "one", Naming.KEEP, by=OPERATOR)
    problem(await client.get(PATH), 401, "/docs#unauthenticated")
    client.auth = httpx.BasicAuth("admin", "of-my-own-choice")
    await client.post(PATH, json={**BOB, "role": "all"})
    assert (await client.delete(f"{PATH}/admin")).status_code == 204
    await repository.replace_administrators(first, "one", Naming.KEEP, by=OPERATOR)
    client.auth = BY_BOB
    assert await roles(client) == {"bob": "all"}


@pytest.mark.parametrize("change", ["password", "role", "removal"])
async def test_a_sign_in_and_its_stream_end_on_all_replicas_at_once(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(event_feed, "RECHECK_SECONDS", 0.05)
    async with api_client(repository) as client, api_server(repository) as replica:
        await client.post(PATH, json=BOB)
        right = {"name": "bob", "password": "bobs-password"}
        replica.client.auth = httpx.Auth()  # sends nothing
        assert (await replica.client.post("/session", json=right)).status_code == 200
        async with listening(replica.client) as reader:
            await reader.until("counters")
            if change == "removal":
                await client.delete(f"{PATH}/bob")
            else:
                body = {"password": "another-password"} if change == "password" else {"role": "helpdesk"}
                await client.put(f"{PATH}/bob/{change}", json=body)
            problem(await replica.client.get("/v1/counters"), 401, "/docs#signed-out")
            assert COOKIE in replica.client.cookies
            await reader.to_the_end()


async def test_a_sign_in_that_a_role_has_ended_stays_over_when_the_role_is_given_back(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await client.post(PATH, json=BOB)
    async with api_client(repository, auth=None) as page:
        await page.post("/session", json={"name": "bob", "password": "bobs-password"})
        await client.put(f"{PATH}/bob/role", json={"role": "read"})  # which is his already
        assert (await page.get("/v1/counters")).status_code == 200
        for role in ("helpdesk", "read"):
            await client.put(f"{PATH}/bob/role", json={"role": role})
            problem(await page.get("/v1/counters"), 401, "/docs#signed-out")
    assert (await client.get("/v1/counters", auth=BY_BOB)).status_code == 200
    acts = (await repository.acts_before("", 9, Wanted(action="administrator.role"))).acts
    assert [(act.old, act.new) for act in acts] == [("helpdesk", "read"), ("read", "helpdesk")]
    await client.put(f"{PATH}/bob/password", json={"password": "another-password"})
    assert (await roles(client))["bob"] == "read"


async def test_what_makes_no_sense_is_refused_field_by_field(client: httpx.AsyncClient) -> None:
    wrong = {"name": "<b>\u202e", "password": "short", "role": "emperor", "more": 1}
    assert set(failed_fields(await client.post(PATH, json=wrong))) == set(wrong)
    for name in ("", "a" * 65, "a/b", ".", "a:b", "a b", "\u00e4", "a\n"):
        response = await client.post(PATH, json={**BOB, "name": name})
        assert set(failed_fields(response)) == {"name"}, name
    for password in ("", "seven77", " 12345678", "p\u00e4ssw\u00f6rter", "x" * 129, "12345678\n"):
        response = await client.put(f"{PATH}/bob/password", json={"password": password})
        assert set(failed_fields(response)) == {"password"}, password


async def test_their_number_is_bounded(client: httpx.AsyncClient, behind_the_scenes: redis.Redis) -> None:
    full = [word for number in range(MOST_ADMINISTRATORS) for word in (f"a{number}", "read hash")]
    behind_the_scenes.hset(keys.MADE_ADMINISTRATORS, items=full)
    problem(await client.post(PATH, json=BOB), 409, "/docs#too-many")


async def test_a_wrong_role_at_peep_makes_no_right_password_wrong_here(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await client.post(PATH, json=BOB)
    peep = Authenticator(repository, passwords())
    for _ in range(2):
        assert await peep.check_administrator("bob", BOB["password"], "192.0.2.1", role=Role.ALL) is None
    assert (await client.get("/v1/counters", auth=BY_BOB)).status_code == 200


async def test_who_changes_the_own_password_stays_signed_in_here_alone(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    await client.post(PATH, json=BOB)
    right = {"name": "bob", "password": BOB["password"]}
    change = {"current_password": BOB["password"], "password": "another-password"}
    async with api_client(repository, auth=None) as page, api_client(repository, auth=None) as other:
        tokens = [(await one.post("/session", json=right)).json()["csrf_token"] for one in (page, other)]
        headers = {"X-CSRF-Token": tokens[0]}
        wrong = await page.put(
            "/v1/own-password", json={**change, "current_password": "wrong"}, headers=headers
        )
        assert failed_fields(wrong) == {"current_password": "is not your password"}
        (guessed,) = (await repository.acts_before("", 10, Wanted(action="administrator.refuse"))).acts
        assert (guessed.by, guessed.new) == (Actor("", Door.DASHBOARD, "192.0.2.1"), "1")
        assert (await page.put("/v1/own-password", json=change, headers=headers)).status_code == 204
        signed_in = (await page.get("/session")).json()
        assert signed_in["administrator"] == "bob"
        # The old token belongs to the old cookie.
        problem(
            await page.put("/v1/own-password", json=change, headers=headers), 403, "/docs#foreign-request"
        )
        problem(await other.get("/v1/counters"), 401, "/docs#signed-out")
    by_name = httpx.BasicAuth("bob", "another-password")
    change = {"current_password": "another-password", "password": "a-third-password"}
    again = await client.put("/v1/own-password", json=change, auth=by_name)
    assert (again.status_code, COOKIE in again.cookies) == (204, False)
    problem(await client.get(PATH, auth=by_name), 401, "/docs#unauthenticated")
    made = await client.post("/v1/tokens", json={"name": "t", "role": "all"})
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    refused = await client.put("/v1/own-password", json=change, headers=bearer, auth=httpx.Auth())
    problem(refused, 403, "/docs#token-has-no-password")


async def test_the_own_password_of_settings_is_changed_there(client: httpx.AsyncClient) -> None:
    change = {"current_password": ADMINISTRATOR_PASSWORD, "password": "another-password"}
    problem(await client.put("/v1/own-password", json=change), 409, "/docs#administrator-of-settings")
