"""`/v1/users` over a real store."""

import json

import pytest
from structlog.testing import capture_logs

from state_store.records import Credential
from state_store.repository import StateRepository
from support.api_client import api_client, failed_fields, is_password, problem
from support.peep_gateway_server import add_users

SECRET = "open sesame \u00fc"


async def test_an_added_user_is_shown_where_location_leads(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        response = await client.post("/v1/users", json={"username": "alice", "password": SECRET})
        assert response.status_code == 201
        assert response.json() == {"username": "alice"}
        assert (await client.get(response.headers["location"])).json()["username"] == "alice"
    assert await is_password(repository, "alice", SECRET)


async def test_location_of_a_name_with_reserved_characters_leads_back_to_it(
    repository: StateRepository,
) -> None:
    username = "a?b#c%2Fd&e..\\~"
    async with api_client(repository) as client:
        added = await client.post("/v1/users", json={"username": username, "password": "secret"})
        assert (await client.get(added.headers["location"])).json()["username"] == username
        assert (await client.delete(added.headers["location"])).status_code == 204
        page = (await client.get("/v1/users")).json()
        assert (page["users"], page["next"], page["total"]) == ([], None, None)
        assert page["refused_unknown_names"] is None


async def test_a_name_in_use_is_refused_and_its_password_stays(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"username": "alice", "password": "first"})
        again = await client.post("/v1/users", json={"username": "alice", "password": "second"})
        problem(again, 409, "/docs#user-exists")
    assert await is_password(repository, "alice", "first")


async def test_a_password_is_prepared_before_it_is_hashed(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"username": "alice", "password": "a\u00a0u\u0308"})
    assert await is_password(repository, "alice", "a \u00fc")


@pytest.mark.parametrize(
    "username",
    ["", ".hidden", "..", "../x", "a/b", "a b", "a\0", "a\r\n", "z\u00fcrich", "\ud800", "x" * 129, 7, None],
)
async def test_a_name_that_is_no_user_name_is_refused(repository: StateRepository, username: object) -> None:
    async with api_client(repository) as client:
        body = json.dumps({"username": username, "password": "secret"})
        response = await client.post("/v1/users", content=body, headers={"Content-Type": "application/json"})
    assert set(failed_fields(response)) == {"username"}
    assert await repository.usernames() == []


@pytest.mark.parametrize("password", ["", "bell\a", "\ud800tail", "x" * 129, "zero\u200bwidth"])
async def test_a_password_that_cannot_be_prepared_is_refused_and_never_echoed(
    repository: StateRepository, password: str
) -> None:
    async with api_client(repository) as client:
        body = json.dumps({"username": "alice", "password": password})
        response = await client.post("/v1/users", content=body, headers={"Content-Type": "application/json"})
    assert "must" in failed_fields(response)["password"]
    assert not password or password.encode("utf-8", "replace") not in response.content


async def test_a_missing_and_an_unknown_field_are_both_named(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        response = await client.post("/v1/users", json={"username": "alice", "pass word": SECRET})
    assert failed_fields(response) == {
        "password": "is required",
        "pass word": "is no field of this request",
    }
    assert SECRET not in response.text


async def test_a_removed_user_is_gone_and_cannot_be_removed_again(repository: StateRepository) -> None:
    await add_users(repository, "alice", "bob")
    async with api_client(repository) as client:
        removed = await client.delete("/v1/users/alice")
        assert (removed.status_code, removed.content) == (204, b"")
        problem(await client.delete("/v1/users/alice"), 404, "/docs#unknown-user")
        problem(await client.get("/v1/users/alice"), 404, "/docs#unknown-user")
    assert await repository.usernames() == ["bob"]


async def test_a_new_password_replaces_the_old_one(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"username": "alice", "password": "first"})
        changed = await client.put("/v1/users/alice/password", json={"password": "second"})
        assert changed.status_code == 204
    assert await is_password(repository, "alice", "second")
    assert not await is_password(repository, "alice", "first")


async def test_a_new_password_for_an_unknown_user_adds_nobody(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        response = await client.put("/v1/users/ghost/password", json={"password": "secret"})
        problem(response, 404, "/docs#unknown-user")
    assert await repository.usernames() == []


async def test_following_the_links_lists_every_user_once_and_in_order(repository: StateRepository) -> None:
    names = sorted(["B", "a", "b&c=d", "~", "!", "c?", "d#"])
    await add_users(repository, *names)
    async with api_client(repository) as client:
        seen: list[str] = []
        url = "/v1/users?limit=2"
        while url:
            response = await client.get(url)
            page = response.json()
            assert len(page["users"]) <= 2
            seen += [user["username"] for user in page["users"]]
            assert page["next"] == (seen[-1] if "next" in response.links else None)
            url = response.links.get("next", {}).get("url", "")
    assert seen == names


async def test_following_the_links_of_a_search_lists_every_name_with_the_prefix(
    repository: StateRepository,
) -> None:
    names = sorted(["al", "al&x=y", "alan", "alice", "al~", "a", "am", "bal"])
    await add_users(repository, *names)
    async with api_client(repository) as client:
        seen: list[str] = []
        url = "/v1/users?limit=2&prefix=al"
        while url:
            response = await client.get(url)
            seen += [user["username"] for user in response.json()["users"]]
            url = response.links.get("next", {}).get("url", "")
    assert seen == [name for name in names if name.startswith("al")]


async def test_an_empty_prefix_searches_nothing(repository: StateRepository) -> None:
    await add_users(repository, "alice", "bob")
    async with api_client(repository) as client:
        response = await client.get("/v1/users?limit=1&prefix=")
    assert response.json()["next"] == "alice"
    assert "prefix" not in response.headers["link"]


async def test_a_page_that_holds_all_users_has_no_next(repository: StateRepository) -> None:
    await add_users(repository, "alice", "bob")
    async with api_client(repository) as client:
        response = await client.get("/v1/users", params={"limit": 2})
    assert [user["username"] for user in response.json()["users"]] == ["alice", "bob"]
    assert response.json()["next"] is None
    assert "link" not in response.headers


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("after", "a/b"),
        ("after", ""),
        ("prefix", "a b"),
        ("prefix", "."),
        ("sort", "colour"),
        ("not_since_days", "-1"),
        ("search", "x" * 129),
    ],
)
async def test_a_wrong_page_is_refused(repository: StateRepository, parameter: str, value: str) -> None:
    async with api_client(repository) as client:
        response = await client.get("/v1/users", params={parameter: value})
    assert set(failed_fields(response)) == {parameter}


@pytest.mark.parametrize("path", ["a%00b", "%C3%A4", "%FF", "%2E%2Ex", "%20", "x" * 129])
async def test_a_path_with_a_name_that_nobody_can_have_is_refused(
    repository: StateRepository, path: str
) -> None:
    async with api_client(repository) as client:
        assert set(failed_fields(await client.delete(f"/v1/users/{path}"))) == {"username"}


async def test_an_encoded_slash_never_reaches_another_route(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    async with api_client(repository) as client:
        response = await client.put("/v1/users/alice%2Fpassword", json={"password": "stolen"})
        problem(response, 404)
    assert await repository.credential("alice") == Credential("no-hash", "version-of-alice")


async def test_user_changes_are_logged_with_the_administrator_and_without_passwords(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        with capture_logs() as events:
            await client.post("/v1/users", json={"username": "alice", "password": SECRET})
            await client.put("/v1/users/alice/password", json={"password": SECRET + "2"})
            await client.delete("/v1/users/alice")
    changes = [event for event in events if event["event"] != "request"]
    assert [change["event"] for change in changes] == ["user added", "password changed", "user removed"]
    assert {(change["username"], change["administrator"]) for change in changes} == {("alice", "root")}
    assert SECRET not in repr(events)
